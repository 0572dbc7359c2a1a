"""Features of working images at five levels: what matching compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class FeaturePyramid:
    """Features of a body crop, or of several that share a padded shape.

    Levels have an index, 0 (relu1_1) .. 4 (relu5_1); level k has stride 2**k pixels. On a GPU
    features lie in float16 with channels last, filled up with channels of zeros: as kernels read
    them.
    """

    levels: Mapping[int, Float[Tensor, "image _channel _row _col"]]
    """Unit length along channel; a dead feature stays zero. Those of levels finer than what was
    asked for are not held."""

    lengths: Mapping[int, Float[Tensor, "image _row _col"]]
    """What they were divided by."""

    masks: tuple[Bool[Tensor, "image _row _col"], ...]
    """Cells that hold any tissue, of every level."""

    tones: tuple[Float[Tensor, "image _row _col"], ...]
    """Mean luminance of the tissue in each cell of every level; 0 without tissue."""

    extent_px: tuple[tuple[int, int], ...]
    """Rows and columns of each crop before padding to whole cells."""

    luminance: Float[Tensor, "image row col"]
    """What the features were taken from, padded: 0..1, background black."""

    tissue: Bool[Tensor, "image row col"]
    """Padded likewise."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        leveled = *self.levels.values(), *self.lengths.values(), *self.masks, *self.tones
        return sum(part.nbytes for part in (*leveled, self.luminance, self.tissue))

    def __getitem__(self, number: int) -> FeaturePyramid:
        """Return one of its images, which shares its memory."""
        part = slice(number, number + 1)
        return FeaturePyramid(
            {index: level[part] for index, level in self.levels.items()},
            {index: length[part] for index, length in self.lengths.items()},
            tuple(mask[part] for mask in self.masks),
            tuple(tone[part] for tone in self.tones),
            self.extent_px[part],
            self.luminance[part],
            self.tissue[part],
        )

    def apart(self) -> FeaturePyramid:
        """Return a copy in memory of its own, which no other image holds."""

        def copy(part: Tensor) -> Tensor:
            return part.clone(memory_format=torch.preserve_format)

        return FeaturePyramid(
            {index: copy(level) for index, level in self.levels.items()},
            {index: copy(length) for index, length in self.lengths.items()},
            tuple(map(copy, self.masks)),
            tuple(map(copy, self.tones)),
            self.extent_px,
            copy(self.luminance),
            copy(self.tissue),
        )

    @staticmethod
    def stacked(images: Sequence[FeaturePyramid]) -> FeaturePyramid:
        """Return a copy of several that share a padded shape, side by side."""
        first = images[0]
        masks, tones = (
            tuple(torch.cat(parts) for parts in zip(*leveled, strict=True))
            for leveled in ([one.masks for one in images], [one.tones for one in images])
        )
        return FeaturePyramid(
            {index: torch.cat([one.levels[index] for one in images]) for index in first.levels},
            {index: torch.cat([one.lengths[index] for one in images]) for index in first.lengths},
            masks,
            tones,
            tuple(extent for one in images for extent in one.extent_px),
            torch.cat([one.luminance for one in images]),
            torch.cat([one.tissue for one in images]),
        )
