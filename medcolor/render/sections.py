"""Axial, coronal and sagittal sections of a coloured volume, as a radiologist looks at them.

Axial seen from the feet (the patient's right at the left), coronal from the front, sagittal from
the left with the front at the left; heads up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from medcolor.storage import Place
from medcolor.volume.levels import Level
from medcolor.volume.shards import StoredLevel
from medcolor.volume.store import read_slices

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")

EDGES: dict[Plane, tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
"""Where left, right, top and bottom of a section lie in the body."""

_LONG_SIDE_PX = 560
_GAP_PX = 8
_SHEET_COLUMNS, _SHEET_ROWS = 6, 3
_SHEET_CELL_PX = 220
_FADE = 0.06, 0.12
"""Display grey below which colours are black, and from which they are as they are: frames do not
show what is darker, and in the look `paper` air inside the body has colours, too."""

_MARGIN_MM = 4.0
"""Around the body."""

_BARS_MM = (500, 200, 100, 50, 20, 10, 5, 2, 1)
_BAR_SHARE = 0.35
"""Of a section's width that its scale bar takes at most."""

Rgba = UInt8[np.ndarray, "_row _col 4"]
Rgb = UInt8[np.ndarray, "_row _col 3"]


@dataclass(frozen=True)
class Cut:
    """A section in square pixels, as it is looked at."""

    color: Rgb
    grey: Rgb | None
    """The scan; None if alpha is not its grey level."""

    mm_per_px: float


def cut(
    rgba: Rgba, pixel_mm: tuple[float, float], plane: Plane, long_side_px: int, *, has_grey: bool
) -> Cut:
    """Turn stored pixels into what is looked at.

    Args:
        rgba: Section as it lies in the volume: rows (y or z), columns (x or y).
        pixel_mm: Distance of its rows and columns.
        plane: Which section.
        long_side_px: Of the result.
        has_grey: Whether alpha is the scan's display grey.
    """
    # z grows toward the head, image rows grow downward.
    turned = np.ascontiguousarray(rgba if plane == "axial" else rgba[::-1])
    grey = np.repeat(turned[..., 3:], 3, axis=-1) if has_grey else None
    color = _shown(turned, has_grey=has_grey)
    rows_mm, cols_mm = (side * mm for side, mm in zip(rgba.shape[:2], pixel_mm, strict=True))
    mm_per_px = max(rows_mm, cols_mm) / long_side_px
    size = max(1, round(cols_mm / mm_per_px)), max(1, round(rows_mm / mm_per_px))
    return Cut(_scaled(color, size), None if grey is None else _scaled(grey, size), mm_per_px)


def _shown(rgba: Rgba, *, has_grey: bool) -> Rgb:
    """Return colours on black."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    low, high = _FADE if has_grey else (0.0, 1 / 255)
    visible = np.clip((alpha - low) / (high - low), 0, 1)
    return np.rint(rgba[..., :3] * visible).astype(np.uint8)


def _scaled(image: Rgb, size: tuple[int, int]) -> Rgb:
    (cols, rows), (own_rows, own_cols) = size, image.shape[:2]
    if (cols - own_cols) * (rows - own_rows) < 0:
        # Of pixels that are not square one axis shrinks, and is averaged, before the other grows.
        less = min(cols, own_cols), min(rows, own_rows)
        image = np.asarray(cv2.resize(image, less, interpolation=cv2.INTER_AREA))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))
    is_smaller = cols < own_cols
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method))


@dataclass(frozen=True)
class BodyBox:
    """Where the body lies, with a little around it: sections show no more."""

    sides_mm: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    """From and to, along (z, y, x), from the centre of the finest level's first voxel."""

    def of(self, level: Level) -> tuple[slice, slice, slice]:
        """Return the box in voxels of a level."""

        def side(axis: int) -> slice:
            mm, shift, count = (
                level.spacing_mm[axis],
                level.translation_mm[axis],
                level.shape[axis],
            )
            low, high = ((at - shift) / mm for at in self.sides_mm[axis])
            start = min(max(0, math.floor(low)), count - 1)
            return slice(start, max(start + 1, min(count, math.ceil(high) + 1)))

        return side(0), side(1), side(2)


