"""Masks of things in a frame: parts, discs, turned rectangles, a reduced copy to search in."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

Mask = Bool[np.ndarray, "row col"]

Rect = tuple[tuple[float, float], tuple[float, float], float]
"""Middle (col, row), sides and turn in degrees, as OpenCV has them."""

SEARCH_PX = 512
"""Long side of the copy in which things are found before their outline is refined."""


def shrink(rgb: UInt8[np.ndarray, "row col 3"]) -> UInt8[np.ndarray, "row2 col2 3"]:
    """Return a copy whose long side is `SEARCH_PX` at most."""
    scale = SEARCH_PX / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def rectangle_around(mask: Mask) -> Rect:
    """Return the smallest turned rectangle around a mask that is not empty."""
    places = np.argwhere(mask)[:, ::-1].astype(np.float32)
    (col, row), (width, height), turn = cv2.minAreaRect(places)
    return (float(col), float(row)), (float(width) + 1, float(height) + 1), float(turn)


def draw_rectangle(rect: Rect, grown_px: int, shape: tuple[int, int]) -> Mask:
    """Draw a turned rectangle (middle, size, angle) that is some pixels larger."""
    sides = (rect[1][0] + grown_px, rect[1][1] + grown_px)
    drawn = np.zeros(shape, np.uint8)
    corners = np.round(cv2.boxPoints((rect[0], sides, rect[2]))).astype(np.int32)
    cv2.fillPoly(drawn, [corners], 1)
    return drawn > 0
