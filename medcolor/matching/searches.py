"""Many pairs at once: a table that tells kernels where each search finds its two images.

Images keep their own shapes and lie where they were made; nothing is stacked or padded. A pair is
searched in both directions, so `count` pairs are 2 `count` searches: search s finds pair s in
its photograph, search s + `count` finds the photograph in the slice. Only what they find (fields,
confidence, votes) lies on one canvas, as large as the largest image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medcolor.features.network import LEVEL_NAMES
from medcolor.features.pyramid import FeaturePyramid
from medcolor.gpu import upload

LEVELS = len(LEVEL_NAMES)

ROWS, EXTENT, FIRST_LEVEL = 0, 4, 8
"""Columns of a search: rows, columns of its own image, of the other, padded; the same before
padding; then for each level, fine to coarse, addresses."""

OWN_UNIT, OTHER_UNIT, OWN_TONE, OTHER_TONE, OWN_MASK, OTHER_MASK = range(6)
"""What lies at the addresses of a level: unit features (float16, channels last), tone, mask."""

PER_LEVEL = 6
COLUMNS = FIRST_LEVEL + PER_LEVEL * LEVELS


@dataclass(frozen=True)
class Searches:
    """What kernels are told of pairs that are matched at once."""

    count: int
    """Of pairs."""

    canvas: tuple[int, int]
    """Rows and columns of the largest image, padded to whole cells."""

    table: Int[Tensor, "search column"]
    channels: dict[int, int]
    """Of the features of each level that is held, padded."""

    kept: tuple[object, ...]
    """What lies at the addresses, which must live as long."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[FeaturePyramid, FeaturePyramid]]) -> Searches:
        """Write the table of slices and photographs, and send it to where they lie."""
        images = [image for pair in pairs for image in pair]
        about = {id(image): _addresses(image) for image in images}
        rows = [_row(about[id(own)], about[id(other)]) for own, other in pairs]
        rows += [_row(about[id(other)], about[id(own)]) for own, other in pairs]
        shapes = [image.tissue.shape[1:] for image in images]
        canvas = max(rows for rows, _ in shapes), max(cols for _, cols in shapes)
        channels = {index: level.shape[1] for index, level in images[0].levels.items()}
        table = upload(np.array(rows, np.int64), images[0].tissue.device)
        return cls(len(pairs), canvas, table, channels, tuple(images))

    def grid(self, index: int) -> tuple[int, int]:
        """Return rows and columns of the canvas at a level."""
        return self.canvas[0] >> index, self.canvas[1] >> index

    def with_features(
        self,
        index: int,
        own: Float[Tensor, "pair row col channel"],
        other: Float[Tensor, "pair row2 col2 channel"],
    ) -> Searches:
        """Return the same with other features at a level, a pair each: those of both directions."""
        table, at = self.table.clone(), FIRST_LEVEL + PER_LEVEL * index
        first, second = (_every(part) for part in (own, other))
        table[:, at + OWN_UNIT] = torch.cat([first, second])
        table[:, at + OTHER_UNIT] = torch.cat([second, first])
        channels = {**self.channels, index: own.shape[3]}
        return replace(self, table=table, channels=channels, kept=(*self.kept, own, other))


def _every(features: Tensor) -> Int[Tensor, " pair"]:
    """Return the address of each pair's part."""
    steps = torch.arange(len(features), device=features.device)
    return features.data_ptr() + steps * features[0].numel() * features.element_size()


_About = tuple[tuple[int, int], tuple[int, int], list[tuple[int, int, int]]]


def _addresses(image: FeaturePyramid) -> _About:
    """Return the padded shape of an image, that before padding, and addresses by level."""
    rows, cols = image.tissue.shape[1:]
    levels = [
        (
            image.levels[index].data_ptr() if index in image.levels else 0,
            image.tones[index].data_ptr(),
            image.masks[index].data_ptr(),
        )
        for index in range(LEVELS)
    ]
    (extent,) = image.extent_px
    return (rows, cols), extent, levels


def _row(own: _About, other: _About) -> list[int]:
    row = [*own[0], *other[0], *own[1], *other[1]]
    for here, there in zip(own[2], other[2], strict=True):
        for first, second in zip(here, there, strict=True):
            row += [first, second]
    return row
