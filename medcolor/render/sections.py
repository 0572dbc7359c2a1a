"""Axial, coronal and sagittal sections of a coloured volume, as a radiologist looks at them.

Axial seen from the feet (the patient's right at the left), coronal from the front, sagittal from
the left with the front at the left; heads up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import zarr
from jaxtyping import UInt8

from medcolor.storage import Place
from medcolor.volume.store import Level, open_level

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
show what is darker, and air inside the body has colours too, which nobody should see."""

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
    is_smaller = size[0] < image.shape[1]
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method))


def middle_sections(volume: Place, level: Level, *, has_grey: bool) -> dict[str, Rgb]:
    """Return the three sections through the middle of the body, grey beside colour, and a sheet.

    Each of the three has a scale bar; the sheet shows axial sections, head first.

    Args:
        volume: Coloured volume.
        level: Its finest level.
        has_grey: Whether alpha is the scan's display grey.
    """
    array = open_level(volume, level.index)
    at = _middle(array, level)
    found: dict[str, Rgb] = {}
    for plane in PLANES:
        rgba, pixel_mm = read_section(array, level, plane, at[plane])
        section = cut(rgba, pixel_mm, plane, _LONG_SIDE_PX, has_grey=has_grey)
        found[plane] = _with_bar(_beside(section), section.mm_per_px)
    found["sheet"] = _sheet(array, level, has_grey=has_grey)
    return found


def read_section(
    array: zarr.Array[Any], level: Level, plane: Plane, index: int
) -> tuple[Rgba, tuple[float, float]]:
    """Return one section as it lies in the volume, and the distance of its rows and columns."""
    z_mm, y_mm, x_mm = level.spacing_mm
    if plane == "axial":
        pixels, pixel_mm = array[:, index], (y_mm, x_mm)
    elif plane == "coronal":
        pixels, pixel_mm = array[:, :, index], (z_mm, x_mm)
    else:
        pixels, pixel_mm = array[:, :, :, index], (z_mm, y_mm)
    return np.moveaxis(np.asarray(pixels), 0, -1), pixel_mm


def spread(level: Level, plane: Plane, count: int) -> list[tuple[int, float]]:
    """Return indices of evenly spread sections, and their distances in mm from the first."""
    axis = PLANES.index(plane)
    side, mm = level.shape[axis], level.spacing_mm[axis]
    at = np.unique(np.linspace(0, side - 1, min(count, side)).round().astype(int))
    return [(int(index), float(index * mm)) for index in at]


def _middle(array: zarr.Array[Any], level: Level) -> dict[Plane, int]:
    """Return the section of each plane in the middle of the box of all that is visible.

    Found slice by slice from a coarse sampling, so that memory does not grow with the volume.
    """
    depth = level.shape[0]
    step = max(1, depth // 32)
    visible = {z: np.asarray(array[3, z]) > 0 for z in range(0, depth, step)}
    shown = [z for z, mask in visible.items() if mask.any()]
    if not shown:
        return {plane: side // 2 for plane, side in zip(PLANES, level.shape, strict=True)}
    mask = np.logical_or.reduce([visible[z] for z in shown])
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return {
        "axial": (shown[0] + shown[-1]) // 2,
        "coronal": int(rows[0] + rows[-1]) // 2,
        "sagittal": int(cols[0] + cols[-1]) // 2,
    }


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


def _sheet(array: zarr.Array[Any], level: Level, *, has_grey: bool) -> Rgb:
    """Return evenly spread axial sections, head first, each grey beside colour."""
    cells = []
    for index, _ in reversed(spread(level, "axial", _SHEET_COLUMNS * _SHEET_ROWS)):
        rgba, pixel_mm = read_section(array, level, "axial", index)
        cells.append(_beside(cut(rgba, pixel_mm, "axial", _SHEET_CELL_PX, has_grey=has_grey)))
    blank = np.zeros_like(cells[0])
    cells += [blank] * (-len(cells) % _SHEET_COLUMNS)
    rows = [
        np.concatenate(cells[start : start + _SHEET_COLUMNS], axis=1)
        for start in range(0, len(cells), _SHEET_COLUMNS)
    ]
    return np.concatenate(rows)