def find_body(volume: Place, levels: tuple[Level, ...]) -> BodyBox:
    """Find the body on the coarsest level; all of the volume if there is none."""
    level = levels[-1]
    visible = read_slices(volume, level.index, range(level.shape[0]))[..., 3] > 255 * _FADE[0]

    def side(axis: int) -> tuple[float, float]:
        at = np.flatnonzero(visible.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = (at[0], at[-1]) if len(at) else (0, level.shape[axis] - 1)
        mm, shift = level.spacing_mm[axis], level.translation_mm[axis]
        margin = mm + _MARGIN_MM
        return float(low * mm + shift - margin), float(high * mm + shift + margin)

    return BodyBox((side(0), side(1), side(2)))


def middle_sections(volume: Place, levels: tuple[Level, ...], *, has_grey: bool) -> dict[str, Rgb]:
    """Return the three sections through the middle of the body, grey beside colour, and a sheet.

    Each of the three has a scale bar; the sheet shows axial sections, head first.

    Args:
        volume: Coloured volume.
        levels: Its pyramid; the finest level is shown.
        has_grey: Whether alpha is the scan's display grey.
    """
    level, array = levels[0], StoredLevel(volume, levels[0].index)
    box = find_body(volume, levels).of(level)
    found: dict[str, Rgb] = {}
    for axis, plane in enumerate(PLANES):
        middle = (box[axis].start + box[axis].stop - 1) // 2
        rgba, pixel_mm = read_section(array, level, plane, middle, box)
        section = cut(rgba, pixel_mm, plane, _LONG_SIDE_PX, has_grey=has_grey)
        found[plane] = _with_bar(_beside(section), section.mm_per_px)
    found["sheet"] = _sheet(array, level, box, has_grey=has_grey)
    return found


def read_section(
    array: Any, level: Level, plane: Plane, index: int, box: tuple[slice, slice, slice]
) -> tuple[Rgba, tuple[float, float]]:
    """Return one section as it lies in the volume, and the distance of its rows and columns.

    Args:
        array: Level (c, z, y, x): of zarr, or read.
        level: Which it is.
        plane: Which section.
        index: Along the axis at right angles to it.
        box: What of it to read.
    """
    axis = PLANES.index(plane)
    chosen = tuple(index if other == axis else side for other, side in enumerate(box))
    row_mm, col_mm = (mm for other, mm in enumerate(level.spacing_mm) if other != axis)
    return np.moveaxis(np.asarray(array[:, *chosen]), 0, -1), (row_mm, col_mm)


def spread(level: Level, plane: Plane, count: int, within: slice) -> list[tuple[int, float]]:
    """Return indices of evenly spread sections, and their distances in mm from the first voxel."""
    axis = PLANES.index(plane)
    mm, shift = level.spacing_mm[axis], level.translation_mm[axis]
    inside = min(count, within.stop - within.start)
    at = np.unique(np.linspace(within.start, within.stop - 1, inside).round().astype(int))
    return [(int(index), float(shift + index * mm)) for index in at]


def _beside(section: Cut) -> Rgb:
    """Return grey to the left of colour; colour alone if there is no grey."""
    if section.grey is None:
        return section.color
    gap = np.zeros((section.color.shape[0], _GAP_PX, 3), np.uint8)
    return np.concatenate([section.grey, gap, section.color], axis=1)


def _with_bar(image: Rgb, mm_per_px: float) -> Rgb:
    """Return a picture above a scale bar of a round length."""
    cols = image.shape[1]
    length_mm = next((mm for mm in _BARS_MM if mm / mm_per_px <= _BAR_SHARE * cols), _BARS_MM[-1])
    strip = np.zeros((30, cols, 3), np.uint8)
    end = 10 + round(length_mm / mm_per_px)
    ivory = (232, 228, 220)
    cv2.rectangle(strip, (10, 13), (end, 16), ivory, -1)
    for at in (10, end):
        cv2.line(strip, (at, 9), (at, 20), ivory, 1)
    text = f"{length_mm} mm"
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, text, (end + 8, 20), font, 0.45, ivory, 1, cv2.LINE_AA)
    return np.concatenate([image, strip])


def _sheet(array: Any, level: Level, box: tuple[slice, slice, slice], *, has_grey: bool) -> Rgb:
    """Return evenly spread axial sections, head first, each grey beside colour."""
    cells = []
    for index, _ in reversed(spread(level, "axial", _SHEET_COLUMNS * _SHEET_ROWS, box[0])):
        rgba, pixel_mm = read_section(array, level, "axial", index, box)
        cells.append(_beside(cut(rgba, pixel_mm, "axial", _SHEET_CELL_PX, has_grey=has_grey)))
    blank = np.zeros_like(cells[0])
    cells += [blank] * (-len(cells) % _SHEET_COLUMNS)
    rows = [
        np.concatenate(cells[start : start + _SHEET_COLUMNS], axis=1)
        for start in range(0, len(cells), _SHEET_COLUMNS)
    ]
    return np.concatenate(rows)
