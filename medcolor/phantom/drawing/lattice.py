"""Where the voxels lie: centres at whole multiples of the spacing, in millimetres of the body.

Every region and every spacing shares the zero point, so a coarse grid is a subset of a fine one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Region = Literal["head", "trunk", "whole"]

Box = tuple[slice, slice, slice]
"""Voxels along z, y and x; both ends given."""

REGION_MM: dict[str, tuple[tuple[int, int], ...]] = {
    "head": ((-192, 120), (-144, 144), (-144, 144)),
    "trunk": ((-888, -192), (-168, 192), (-288, 288)),
    "whole": ((-888, 120), (-168, 192), (-288, 288)),
}
"""Half-open ranges (z, y, x) in mm; multiples of 24, so that common spacings nest."""


@dataclass(frozen=True)
class Lattice:
    """A box of voxels: `first` is the index (z, y, x) of its first voxel on the common grid."""

    spacing_mm: float
    first: tuple[int, int, int]
    shape: tuple[int, int, int]

    @staticmethod
    def of_region(region: Region, spacing_mm: float) -> Lattice:
        """The voxels of a region."""
        bounds = [[math.ceil(edge / spacing_mm) for edge in edges] for edges in REGION_MM[region]]
        (z0, z1), (y0, y1), (x0, x1) = bounds
        return Lattice(spacing_mm, (z0, y0, x0), (z1 - z0, y1 - y0, x1 - x0))

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """Centre (z, y, x) of the first voxel."""
        z, y, x = (index * self.spacing_mm for index in self.first)
        return z, y, x

    def indices(self) -> tuple[NDArray[np.int64], ...]:
        """Indices along z, y and x on the common grid."""
        return tuple(
            np.arange(start, start + count, dtype=np.int64)
            for start, count in zip(self.first, self.shape, strict=True)
        )

    def axes_mm(self) -> tuple[NDArray[np.floating[Any]], ...]:
        """Coordinates along z, y and x."""
        return tuple(index * self.spacing_mm for index in self.indices())

    def grown(self, count: int) -> Lattice:
        """The box with `count` more voxels on every side."""
        z, y, x = self.first
        depth, rows, columns = (size + 2 * count for size in self.shape)
        return Lattice(self.spacing_mm, (z - count, y - count, x - count), (depth, rows, columns))

    def part(self, box: Box) -> Lattice:
        """The voxels of `box`."""
        z, y, x = (f + s.start for f, s in zip(self.first, box, strict=True))
        depth, rows, columns = (s.stop - s.start for s in box)
        return Lattice(self.spacing_mm, (z, y, x), (depth, rows, columns))

    def refined(self, factor: int) -> Lattice:
        """`factor` times as many voxels along each axis; every `factor`-th is one of ours."""
        z, y, x = (index * factor for index in self.first)
        depth, rows, columns = (size * factor for size in self.shape)
        return Lattice(self.spacing_mm / factor, (z, y, x), (depth, rows, columns))
