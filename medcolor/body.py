"""Masks of bodies, boxes around them, and the grid that matching works on."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from medcolor.domain import SQUARE, Box, PixelShape, TargetSlice

_STRIDE_PX = 16
"""Coarsest stride of the features: working images are padded to whole cells."""

HALF_SIDE = 2.6
"""Half side of what fc6 is shown around a body, in its standard deviations."""

_MOST_SQUARE_PX = 2048
"""Long side that images may grow to when their pixels are made square, unless they are larger."""


def largest_parts(
    mask: Bool[np.ndarray, "row col"], *, least_thickness: float = 0.22
) -> Bool[np.ndarray, "row col"]:
    """Keep the thick connected parts (4-neighbours), holes filled.

    Arms beside a trunk stay; tables, pillows and specks, thin against it, go.

    Args:
        mask: Candidates.
        least_thickness: Radius of the largest disc inside a part, against that of the
            thickest part, from which it is kept.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    framed = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[1:-1, 1:-1]
    radius = np.zeros(count)
    np.maximum.at(radius, labels.ravel().astype(np.intp), depth.ravel())
    kept = (radius >= least_thickness * radius.max())[labels] & mask
    return fill_holes(kept)


def fill_holes(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Fill what the outside cannot reach."""
    padded = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2)


def touching(
    mask: Bool[np.ndarray, "row col"], seeds: Bool[np.ndarray, "row col"]
) -> Bool[np.ndarray, "row col"]:
    """Return the parts of `mask` that hold a seed (4-neighbours)."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[np.unique(parts[seeds & mask])] = True
    return np.asarray(kept[parts] & mask)


def border_of(image: Shaped[np.ndarray, "row col *channel"]) -> Shaped[np.ndarray, ...]:
    """Return the pixels at the border of an image, in a row."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def parts_at_border(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Return the parts of `mask` that reach the border of the image."""
    border = np.ones(mask.shape, bool)
    border[1:-1, 1:-1] = False
    return touching(mask, border)


def disc(radius: int) -> UInt8[np.ndarray, "row col"]:
    """Return a disc as a kernel of morphology."""
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def bounding_box(
    mask: Bool[np.ndarray, "row col"], *, margin: float = 0.04, pixel: PixelShape = SQUARE
) -> Box | None:
    """Return the box around a mask with a margin (share of its long side), or None if empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    extent = max((at[-1] - at[0] + 1) * side for at, side in zip((rows, cols), pixel, strict=True))
    pad = max(1, round(margin * extent))
    above, beside = (round(pad / side) for side in pixel)
    return Box(
        max(0, int(rows[0]) - above),
        min(mask.shape[0], int(rows[-1]) + 1 + above),
        max(0, int(cols[0]) - beside),
        min(mask.shape[1], int(cols[-1]) + 1 + beside),
    )


def body_box(target: TargetSlice) -> Box | None:
    """Return the box around the body of a slice, or None without one."""
    return bounding_box(target.body, pixel=target.pixel)


def working_shape(box: Box, long_side_px: int, *, pixel: PixelShape = SQUARE) -> tuple[int, int]:
    """Return the (row, col) size of a box in square pixels whose long side is `long_side_px`."""
    rows, cols = (count * side for count, side in zip(box.shape, pixel, strict=True))
    scale = long_side_px / max(rows, cols)
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def square_shape(shape: tuple[int, int], pixel: PixelShape) -> tuple[int, int]:
    """Return the (row, col) size of an image whose pixels are made square.

    They are as large as its pixels are at their shorter side, unless that made a huge image.
    """
    if pixel == SQUARE:
        return shape
    rows, cols = (count * side for count, side in zip(shape, pixel, strict=True))
    side = max(1.0, max(rows, cols) / max(_MOST_SQUARE_PX, *shape))
    return max(1, round(rows / side)), max(1, round(cols / side))


def body_square(mask: Bool[np.ndarray, "row col"]) -> tuple[int, int, int] | None:
    """Return first row, first column and side of the square a body fills, or None if empty.

    Pixels are square. It is centred on the body's centre of mass, its half side 2.6 times the
    larger standard deviation (a disc has its radius at 2): stretched arms or a speck move it
    little, as they would move a bounding box. It may reach beyond the image.
    """
    rows, cols = np.nonzero(mask)
    if len(rows) == 0:
        return None
    half = max(1, math.ceil(HALF_SIDE * max(rows.std(), cols.std()) + 0.5))
    row, col = (round(float(places.mean() + 0.5)) for places in (rows, cols))
    return row - half, col - half, 2 * half


def resize(
    image: Shaped[np.ndarray, "row col *channel"], shape: tuple[int, int]
) -> Shaped[np.ndarray, ...]:
    """Resample to (row, col) `shape`: area mean when shrinking, linear when growing.

    Where the shape of pixels changes each axis does one or the other: OpenCV's area mean of an
    image that grows along one axis leaves out pixels along the other.
    """
    rows, cols = image.shape[:2]
    if (rows, cols) == shape:
        return image
    if _is_scaled((rows, cols), shape) or _is_scaled(shape, (rows, cols)):
        return _resampled(image, shape, shrinks=shape[0] < rows)
    upright = _resampled(image, (shape[0], cols), shrinks=shape[0] < rows)
    return _resampled(upright, shape, shrinks=shape[1] < cols)


def _is_scaled(large: tuple[int, int], small: tuple[int, int]) -> bool:
    """Tell whether one size is another times a number, rounded, and 1 at least."""
    pairs = list(zip(small, large, strict=True))
    low = max((part - 0.5) / whole if part > 1 else 0 for part, whole in pairs)
    return low <= min((part + 0.5) / whole for part, whole in pairs)


def _resampled(
    image: Shaped[np.ndarray, "row col *channel"], shape: tuple[int, int], *, shrinks: bool
) -> Shaped[np.ndarray, ...]:
    if image.shape[:2] == shape:
        return image
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=method))


def resize_mask(
    mask: Bool[np.ndarray, "row col"], shape: tuple[int, int]
) -> Bool[np.ndarray, "row2 col2"]:
    """Resample a mask: a pixel is in where at least half of it is."""
    return np.asarray(resize(mask.astype(np.float32), shape) >= 0.5)


def pad_to_cells(
    image: Shaped[np.ndarray, "row col *channel"],
) -> Shaped[np.ndarray, ...]:
    """Pad rows and columns at the end with zeros to multiples of the coarsest stride."""
    rows, cols = image.shape[:2]
    pads = [(0, -rows % _STRIDE_PX), (0, -cols % _STRIDE_PX)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, pads)
