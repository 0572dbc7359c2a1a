"""How one pair is searched on a CPU: arithmetic in torch, loops over cells in machine code.

It is also the plain twin that the kernels of GPUs are held to.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor.features.network import LEVEL_NAMES, GrayVGG19, TapNetwork
from medcolor.features.pyramid import FeaturePyramid
from medcolor.matching.field import (
    Correspondence,
    NearestNeighborField,
    forward_backward_confidence,
    take,
    upsample,
)
from medcolor.matching.patchmatch import improve_matches
from medcolor.matching.reconstruct import joined_features
from medcolor.matching.search import Features, search_global, search_window, similarity_table
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.tone import LEAST_LEAVE, TonePair, append_tone, teach_tone

_TOP = len(LEVEL_NAMES) - 1
Both = tuple[NearestNeighborField, NearestNeighborField]
"""What the slice finds in the photograph, and what this finds in the slice."""


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


@dataclass(frozen=True)
class OnePair:
    """A slice and a photograph (see `coarse_to_fine.Pairs`)."""

    target: FeaturePyramid
    reference: FeaturePyramid
    settings: MatchingSettings
    network: TapNetwork | None

    def search_top(self) -> Both:
        """Search the coarsest level: all pairs of cells, or at random."""
        masks = self.target.masks[_TOP], self.reference.masks[_TOP]
        features = self.target.levels[_TOP], self.reference.levels[_TOP]
        level = _Level(*features, masks, _TOP, torch.zeros(len(self.target.tissue)))
        if self.settings.search[0] != "global":
            return self._start(level), self._start(level.turned())
        own, other = _body_position(self.target), _body_position(self.reference)
        distance = (own[..., None, None] - other[:, :, None, None]).square().sum(1)
        prior = -self.settings.position_prior * distance
        table = similarity_table(level.own, level.other, self.settings.patch_px[0])
        return search_global(table, prior, prior, *level.masks)

    def features(self, index: int, above: Both) -> tuple[Features, Features]:
        """Return the images' own features, joined with A' and B if these are reconstructed."""
        if self.settings.deconvolution_evaluations and isinstance(self.network, GrayVGG19):
            matches = above[0].position, above[1].position
            images = self.target, self.reference
            return joined_features(matches, images, index, self.network, self.settings)
        return self.target.levels[index], self.reference.levels[index]

    def learn_tone(self, index: int, above: Both) -> TonePair | None:
        """Return the tones of both images that can be compared; None where tone has no say."""
        if self.settings.tone_weight == 0:
            return None
        scale = self.settings.confidence_scale_px / 2 ** (index + 1)
        forward, backward = (field.position for field in above)
        trust = forward_backward_confidence(forward, backward, scale_px=scale)
        return teach_tone(self.target, self.reference, index, forward, trust)

    def search(
        self, index: int, features: tuple[Features, Features], lesson: TonePair | None, above: Both
    ) -> Both:
        """Carry both fields to a level and search there."""
        level = self._level(index, features, lesson)
        if self.settings.search[_TOP - index] != "global":
            return self._refine(level, above[0]), self._refine(level.turned(), above[1])
        table = similarity_table(level.own, level.other, self.settings.patch_px[_TOP - index])
        step = -level.leave_cost[:, None, None, None, None]
        away = step * _distance(upsample(above[0].position), table.shape[3:])
        away2 = step * _distance(upsample(above[1].position), table.shape[1:3])
        return search_global(table, away, away2.permute(0, 3, 4, 1, 2), *level.masks)

    def finish(self, index: int, field: Both) -> Correspondence:
        """Enlarge both fields to pixels."""
        forward, backward = field
        for finer in range(index - 1, -1, -1):
            forward = _enlarge(forward, self.reference.masks[finer])
            backward = _enlarge(backward, self.target.masks[finer])
        confidence = forward_backward_confidence(
            forward.position, backward.position, scale_px=self.settings.confidence_scale_px
        )
        return Correspondence(forward, backward, confidence)

    def directions(self, field: Both) -> Both:
        """Return both fields."""
        return field

    def _level(
        self, index: int, features: tuple[Features, Features], lesson: TonePair | None
    ) -> _Level:
        """Put together what is compared at a level, tone included."""
        own, other = features
        masks = self.target.masks[index], self.reference.masks[index]
        leave_cost = torch.full((len(own),), self.settings.leave_cost * 2**index)
        if lesson is None:
            return _Level(own, other, masks, index, leave_cost)
        share = self.settings.tone_weight * lesson.explained.sqrt()
        leave_cost = leave_cost * (1 - lesson.explained).clamp(min=LEAST_LEAVE)
        own = append_tone(own, lesson.own, masks[0], share)
        other = append_tone(other, lesson.other, masks[1], share)
        return _Level(own, other, masks, index, leave_cost)

    def _start(self, side: _Level) -> NearestNeighborField:
        """Search the coarsest level from one image by PatchMatch."""
        start = _same_place(side.own.shape[2:], side.other.shape[2:])
        if self.settings.random_start:
            source = torch.Generator(side.own.device).manual_seed(0)
            size = torch.tensor(side.other.shape[2:])[:, None, None]
            start = (torch.rand(start.shape, generator=source) * size).long()
        start = start.expand(len(side.own), *start.shape)
        reach, rounds = max(side.other.shape[2:]), self.settings.patchmatch_rounds
        return self._patchmatch(side, start, start, reach, rounds)

    def _refine(self, level: _Level, coarse: NearestNeighborField) -> NearestNeighborField:
        """Search around the upsampled matches."""
        radius = self.settings.radius_px[_TOP - 1 - level.index]
        if self.settings.search[_TOP - level.index] == "patchmatch":
            home = upsample(coarse.position)
            return self._patchmatch(level, home, home, radius, self.settings.patchmatch_rounds)
        field = search_window(
            level.own,
            level.other,
            coarse.position,
            *level.masks,
            radius_px=radius,
            patch_px=self.settings.patch_px[_TOP - level.index],
            leave_cost=level.leave_cost,
        )
        if self.settings.propagation == 0:
            return field
        home = upsample(coarse.position)
        return self._patchmatch(level, field.position, home, 0, self.settings.propagation)

    def _patchmatch(
        self, level: _Level, start: Tensor, home: Tensor, radius: int, rounds: int
    ) -> NearestNeighborField:
        """Search by PatchMatch from `start`."""
        inputs = level.own, level.other, start, home, *level.masks, level.leave_cost
        found = [
            improve_matches(
                *one,
                patch_px=self.settings.patch_px[_TOP - level.index],
                radius_px=radius,
                rounds=rounds,
            )
            for one in zip(*inputs, strict=True)
        ]
        position, score = (torch.stack(part) for part in zip(*found, strict=True))
        return NearestNeighborField(position, score)


def _body_position(pyramid: FeaturePyramid) -> Float[Tensor, "image 2 row col"]:
    """Return the centres of the coarsest cells, 0..1 along the rows and columns of the crop."""
    rows, cols = pyramid.levels[_TOP].shape[2:]
    extent = torch.tensor(pyramid.extent_px)
    centre = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(cols) + 0.5, indexing="ij")
    return torch.stack(centre).mul(2**_TOP).div(extent[:, :, None, None])


def _same_place(shape: torch.Size, shape2: torch.Size) -> Tensor:
    """Return for each cell of one grid the cell of another at the same place of the image."""
    row, col = (
        ((torch.arange(size) + 0.5) * size2 / size).long()
        for size, size2 in zip(shape, shape2, strict=True)
    )
    return torch.stack(torch.meshgrid(row, col, indexing="ij"))


def _distance(home: Tensor, shape: torch.Size) -> Float[Tensor, "pair row col row2 col2"]:
    """Return how far every cell of a grid lies from every match."""
    rows, cols = shape
    row = (home[:, 0, ..., None, None] - torch.arange(rows)[:, None]) ** 2
    col = (home[:, 1, ..., None, None] - torch.arange(cols)) ** 2
    return torch.sqrt((row + col).float())


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
