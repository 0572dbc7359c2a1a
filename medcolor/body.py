"""Masks of bodies, boxes around them, and the grid that matching works on."""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Bool, Shaped

from medcolor.domain import Box

_STRIDE_PX = 16
"""Coarsest stride of the features: working images are padded to whole cells."""

HALF_SIDE = 2.6
"""Half side of what fc6 is shown around a body, in its standard deviations."""


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


def bounding_box(mask: Bool[np.ndarray, "row col"], *, margin: float = 0.04) -> Box | None:
    """Return the box around a mask with a margin (share of its long side), or None if empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    extent = max(rows[-1] - rows[0], cols[-1] - cols[0]) + 1
    pad = max(1, round(margin * extent))
    return Box(
        max(0, int(rows[0]) - pad),
        min(mask.shape[0], int(rows[-1]) + 1 + pad),
        max(0, int(cols[0]) - pad),
        min(mask.shape[1], int(cols[-1]) + 1 + pad),
    )


def working_shape(box: Box, long_side_px: int) -> tuple[int, int]:
    """Return the (row, col) size of a box scaled so that its long side is `long_side_px`."""
    rows, cols = box.shape
    scale = long_side_px / max(rows, cols)
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def body_square(mask: Bool[np.ndarray, "row col"]) -> tuple[int, int, int] | None:
    """Return first row, first column and side of the square a body fills, or None if empty.

    It is centred on the body's centre of mass, its half side 2.6 times the larger standard
    deviation (a disc has its radius at 2): stretched arms or a speck move it little, as
    they would move a bounding box. It may reach beyond the image.
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
    """Resample to (row, col) `shape`: area mean when shrinking, linear when growing."""
    if image.shape[:2] == shape:
        return image
    shrinks = shape[0] < image.shape[0]
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
