"""Bidirectional matching from relu5_1 down to relu1_1 (DESIGN.md beside this file)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor.features.extract import FeaturePyramid
from medcolor.matching.field import (
    Correspondence,
    NearestNeighborField,
    forward_backward_confidence,
)
from medcolor.matching.search import Features, search_global, search_window, similarity_table
from medcolor.matching.tone import add_tone
from medcolor.settings import Settings


_LEAST_LEAVE = 0.1
"""Share of the cost of leaving that stays where tone explains all: it is learnt, not exact."""


@dataclass(frozen=True, kw_only=True)
class MatchingSettings(Settings):
    """Coarse-to-fine search. Lists run coarse to fine: relu5_1, relu4_1, .., relu1_1."""

    patch_px: tuple[int, ...] = (3, 3, 3, 3, 3)
    """Side of the patches compared at each level, in cells of the level; odd."""

    radius_px: tuple[int, ...] = (3, 3, 2, 2)
    """Reach of the windows at relu4_1 .. relu1_1, in cells of the level."""

    position_prior: float = 1.0
    """Weight of the squared distance in body-normalised position (0..1 along each side
    of the body's box) against the mean cosine, at the coarsest level."""

    leave_cost: float = 0.003
    """Taken from the mean cosine for each working pixel between a match and the
    upsampled match of the coarser level. Keeps the field smooth where the scan is flat;
    less where the scan's tone tells the photograph's (tone.py)."""

    tone_weight: float = 0.8
    """Share of tone in the score below relu5_1, where the scan's tone predicts the
    photograph's fully; less where it predicts less (tone.py)."""

    confidence_scale_px: float = 6.0
    """Way there and back, in working pixels, at which confidence has fallen to 0.61."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if len(self.patch_px) != 5 or any(side < 1 or side % 2 == 0 for side in self.patch_px):
            raise ValueError("patch_px needs five odd sides, relu5_1 first")
        if len(self.radius_px) != 4 or any(radius < 0 for radius in self.radius_px):
            raise ValueError("radius_px needs four reaches >= 0, relu4_1 first")
        if self.position_prior < 0 or self.leave_cost < 0 or self.confidence_scale_px <= 0:
            raise ValueError("weights must be >= 0 and confidence_scale_px > 0")
        if not 0 <= self.tone_weight < 1:
            raise ValueError("tone_weight must lie in 0..1 (not 1)")


@torch.inference_mode()
def match_coarse_to_fine(
    target: FeaturePyramid, reference: FeaturePyramid, settings: MatchingSettings
) -> Correspondence:
    """Match two pyramids in both directions; background is never a match.

    The result lives on the finest grids, padding to whole cells included.
    """
    with target.luminance.device:  # new tensors lie beside the features
        forward, backward = _match_top(target, reference, settings)
        for index in range(len(target.levels) - 2, -1, -1):
            own, other, explained = _with_tone(
                target, reference, index, forward, backward, settings
            )
            masks = target.masks[index], reference.masks[index]
            leave_cost = settings.leave_cost * 2**index * (1 - explained).clamp(min=_LEAST_LEAVE)
            forward = _refine(forward, own, other, masks, index, leave_cost, settings)
            backward = _refine(backward, other, own, masks[::-1], index, leave_cost, settings)
        confidence = forward_backward_confidence(
            forward.position, backward.position, scale_px=settings.confidence_scale_px
        )
    return Correspondence(forward, backward, confidence)


def _with_tone(
    target: FeaturePyramid,
    reference: FeaturePyramid,
    index: int,
    forward: NearestNeighborField,
    backward: NearestNeighborField,
    settings: MatchingSettings,
) -> tuple[Features, Features, Float[Tensor, ""]]:
    """Return the features of a level with tone, which the fields of the level above teach."""
    stride = 2 ** (index + 1)
    trust = forward_backward_confidence(
        forward.position, backward.position, scale_px=settings.confidence_scale_px / stride
    )
    return add_tone(target, reference, index, forward.position, trust, weight=settings.tone_weight)


def _match_top(
    target: FeaturePyramid, reference: FeaturePyramid, settings: MatchingSettings
) -> tuple[NearestNeighborField, NearestNeighborField]:
    """Search the coarsest level globally, with the prior on position in the body."""
    table = similarity_table(target.levels[-1], reference.levels[-1], settings.patch_px[0])
    own, other = _body_position(target), _body_position(reference)
    distance = (own[:, :, :, None, None] - other[:, None, None, :, :]).square().sum(0)
    return search_global(
        table, -settings.position_prior * distance, target.masks[-1], reference.masks[-1]
    )


def _body_position(pyramid: FeaturePyramid) -> Float[Tensor, "2 row col"]:
    """Return the centres of the coarsest cells, 0..1 along the rows and columns of the crop."""
    stride = 2 ** (len(pyramid.levels) - 1)
    rows, cols = pyramid.levels[-1].shape[1:]
    row = (torch.arange(rows) + 0.5) * stride / pyramid.extent_px[0]
    col = (torch.arange(cols) + 0.5) * stride / pyramid.extent_px[1]
    return torch.stack(torch.meshgrid(row, col, indexing="ij"))


def _refine(
    coarse: NearestNeighborField,
    own: Features,
    other: Features,
    masks: tuple[Bool[Tensor, "_row _col"], Bool[Tensor, "_row _col"]],
    index: int,
    leave_cost: Float[Tensor, ""],
    settings: MatchingSettings,
) -> NearestNeighborField:
    """Carry a field to level `index` (0 is relu1_1) and search around it."""
    step = len(settings.patch_px) - 1 - index
    return search_window(
        own,
        other,
        coarse.position,
        *masks,
        radius_px=settings.radius_px[step - 1],
        patch_px=settings.patch_px[step],
        leave_cost=leave_cost,
    )
