"""Slices take the colours of photographs: the method, on one page.

Devkota and Pattanaik, "Reference Based Color Transfer for Medical Volume
Rendering": match deep features coarse to fine (section 4.1), vote the reference's
colours through the field, keep the scan's structure with equation 1, between gamma
1/2 and 2 if asked for (section 5.1). Ours are several references, heard by their
agreement with the scan, and the pooling of votes by place and grey level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor.body import bounding_box, pad_to_cells, resize, resize_mask, working_shape
from medcolor.color import grey_of, srgb_to_lab
from medcolor.domain import Box, ColorSlice, Reconstruction, ReferenceSlice, TargetSlice
from medcolor.features.extract import (
    FeaturePyramid,
    extract_pyramid,
    extract_pyramids,
)
from medcolor.features.network import PlacedNetwork
from medcolor.features.settings import FeatureSettings
from medcolor.filters.pooling import pool_votes
from medcolor.filters.settings import PoolingSettings, SmoothingSettings
from medcolor.filters.spread import match_spread
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import Correspondence, take
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.vote import vote as vote_patches
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.agreement import Vote, blend_votes
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.opacity import opacity
from medcolor.transfer.settings import OpacitySettings, TransferSettings

_WIDER = 1.0, 1.6
"""What averaging narrowed is widened: each mean of a right and a wrong match is paler than both."""


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
    def pooling(self) -> PoolingSettings:
        """How votes are averaged."""

    @property
    def smoothing(self) -> SmoothingSettings:
        """The filter of equation 1."""

    @property
    def opacity(self) -> OpacitySettings:
        """Alpha."""


@dataclass(frozen=True)
class PreparedReference:
    """A photograph at the working size, ready to be matched many times."""

    reference_id: str
    lab: Float[Tensor, "1 3 row col"]
    """Padded to whole cells, as the features are, and beside them."""

    pyramid: FeaturePyramid

    @property
    def nbytes(self) -> int:
        """Memory it takes, features and picture."""
        return self.lab.nbytes + self.pyramid.nbytes


def prepare_reference(
    reference: ReferenceSlice, network: PlacedNetwork, settings: FeatureSettings
) -> PreparedReference:
    """Scale a reference to the working size and extract its features."""
    rows, cols = reference.tissue.shape
    shape = working_shape(Box(0, rows, 0, cols), settings.working_size_px)
    tissue = resize_mask(reference.tissue, shape)
    rgb = resize(reference.rgb, shape).astype(np.float32) / 255
    lab = torch.from_numpy(pad_to_cells(srgb_to_lab(rgb))).to(network.device)
    return PreparedReference(
        reference.reference_id,
        lab.permute(2, 0, 1)[None].contiguous(),
        extract_pyramid(network, grey_of(rgb), tissue),
    )


@dataclass(frozen=True)
class _Crop:
    """The body of a slice at the working size."""

    z: int
    box: Box
    weights: Sequence[float]
    """Of the references."""

    grey: Float[np.ndarray, "row col"]
    matched: Float[np.ndarray, "row col"]
    body: Bool[np.ndarray, "row col"]


def colorize_slice(
    target: TargetSlice,
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> ColorSlice:
    """Give one slice the colours of references and keep its structure.

    Args:
        target: The slice; without a body it stays empty.
        references: Each with its weight, > 0.
        network: For matching.
        settings: Of every stage.
        stopwatch: Told what each stage takes.
    """
    prepared, weights = [one for one, _ in references], [weight for _, weight in references]
    made = list(reconstruct_slices([target], prepared, [weights], network, settings, stopwatch))
    with stopwatch("transfer"):
        return color_slice(target, made[0] if made else None, settings, network.device)


def reconstruct_slices(
    targets: Sequence[TargetSlice],
    references: Sequence[PreparedReference],
    weights: Sequence[Sequence[float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> Iterator[Reconstruction]:
    """Yield T' of every slice that shows a body.

    Slices whose working images have one shape are matched together: on a GPU that costs little
    more than one.

    Args:
        targets: Slices.
        references: What they share.
        weights: For each slice, of each reference, > 0.
        network: For matching.
        settings: Of every stage.
        stopwatch: Told what each stage takes.
    """
    together: defaultdict[tuple[int, ...], list[_Crop]] = defaultdict(list)
    for target, heard in zip(targets, weights, strict=True):
        crop = _crop(target, heard, settings.features)
        if crop is not None:
            together[pad_to_cells(crop.body).shape].append(crop)
    for crops in together.values():
        votes = _ask(crops, references, network, settings, stopwatch)
        for crop, said in zip(crops, votes, strict=True):
            with stopwatch("agreement"):
                vote = blend_votes(said, crop.grey, settings.transfer.agreement_tolerance)
            with stopwatch("pooling"):
                trust = vote.trust * crop.body
                lab = pool_votes(vote.lab, crop.matched, trust, settings.pooling)
                lab = match_spread(lab, vote.own, trust, settings.pooling.spread, _WIDER)
                lab[..., 2] = np.maximum(lab[..., 2], settings.transfer.least_b)
            yield Reconstruction(crop.z, crop.box, crop.grey, lab, vote.trust)


def color_slice(
    target: TargetSlice,
    made: Reconstruction | None,
    settings: SliceSettings,
    device: torch.device | None = None,
) -> ColorSlice:
    """Put reconstructed colours on a slice's own structure; without any it stays empty."""
    rgba = np.zeros((*target.luminance.shape, 4), np.uint8)
    if made is not None:
        where = made.box.slices
        scan, body = target.luminance[where], target.body[where]
        rgb = equation_1(
            scan, body, made.lab, made.trust, settings.transfer, settings.smoothing, device
        )
        rgba[where][..., :3] = np.rint(255 * rgb)
        rgba[where][..., 3] = np.rint(255 * opacity(scan, body, settings.opacity))
        rgba[~target.body] = 0
    return ColorSlice(rgba, target.z)


