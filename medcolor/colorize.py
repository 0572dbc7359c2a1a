"""Slices take the colours of photographs: the method, on one page.

Devkota and Pattanaik, "Reference Based Color Transfer for Medical Volume
Rendering": match deep features coarse to fine (section 4.1), vote the reference's
colours through the field, keep the scan's structure with equation 1. Ours is what
lies between the last two: the votes of all photographs for all slices become one
model of the whole body, colour as a function of place and of what the scan
measures there. The look `paper` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from medcolor.body import bounding_box, resize
from medcolor.color import lab_to_srgb, lightness
from medcolor.domain import Box, ColorSlice, SliceVotes, TargetSlice
from medcolor.features.network import PlacedNetwork
from medcolor.features.settings import FeatureSettings
from medcolor.filters.settings import SmoothingSettings
from medcolor.gpu import turn
from medcolor.matching.settings import MatchingSettings
from medcolor.pair_limit import PairLimit
from medcolor.prepared import PreparedReference, crop_slice
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.ballot import learn_colors
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.model import ColorModel
from medcolor.transfer.opacity import opacity
from medcolor.transfer.photographic import agreed_chroma
from medcolor.transfer.scan import ScanStatistics, describe_scan, known, tissue_share
from medcolor.transfer.settings import ModelSettings, OpacitySettings, TransferSettings
from medcolor.transfer.structure import on_structure
from medcolor.votes import gather_votes


@runtime_checkable
class SliceSettings(Protocol):
    """What colouring a slice asks of the settings of a run."""

    @property
    def features(self) -> FeatureSettings:
        """What the network sees."""

    @property
    def matching(self) -> MatchingSettings:
        """How places are found."""

    @property
    def transfer(self) -> TransferSettings:
        """How votes become colours."""

    @property
    def model(self) -> ModelSettings:
        """What votes of the whole body have in common."""

    @property
    def smoothing(self) -> SmoothingSettings:
        """The filter of equation 1."""

    @property
    def opacity(self) -> OpacitySettings:
        """Alpha."""


def colorize_slice(
    target: TargetSlice,
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    statistics: ScanStatistics,
    stopwatch: Stopwatch,
) -> ColorSlice:
    """Give one slice, as if it were a whole scan, the colours of references.

    Args:
        target: The slice; without a body it stays empty.
        references: Each with its weight, > 0.
        network: For matching.
        settings: Of every stage.
        statistics: Of the scan.
        stopwatch: Told what each stage takes.
    """
    most = max(weight for _, weight in references)
    relative = [(one, weight / most) for one, weight in references]
    given = [target], [relative], network, settings, statistics, stopwatch
    found = list(vote_on_slices(*given))
    votes = found[0] if found else None
    with stopwatch("model"):
        model = None
        if votes is not None and settings.transfer.look != "paper":
            lattice = Lattice.over(target.z + 1, (1.0, 1.0, 1.0), statistics, settings.model)
            model = learn_colors([votes], lattice, statistics, settings.model).to(network.device)
    with stopwatch("transfer"):
        own = votes if needs_votes(model, settings) else None
        return color_slice(target, model, own, settings, statistics, network.device)


def vote_on_slices(
    targets: Sequence[TargetSlice],
    references: Sequence[Sequence[tuple[PreparedReference, float]]],
    network: PlacedNetwork,
    settings: SliceSettings,
    statistics: ScanStatistics,
    stopwatch: Stopwatch,
    limit: PairLimit | None = None,
) -> Iterator[SliceVotes]:
    """Yield what photographs say of every slice that shows a body.

    Args:
        targets: Slices.
        references: Of each slice, with weights > 0.
        network: For matching.
        settings: Of every stage.
        statistics: Of the scan.
        stopwatch: Told what each stage takes.
        limit: Of pairs of a slice and a reference matched at once; by default what suits a device.
    """
    cut = [crop_slice(target, settings.features) for target in targets]
    shown = [
        (target, crop, heard)
        for target, crop, heard in zip(targets, cut, references, strict=True)
        if crop is not None
    ]
    crops, heard = [crop for _, crop, _ in shown], [some for *_, some in shown]
    votes = gather_votes(crops, heard, network, settings, stopwatch, limit)
    for (target, crop, some), said in zip(shown, votes, strict=True):
        with stopwatch("describing"):
            values = torch.from_numpy(known(target.values)[crop.box.slices].copy())
            contrast = resize(describe_scan(values, statistics).numpy(), crop.body.shape)
        yield SliceVotes(
            z=crop.z,
            box=crop.box,
            body=crop.body,
            contrast=contrast.astype(np.float16),
            lab=np.stack([one.lab for one in said]).astype(np.float16),
            trust=(np.stack([one.trust for one in said]) * crop.body).astype(np.float16),
            nearness=tuple(weight for _, weight in some),
        )


def needs_votes(model: ColorModel | None, settings: SliceSettings) -> bool:
    """Tell whether slices need the votes of their own, and not the model of all alone."""
    return model is None or model.lightness_error < settings.model.photographic_below


def color_slice(
    target: TargetSlice,
    model: ColorModel | None,
    votes: SliceVotes | None,
    settings: SliceSettings,
    statistics: ScanStatistics,
    device: torch.device,
) -> ColorSlice:
    """Colour a slice; without a body it stays empty.

    Args:
        target: The slice.
        model: On `device`; None for the look `paper`.
        votes: Of the slice, where it `needs_votes`.
        settings: Of the looks.
        statistics: Of the scan.
        device: To compute on.
    """
    box = bounding_box(target.body)
    if box is None or (votes is None and needs_votes(model, settings)):
        return _composed(target, None, settings)
    if model is None:
        assert votes is not None
        scan, body = target.luminance[box.slices], target.body[box.slices]
        rgb = equation_1(scan, body, votes, settings.transfer.gamma, settings.smoothing, device)
        return _composed(target, (box, rgb), settings)
    shown = lightness(target.luminance[box.slices])
    measured = known(target.values)[box.slices]
    if votes is not None:
        chroma = agreed_chroma(votes, resize(shown, votes.body.shape))
        lab = np.dstack([shown, resize(chroma, shown.shape)])
    else:
        lab = _modelled(target, box, measured, model, settings, statistics, device)
        if settings.transfer.look == "scan":
            lab[..., 0] = shown
    tissue = tissue_share(measured, statistics)
    return _composed(target, (box, lab_to_srgb(lab * tissue[..., None])), settings)


def _modelled(
    target: TargetSlice,
    box: Box,
    measured: Float[np.ndarray, "row col"],
    model: ColorModel,
    settings: SliceSettings,
    statistics: ScanStatistics,
    device: torch.device,
) -> Float[np.ndarray, "row col 3"]:
    """Return the model's colours on a slice's own structure, CIE Lab."""
    with turn(device):
        values = torch.from_numpy(measured.copy()).to(device)
        body = torch.from_numpy(target.body[box.slices].copy()).to(device)
        contrast = describe_scan(values, statistics)
        colors = model.read(target.z, box, contrast)
        shown = on_structure(colors, contrast, body, statistics, settings.transfer)
        return shown.cpu().permute(1, 2, 0).numpy()


def _composed(
    target: TargetSlice,
    colored: tuple[Box, Float[np.ndarray, "row col 3"]] | None,
    settings: SliceSettings,
) -> ColorSlice:
    """Return RGBA of a whole slice from sRGB 0..1 of a box of it; nothing is outside the body."""
    rgba = np.zeros((*target.luminance.shape, 4), np.uint8)
    if colored is not None:
        box, rgb = colored
        where = box.slices
        alpha = opacity(target.luminance[where], target.body[where], settings.opacity)
        rgba[where][..., :3] = np.rint(255 * rgb)
        rgba[where][..., 3] = np.rint(255 * alpha)
        rgba[~target.body] = 0
    return ColorSlice(rgba, target.z)
