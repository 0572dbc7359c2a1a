"""Axial, coronal and sagittal sections, grey beside colour, in true proportions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zarr
from jaxtyping import UInt8

from medcolor.storage import Place
from medcolor.volume.images import write_png
from medcolor.volume.store import Level, open_level

_LONG_SIDE_PX = 560
_GAP_PX = 8
_SHEET_COLUMNS, _SHEET_ROWS = 6, 3
_SHEET_CELL_PX = 220

Rgba = UInt8[np.ndarray, "_row _col 4"]
Rgb = UInt8[np.ndarray, "_row _col 3"]


def write_sections(volume: Place, level: Level, folder: Path, opacity_low: float) -> list[Path]:
    """Write the three orthogonal sections through the middle of the body, and an axial sheet.

    Args:
        volume: Coloured volume.
        level: Its finest level.
        folder: Where `axial.png`, `coronal.png`, `sagittal.png`, `sheet.png` go.
        opacity_low: Alpha (0..1) below which colours fade, to black at half of it: frames do
            not show what is darker.
    """
    array = open_level(volume, level.index)
    z, y, x = _middle(array, level)
    _, row_mm, col_mm = level.spacing_mm
    depth_mm = level.spacing_mm[0]
    cuts = {
        # Head up: z grows toward the head, image rows grow downward.
        "axial": (array[:, z], (row_mm, col_mm), False),
        "coronal": (array[:, :, y], (depth_mm, col_mm), True),
        "sagittal": (array[:, :, :, x], (depth_mm, row_mm), True),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (cut, pixel_mm, upside_down) in cuts.items():
        rgba = np.moveaxis(np.asarray(cut), 0, -1)
        rgba = np.ascontiguousarray(rgba[::-1] if upside_down else rgba)
        pair = _in_proportion(_grey_beside_color(rgba, opacity_low), pixel_mm, _LONG_SIDE_PX)
        written.append(write_png(folder / f"{name}.png", pair))
    written.append(write_png(folder / "sheet.png", _sheet(array, level, opacity_low)))
    return written


def _middle(array: zarr.Array[Any], level: Level) -> tuple[int, int, int]:
    """Return the voxel in the middle of the box of all that is visible.

    Found slice by slice from a coarse sampling, so that memory does not grow with the volume.
    """
    depth = level.shape[0]
    step = max(1, depth // 32)
    visible = {z: np.asarray(array[3, z]) > 0 for z in range(0, depth, step)}
    shown = [z for z, mask in visible.items() if mask.any()]
    if not shown:
        return tuple(side // 2 for side in level.shape)  # type: ignore[return-value]
    mask = np.logical_or.reduce([visible[z] for z in shown])
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        (shown[0] + shown[-1]) // 2,
        int(rows[0] + rows[-1]) // 2,
        int(cols[0] + cols[-1]) // 2,
    )


def _grey_beside_color(rgba: Rgba, opacity_low: float) -> Rgb:
    """Return the scan (alpha is its luminance) to the left of its colours."""
    grey = np.repeat(rgba[..., 3:], 3, axis=-1)
    gap = np.zeros((rgba.shape[0], _GAP_PX, 3), np.uint8)
    # Air inside the body has colours too, but nobody should see them.
    low = 255 * opacity_low
    visible = np.clip((rgba[..., 3:] - low / 2) / max(1.0, low / 2), 0, 1)
    color = np.rint(rgba[..., :3] * visible).astype(np.uint8)
    return np.concatenate([grey, gap, color], axis=1)


def _in_proportion(image: Rgb, pixel_mm: tuple[float, float], half_px: int) -> Rgb:
    """Scale to square pixels, so that one of the two halves fits into `half_px`."""
    rows_mm = image.shape[0] * pixel_mm[0]
    cols_mm = (image.shape[1] - _GAP_PX) / 2 * pixel_mm[1]
    scale = half_px / max(rows_mm, cols_mm)
    width = round(image.shape[1] * pixel_mm[1] * scale)
    size = max(1, width), max(1, round(rows_mm * scale))
    method = cv2.INTER_AREA if size[1] < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method))


def _sheet(array: zarr.Array[Any], level: Level, opacity_low: float) -> Rgb:
    """Return evenly spread axial slices, head first, each grey beside colour."""
    count = min(_SHEET_COLUMNS * _SHEET_ROWS, level.shape[0])
    cells = []
    for z in np.linspace(level.shape[0] - 1, 0, count).round().astype(int):
        rgba = np.moveaxis(np.asarray(array[:, int(z)]), 0, -1)
        pair = _grey_beside_color(rgba, opacity_low)
        cells.append(_in_proportion(pair, level.spacing_mm[1:], _SHEET_CELL_PX))
    blank = np.zeros_like(cells[0])
    cells += [blank] * (-len(cells) % _SHEET_COLUMNS)
    rows = [
        np.concatenate(cells[start : start + _SHEET_COLUMNS], axis=1)
        for start in range(0, len(cells), _SHEET_COLUMNS)
    ]
    return np.concatenate(rows)