def _ask(
    crops: Sequence[_Crop],
    references: Sequence[PreparedReference],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> list[list[Vote]]:
    """Return for each crop what each reference says."""
    votes: list[list[Vote]] = [[] for _ in crops]
    with stopwatch("features"):
        pyramid = extract_pyramids(network, [(crop.matched, crop.body) for crop in crops])
    for number, reference in enumerate(references):
        with stopwatch("matching"):
            found = match_coarse_to_fine(pyramid, reference.pyramid, settings.matching, network)
        with stopwatch("voting"):
            said = vote_colors(found, pyramid, reference, settings.transfer)
        for heard, crop, lab, own, trust in zip(votes, crops, *said, strict=True):
            rows, cols = crop.body.shape
            parts = lab[:rows, :cols], own[:rows, :cols], trust[:rows, :cols]
            heard.append(Vote(*parts, crop.weights[number]))
    return votes


def _crop(target: TargetSlice, weights: Sequence[float], settings: FeatureSettings) -> _Crop | None:
    """Cut out the body and scale it to the working size; None without one."""
    box = bounding_box(target.body)
    if box is None:
        return None
    shape = working_shape(box, settings.working_size_px)
    grey, matched = (
        resize(image[box.slices], shape) for image in (target.luminance, target.matched_luminance)
    )
    body = resize_mask(target.body[box.slices], shape)
    return _Crop(target.z, box, weights, grey, matched, body)


def vote_colors(
    correspondence: Correspondence,
    target: FeaturePyramid,
    reference: PreparedReference,
    settings: TransferSettings,
) -> tuple[
    Float[np.ndarray, "slice row col 3"],
    Float[np.ndarray, "slice row col 3"],
    Float[np.ndarray, "slice row col"],
]:
    """Return what a reference says about slices, on their padded grid.

    Returns:
        T'_Lab, the slices reconstructed from the reference by the votes of overlapping patches;
        the colour of each pixel's own match, without its neighbours' votes; the trust in each
        pixel, 0..1.
    """
    position = correspondence.target_to_reference.position
    weight = target.tissue * correspondence.confidence.clamp(min=settings.least_confidence)
    values = reference.lab.expand(len(position), -1, -1, -1)
    tissue = reference.pyramid.tissue.expand(len(position), -1, -1)
    patch = settings.vote_patch_px
    lab, trust = vote_patches(position, weight, values, tissue, patch_px=patch)
    own = take(values, position)
    return (
        lab.permute(0, 2, 3, 1).cpu().numpy(),
        own.permute(0, 2, 3, 1).cpu().numpy(),
        trust.cpu().numpy(),
    )
