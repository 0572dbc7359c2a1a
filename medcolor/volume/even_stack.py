"""From slices wherever they lie along a line to an even, upright stack.

A gap is filled by linear interpolation along z, mixed spacing brought to the smallest; slices of
a tilted gantry, or shifted otherwise, are put where they lie in their plane. It is only done when
it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import dask.array as da
import numpy as np
from dask.delayed import delayed
from jaxtyping import Float

from medcolor.domain import OUTSIDE
from medcolor.errors import InputError
from medcolor.volume.even_line import HARDLY, RESAMPLE, even_places

Slice = Float[np.ndarray, "row col"]
DOUBLE_MM = 1e-3
"""Nearer than this, two slices lie at one position."""

_TILT_DEG = 0.5
_BESIDE_PX = 0.5
"""How far beside the line from first to last a slice may lie."""


@dataclass(frozen=True)
class EvenStack:
    """How every slice of an even stack comes from the slices there are."""

    sources: tuple[tuple[int, int, float], ...]
    """For each: the slice below, the one above, and the weight of the latter, 0..1."""

    step: Float[np.ndarray, 3]
    """From slice to slice, in mm."""

    origin: Float[np.ndarray, 3]
    """Of the first pixel."""

    shifts_px: tuple[tuple[float, float], ...]
    """For every slice there is: (row, col) at which its first pixel lies in the new one."""

    shape: tuple[int, int]
    steps: tuple[str, ...]
    """What was done, in words."""


def even_stack(
    place: object,
    positions: Float[np.ndarray, "slice 3"],
    directions: Float[np.ndarray, "3 3"],
    pixel_mm: tuple[float, float],
    shape: tuple[int, int],
    read: Callable[[int], Slice],
    *,
    may_resample: bool,
) -> EvenStack:
    """Plan an even stack of slices sorted along their normal.

    Args:
        place: What errors name.
        positions: Of the first pixels, in mm.
        directions: Unit vectors along increasing column, along increasing row, and the normal.
        pixel_mm: Row and column spacing.
        shape: Of every slice.
        read: Returns the pixels of a slice; asked only where two lie at one position.
        may_resample: Otherwise anything uneven is an error.

    Raises:
        InputError: One slice; or uneven, and not to be resampled; or two different slices at one
            position.
    """
    if len(positions) < 2:
        raise InputError(place, "one slice, expected at least two", "Give the whole series")
    steps: list[str] = []
    kept = _without_doubles(place, positions @ directions[2], read, may_resample, steps)
    along = (positions @ directions[2])[kept]
    between, start, spacing = even_places(place, along, may_resample, steps)
    sources = tuple((kept[below], kept[above], weight) for below, above, weight in between)
    across = (positions[kept] - positions[kept[0]]) @ directions[:2].T  # (col, row) in mm
    across_px = across[:, ::-1] / np.array(pixel_mm)
    bottom = positions[kept[0]] + (start - along[0]) * directions[2]
    length = float(along[-1] - along[0])
    tilt = math.degrees(math.atan2(float(np.linalg.norm(across[-1])), length))
    straight = np.outer((along - along[0]) / length, across[-1])
    beside_mm = np.linalg.norm(across - straight, axis=1)
    worst = int(beside_mm.argmax())
    is_beside = beside_mm[worst] > _BESIDE_PX * min(pixel_mm)
    if tilt <= _TILT_DEG and not is_beside:
        step = across[-1] / (len(sources) - 1) @ directions[:2] + spacing * directions[2]
        none = tuple((0.0, 0.0) for _ in positions)
        return EvenStack(sources, step, bottom, none, shape, tuple(steps))
    what = f"gantry tilted by {tilt:.1f} degrees"
    if is_beside:
        what = f"slices shifted within their plane, the sorted slice {kept[worst]} by "
        what += f"{beside_mm[worst]:.2g} mm"
    if not may_resample:
        raise InputError(place, what, RESAMPLE)
    steps.append(f"{what}: each put where it lies")
    first = np.minimum(across_px.min(axis=0), 0)
    rows, cols = (math.ceil(side) for side in across_px.max(axis=0) - first)
    shifts = np.zeros((len(positions), 2))
    shifts[kept] = across_px - first
    row_mm, col_mm = pixel_mm
    origin = bottom + first[0] * row_mm * directions[1] + first[1] * col_mm * directions[0]
    return EvenStack(
        sources,
        spacing * directions[2],
        origin,
        tuple((float(row), float(col)) for row, col in shifts),
        (shape[0] + rows, shape[1] + cols),
        tuple(steps),
    )


def lazy_stack(stack: EvenStack, read: Callable[[int], Slice]) -> Any:
    """Return the even stack as a dask array (slice, row, col), read and blended when asked for.

    Args:
        stack: Planned.
        read: Returns the pixels of a slice there is, in the shape of the stack.
    """

    def make(below: int, above: int, weight: float) -> Slice:
        if not HARDLY < weight < 1 - HARDLY:
            return read(above if weight > 0.5 else below)
        first, second = np.float32(1 - weight), np.float32(weight)
        return np.asarray(read(below) * first + read(above) * second, np.float32)

    lazily = delayed(make, pure=False)
    return da.stack([da.from_delayed(lazily(*s), stack.shape, np.float32) for s in stack.sources])


def shift(
    image: Slice, by_px: tuple[float, float], shape: tuple[int, int]
) -> Float[np.ndarray, "row2 col2"]:
    """Put a slice into a larger one at a place between pixels; all beside it is `OUTSIDE`."""
    rows, cols = by_px
    return placed(image, np.array([[1, 0, cols], [0, 1, rows]], np.float64), shape)


def placed(
    image: Slice,
    matrix: Float[np.ndarray, "2 3"],
    shape: tuple[int, int],
    *,
    flags: int = cv2.INTER_LINEAR,
) -> Float[np.ndarray, "row2 col2"]:
    """Resample a slice onto another grid (bilinear); all beside it is `OUTSIDE`.

    A pixel is outside where more than half of what it would be mixed of is; values are means of
    what was scanned.

    Args:
        image: Perhaps with pixels that are outside.
        matrix: To the other grid, (x, y), or from it: OpenCV's `WARP_INVERSE_MAP`.
        shape: Of the other grid.
        flags: OpenCV's.
    """
    is_inside = image != OUTSIDE
    if not is_inside.any():
        return np.full(shape, OUTSIDE, np.float32)
    flat = np.dstack([np.where(is_inside, image, 0), is_inside]).astype(np.float32)
    total, share = cv2.split(cv2.warpAffine(flat, matrix, shape[::-1], flags=flags))
    found = total / np.maximum(share, 0.5)
    return np.asarray(np.where(share >= 0.5, found, OUTSIDE), np.float32)


def _without_doubles(
    place: object,
    along: Float[np.ndarray, " slice"],
    read: Callable[[int], Slice],
    may_resample: bool,
    steps: list[str],
) -> list[int]:
    """Return the slices of which no two lie at one position."""
    kept = [0]
    doubled = 0
    for number in range(1, len(along)):
        if along[number] - along[kept[-1]] > DOUBLE_MM:
            kept.append(number)
            continue
        if not np.array_equal(read(kept[-1]), read(number)):
            raise InputError(
                place,
                f"two different slices at one position (number {number} of the sorted), and "
                "nothing in their headers makes them two volumes",
                "Keep the files of one volume",
            )
        if not may_resample:
            raise InputError(
                place,
                f"two slices at one position (number {number} of the sorted), alike",
                "Delete one of them, or leave it out: --set volume.uneven=resample",
            )
        doubled += 1
    if doubled:
        steps.append(f"{doubled} doubled slices left out")
    if len(kept) < 2:
        raise InputError(place, "all slices at one position", "Give a series of slices")
    return kept
