"""Bidirectional matching from relu5_1 down to relu1_1 (DESIGN.md beside this file)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from medcolor.features.extract import FeaturePyramid
from medcolor.features.network import LEVEL_NAMES, GrayVGG19, TapNetwork
from medcolor.matching.field import (
    Correspondence,
    NearestNeighborField,
    forward_backward_confidence,
    take,
    upsample,
)
from medcolor.matching.reconstruct import blend, reconstruct
from medcolor.matching.search import Features, search_global, search_window, similarity_table
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.tone import append_tone, teach_tone

Watch = Callable[[int, NearestNeighborField, NearestNeighborField], None]

_LEAST_LEAVE = 0.1
"""Share of the cost of leaving that stays where tone explains all: it is learnt, not exact."""


@dataclass(frozen=True)
class _Level:
    """What is compared at one level."""

    own: Features
    other: Features
    masks: tuple[Bool[Tensor, "pair _row _col"], Bool[Tensor, "pair _row2 _col2"]]
    index: int
    leave_cost: Float[Tensor, " pair"]
    """For each cell of distance from the upsampled match."""

    def turned(self) -> _Level:
        """Return the same, seen from the other image."""
        return _Level(self.other, self.own, self.masks[::-1], self.index, self.leave_cost)


@torch.no_grad()
def match_coarse_to_fine(
    target: FeaturePyramid,
    reference: FeaturePyramid,
    settings: MatchingSettings,
    network: TapNetwork | None = None,
    watch: Watch | None = None,
) -> Correspondence:
    """Match slices with a reference in both directions; background is never a match.

    The result lives on the grids of the working images, padding to whole cells included.

    Args:
        target: Features of one slice or several.
        reference: Those of the photograph they share.
        settings: Which search, and whether A' and B are reconstructed on the way.
        network: Whose features they are; needed for reconstruction alone.
        watch: Told the level and both fields whenever one is done, coarse to fine.

    Raises:
        ValueError: If a reconstruction is asked for without a gray-VGG19 to invert.
    """
    if settings.deconvolution_evaluations and not isinstance(network, GrayVGG19):
        raise ValueError("matching.deconvolution_evaluations > 0 needs a gray-VGG19 to invert")
    reference = reference.repeat(len(target.luminance))
    with target.luminance.device:  # new tensors lie beside the features
        finest = LEVEL_NAMES.index(settings.finest_level)
        top = len(target.levels) - 1
        forward, backward = _search_top(top, target, reference, settings)
        if watch:
            watch(top, forward, backward)
        for index in range(top - 1, finest - 1, -1):
            own, other = target.levels[index], reference.levels[index]
            if settings.deconvolution_evaluations and isinstance(network, GrayVGG19):
                above = index + 1
                made = reconstruct(forward.position, reference, above, network, settings)
                made2 = reconstruct(backward.position, target, above, network, settings)
                own = _join(blend(target, index, made, settings), own)
                other = _join(other, blend(reference, index, made2, settings))
            level = _with_tone(own, other, target, reference, index, forward, backward, settings)
            forward, backward = _search(level, forward, backward, settings)
            if watch:
                watch(index, forward, backward)
        for index in range(finest - 1, -1, -1):
            forward = _enlarge(forward, reference.masks[index])
            backward = _enlarge(backward, target.masks[index])
        confidence = forward_backward_confidence(
            forward.position, backward.position, scale_px=settings.confidence_scale_px
        )
    return Correspondence(forward, backward, confidence)


def _join(first: Features, second: Features) -> Float[Tensor, "pair joined row col"]:
    """Return both features side by side, so that their product is the mean of two cosines."""
    parts = [F.normalize(part, dim=1, eps=1e-6) for part in (first, second)]
    return torch.cat(parts, 1) / 2**0.5


def _with_tone(
    own: Features,
    other: Features,
    target: FeaturePyramid,
    reference: FeaturePyramid,
    index: int,
    forward: NearestNeighborField,
    backward: NearestNeighborField,
    settings: MatchingSettings,
) -> _Level:
    """Return a level with tone, which the fields of the level above teach."""
    masks = target.masks[index], reference.masks[index]
    leave_cost = torch.full((len(own),), settings.leave_cost * 2**index)
    if settings.tone_weight == 0:
        return _Level(own, other, masks, index, leave_cost)
    scale = settings.confidence_scale_px / 2 ** (index + 1)
    trust = forward_backward_confidence(forward.position, backward.position, scale_px=scale)
    tone = teach_tone(target, reference, index, forward.position, trust)
    share = settings.tone_weight * tone.explained.sqrt()
    leave_cost = leave_cost * (1 - tone.explained).clamp(min=_LEAST_LEAVE)
    return _Level(
        append_tone(own, tone.own, masks[0], share),
        append_tone(other, tone.other, masks[1], share),
        masks,
        index,
        leave_cost,
    )


def _search_top(
    top: int, target: FeaturePyramid, reference: FeaturePyramid, settings: MatchingSettings
) -> tuple[NearestNeighborField, NearestNeighborField]:
    """Search the coarsest level, where nothing is known yet."""
    features = target.levels[top], reference.levels[top]
    no_cost = torch.zeros(len(target.luminance))
    level = _Level(*features, (target.masks[top], reference.masks[top]), top, no_cost)
    if settings.search[0] == "global":
        own, other = _body_position(target), _body_position(reference)
        distance = (own[..., None, None] - other[:, :, None, None]).square().sum(1)
        prior = -settings.position_prior * distance
        table = similarity_table(level.own, level.other, settings.patch_px[0])
        return search_global(table, prior, prior, *level.masks)

    def one(side: _Level) -> NearestNeighborField:
        start = _same_place(side.own.shape[2:], side.other.shape[2:])
        if settings.random_start:
            source = torch.Generator(side.own.device).manual_seed(0)
            size = torch.tensor(side.other.shape[2:])[:, None, None]
            start = (torch.rand(start.shape, generator=source) * size).long()
        start = start.expand(len(side.own), *start.shape)
        reach = max(side.other.shape[2:])
        return _patchmatch(side, start, start, reach, settings.patchmatch_rounds, settings)

    return one(level), one(level.turned())


def _body_position(pyramid: FeaturePyramid) -> Float[Tensor, "image 2 row col"]:
    """Return the centres of the coarsest cells, 0..1 along the rows and columns of the crop."""
    stride = 2 ** (len(pyramid.levels) - 1)
    rows, cols = pyramid.levels[-1].shape[2:]
    centre = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(cols) + 0.5, indexing="ij")
    return torch.stack(centre).mul(stride).div(pyramid.extent_px[:, :, None, None])


def _same_place(shape: torch.Size, shape2: torch.Size) -> Tensor:
    """Return for each cell of one grid the cell of another at the same place of the image."""
    row, col = (
        ((torch.arange(size) + 0.5) * size2 / size).long()
        for size, size2 in zip(shape, shape2, strict=True)
    )
    return torch.stack(torch.meshgrid(row, col, indexing="ij"))


def _search(
    level: _Level,
    forward: NearestNeighborField,
    backward: NearestNeighborField,
    settings: MatchingSettings,
) -> tuple[NearestNeighborField, NearestNeighborField]:
    """Carry both fields to a level and search there."""
    if settings.search[-1 - level.index] == "global":
        table = similarity_table(level.own, level.other, settings.patch_px[-1 - level.index])
        step = -level.leave_cost[:, None, None, None, None]
        away = step * _distance(upsample(forward.position), table.shape[3:])
        away2 = step * _distance(upsample(backward.position), table.shape[1:3])
        return search_global(table, away, away2.permute(0, 3, 4, 1, 2), *level.masks)
    return _refine(level, forward, settings), _refine(level.turned(), backward, settings)


def _distance(home: Tensor, shape: torch.Size) -> Float[Tensor, "pair row col row2 col2"]:
    """Return how far every cell of a grid lies from every match."""
    rows, cols = shape
    row = (home[:, 0, ..., None, None] - torch.arange(rows)[:, None]) ** 2
    col = (home[:, 1, ..., None, None] - torch.arange(cols)) ** 2
    return torch.sqrt((row + col).float())


def _refine(
    level: _Level, coarse: NearestNeighborField, settings: MatchingSettings
) -> NearestNeighborField:
    """Search around the upsampled matches."""
    radius = settings.radius_px[-1 - level.index]
    if settings.search[-1 - level.index] == "patchmatch":
        home = upsample(coarse.position)
        return _patchmatch(level, home, home, radius, settings.patchmatch_rounds, settings)
    field = search_window(
        level.own,
        level.other,
        coarse.position,
        *level.masks,
        radius_px=radius,
        patch_px=settings.patch_px[-1 - level.index],
        leave_cost=level.leave_cost,
    )
    if settings.propagation == 0:
        return field
    home = upsample(coarse.position)
    return _patchmatch(level, field.position, home, 0, settings.propagation, settings)


def _patchmatch(
    level: _Level,
    start: Tensor,
    home: Tensor,
    radius: int,
    rounds: int,
    settings: MatchingSettings,
) -> NearestNeighborField:
    from medcolor.matching.patchmatch import improve_matches  # GPU machines need no Numba

    inputs = level.own, level.other, start, home, *level.masks, level.leave_cost
    found = [
        improve_matches(
            *one,
            patch_px=settings.patch_px[-1 - level.index],
            radius_px=radius,
            rounds=rounds,
        )
        for one in zip(*inputs, strict=True)
    ]
    position, score = (torch.stack(part) for part in zip(*found, strict=True))
    return NearestNeighborField(position, score)


def _enlarge(
    field: NearestNeighborField, other_mask: Bool[Tensor, "pair row col"]
) -> NearestNeighborField:
    """Carry a field to the next finer grid without searching.

    A match in the background moves to the first cell with tissue under the same coarse cell.
    """
    position = upsample(field.position)
    pairs, rows, cols = other_mask.shape
    four = other_mask.reshape(pairs, rows // 2, 2, cols // 2, 2).transpose(2, 3).flatten(3)
    first = four.to(torch.uint8).argmax(3)[:, None]
    coarse = position // 2
    corner = take(first, coarse)
    inside = take(other_mask[:, None], position)
    position = torch.where(inside, position, 2 * coarse + torch.cat([corner // 2, corner % 2], 1))
    similarity = field.similarity.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return NearestNeighborField(position, similarity)
