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
from medcolor.domain import Box, ColorSlice, ReferenceSlice, TargetSlice
from medcolor.features.extract import (
    FeaturePyramid,
    FeatureSettings,
    extract_pyramid,
    extract_pyramids,
)
from medcolor.features.network import PlacedNetwork
from medcolor.filters import PoolingSettings, SmoothingSettings, match_spread, pool_votes
from medcolor.matching import Correspondence, MatchingSettings, match_coarse_to_fine, take
from medcolor.matching import vote as vote_patches
from medcolor.stopwatch import Stopwatch
from medcolor.transfer import (
    OpacitySettings,
    TransferSettings,
    Vote,
    blend_votes,
    equation_1,
    opacity,
)

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
class Reconstruction:
    """T' of equation 1: the body of a slice made of the references' colours."""

    target: TargetSlice
    box: Box
    """Of the body in the slice."""

    lab: Float[np.ndarray, "row col 3"]
    """At the working size."""

    trust: Float[np.ndarray, "row col"]
    """0..1 for each pixel."""

    @property
    def scan(self) -> Float[np.ndarray, "row2 col2"]:
        """Display grey of the box at the scan's resolution."""
        return self.target.luminance[self.box.slices]

    @property
    def body(self) -> Bool[np.ndarray, "row2 col2"]:
        """Body in the box."""
        return self.target.body[self.box.slices]


@dataclass(frozen=True)
class _Crop:
    """The body of a slice at the working size."""

    target: TargetSlice
    box: Box
    grey: Float[np.ndarray, "row col"]
    matched: Float[np.ndarray, "row col"]
    body: Bool[np.ndarray, "row col"]


def colorize_slices(
    targets: Sequence[TargetSlice],
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> list[ColorSlice]:
    """Give slices the colours of the references they share and keep their structure.

    Args:
        targets: Slices; those without a body stay empty.
        references: Each with its weight, > 0.
        network: For matching.
        settings: Of every stage.
        stopwatch: Told what each stage takes.
    """
    colored = {target.z: np.zeros((*target.luminance.shape, 4), np.uint8) for target in targets}
    for made in reconstruct_slices(targets, references, network, settings, stopwatch):
        with stopwatch("transfer"):
            rgb = equation_1(
                made.scan,
                made.body,
                made.lab,
                made.trust,
                settings.transfer,
                settings.smoothing,
                network.device,
            )
        rgba, where = colored[made.target.z], made.box.slices
        rgba[where][..., :3] = np.rint(255 * rgb)
        rgba[where][..., 3] = np.rint(255 * opacity(made.scan, made.body, settings.opacity))
        rgba[~made.target.body] = 0
    return [ColorSlice(rgba, z) for z, rgba in colored.items()]


def reconstruct_slices(
    targets: Sequence[TargetSlice],
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> Iterator[Reconstruction]:
    """Yield T' of every slice that shows a body.

    Slices whose working images have one shape are matched together: on a GPU that costs little
    more than one.
    """
    together: defaultdict[tuple[int, ...], list[_Crop]] = defaultdict(list)
    for target in targets:
        crop = _crop(target, settings.features)
        if crop is not None:
            together[pad_to_cells(crop.body).shape].append(crop)
    for crops in together.values():
        votes = _ask(crops, references, network, settings, stopwatch)
        for crop, heard in zip(crops, votes, strict=True):
            with stopwatch("agreement"):
                vote = blend_votes(heard, crop.grey, settings.transfer.agreement_tolerance)
            with stopwatch("pooling"):
                trust = vote.trust * crop.body
                lab = pool_votes(vote.lab, crop.matched, trust, settings.pooling)
                lab = match_spread(lab, vote.own, trust, settings.pooling.spread, _WIDER)
                lab[..., 2] = np.maximum(lab[..., 2], settings.transfer.least_b)
            yield Reconstruction(crop.target, crop.box, lab, vote.trust)


def _ask(
    crops: Sequence[_Crop],
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> list[list[Vote]]:
    """Return for each crop what each reference says."""
    votes: list[list[Vote]] = [[] for _ in crops]
    with stopwatch("features"):
        pyramid = extract_pyramids(network, [(crop.matched, crop.body) for crop in crops])
    for reference, nearness in references:
        with stopwatch("matching"):
            found = match_coarse_to_fine(pyramid, reference.pyramid, settings.matching, network)
        with stopwatch("voting"):
            said = vote_colors(found, pyramid, reference, settings.transfer)
        for heard, crop, lab, own, trust in zip(votes, crops, *said, strict=True):
            rows, cols = crop.body.shape
            parts = lab[:rows, :cols], own[:rows, :cols], trust[:rows, :cols]
            heard.append(Vote(*parts, nearness))
    return votes


def _crop(target: TargetSlice, settings: FeatureSettings) -> _Crop | None:
    """Cut out the body and scale it to the working size; None without one."""
    box = bounding_box(target.body)
    if box is None:
        return None
    shape = working_shape(box, settings.working_size_px)
    grey, matched = (
        resize(image[box.slices], shape) for image in (target.luminance, target.matched_luminance)
    )
    return _Crop(target, box, grey, matched, resize_mask(target.body[box.slices], shape))


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
