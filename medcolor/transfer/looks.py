"""The looks: what becomes of a model, or of votes, on a slice of the scan.

`photograph`: the model's hue, chroma and lightness on the scan's structure. `scan`: with the scan's
own lightness. `paper`: equation 1 as printed, from the slice's own votes. A scan that is a gray
photograph keeps its lightness in both of ours, and its own votes, judged by it, give the rest.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from medcolor.body import body_box, resize
from medcolor.color import lab_to_srgb, lightness
from medcolor.domain import Box, ColorSlice, SliceVotes, TargetSlice
from medcolor.filters.settings import SmoothingSettings
from medcolor.gpu import on_device
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.model import ColorModel
from medcolor.transfer.opacity import opacity
from medcolor.transfer.photographic import agreed_chroma
from medcolor.transfer.scan import ScanStatistics, describe_scan, known, tissue_share
from medcolor.transfer.settings import ModelSettings, OpacitySettings, TransferSettings
from medcolor.transfer.structure import on_structure


@runtime_checkable
class LookSettings(Protocol):
    """What decides how a slice looks."""

    @property
    def transfer(self) -> TransferSettings:
        """The look, and how votes become colours."""

    @property
    def model(self) -> ModelSettings:
        """What votes of the whole body have in common."""

    @property
    def smoothing(self) -> SmoothingSettings:
        """The filter of equation 1."""

    @property
    def opacity(self) -> OpacitySettings:
        """Alpha."""


def needs_votes(model: ColorModel | None, settings: LookSettings) -> bool:
    """Tell whether slices need the votes of their own, and not the model of all alone."""
    return model is None or model.lightness_error < settings.model.photographic_below


def color_slice(
    target: TargetSlice,
    model: ColorModel | None,
    votes: SliceVotes | None,
    settings: LookSettings,
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
    box = body_box(target)
    if box is None or (votes is None and needs_votes(model, settings)):
        return _composed(target, None, settings)
    if model is None:
        assert votes is not None
        scan, body = target.luminance[box.slices], target.body[box.slices]
        given = settings.transfer.gamma, settings.smoothing, device, target.pixel
        rgb = equation_1(scan, body, votes, *given)
        return _composed(target, (box, rgb), settings)
    shown = lightness(target.luminance[box.slices])
    measured = known(target.values[box.slices])
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
    settings: LookSettings,
    statistics: ScanStatistics,
    device: torch.device,
) -> Float[np.ndarray, "row col 3"]:
    """Return the model's colours on a slice's own structure, CIE Lab."""

    def paint() -> Float[np.ndarray, "row col 3"]:
        values = torch.from_numpy(measured).to(device)
        body = torch.from_numpy(target.body[box.slices].copy()).to(device)
        contrast = describe_scan(values, statistics)
        colors = model.read(target.z, box, contrast)
        shown = on_structure(colors, contrast, body, statistics, settings.transfer)
        return shown.cpu().permute(1, 2, 0).numpy()

    return on_device(device, paint)


def _composed(
    target: TargetSlice,
    colored: tuple[Box, Float[np.ndarray, "row col 3"]] | None,
    settings: LookSettings,
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
