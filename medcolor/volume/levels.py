"""What a coloured volume consists of: its levels, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.volume.settings import StoreSettings


@dataclass(frozen=True)
class Level:
    """One resolution of the pyramid; level 0 is the scan's own."""

    index: int
    shape: tuple[int, int, int]
    """Voxels along (z, y, x)."""

    spacing_mm: tuple[float, float, float]
    translation_mm: tuple[float, float, float]
    """Centre of the first voxel, along (z, y, x), against that of level 0."""

    factor: tuple[int, int, int]
    """Voxels of the next finer level that make one of this, along (z, y, x)."""

    def slab_count(self, slab_slices: int) -> int:
        """Number of slabs, the last one possibly short."""
        return -(-self.shape[0] // slab_slices)

    def slab(self, number: int, slab_slices: int) -> range:
        """Slices of one slab."""
        start = number * slab_slices
        return range(start, min(start + slab_slices, self.shape[0]))


@dataclass(frozen=True)
class About:
    """What a volume tells of itself beside where it lies."""

    provenance: dict[str, str]
    """Digests of what decided the pixels."""

    grey: GreyLevels | None
    """What alpha says of the scan; None if the volume does not tell."""

    credit: str
    """Whose photographs the colours come from; empty if nobody said."""


def plan_levels(geometry: VolumeGeometry, settings: StoreSettings) -> tuple[Level, ...]:
    """Halve until no side is longer than `smallest_side`; coarse axes wait for the fine ones."""
    level = Level(0, geometry.shape, geometry.spacing_mm, (0.0, 0.0, 0.0), (1, 1, 1))
    levels = [level]
    while max(level.shape) > settings.smallest_side:
        finest = min(s for s, n in zip(level.spacing_mm, level.shape, strict=True) if n > 1)
        factor = tuple(
            2 if n > 1 and s < 1.5 * finest else 1
            for s, n in zip(level.spacing_mm, level.shape, strict=True)
        )
        level = Level(
            index=level.index + 1,
            shape=three(-(-n // f) for n, f in zip(level.shape, factor, strict=True)),
            spacing_mm=three(s * f for s, f in zip(level.spacing_mm, factor, strict=True)),
            translation_mm=three(
                t + s * (f - 1) / 2
                for t, s, f in zip(level.translation_mm, level.spacing_mm, factor, strict=True)
            ),
            factor=three(factor),
        )
        levels.append(level)
    return tuple(levels)


def three(values: Any) -> Any:
    """Return three values as a tuple of three."""
    first, second, third = values
    return first, second, third
