"""Many references on one sheet, to see at a glance whether all were cut out well."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from medcolor.body import resize_mask
from medcolor.reference.sheet import Tile, draw_sheet, fit

MOST_THUMBNAILS = 400
"""Of longer stacks, frames spread evenly over them are shown."""

_THUMBNAIL_PX = 160
_OUTLINE = (255, 0, 255)


def outlined(
    rgb: UInt8[np.ndarray, "row col 3"], body: Bool[np.ndarray, "row col"], caption: str
) -> Tile:
    """Return a reference, small, with the outline of its body and its name below."""
    small = fit(rgb, _THUMBNAIL_PX).copy()
    mask = resize_mask(body, (small.shape[0], small.shape[1])).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(small, outlines, -1, _OUTLINE, 1)
    return Tile(small, (caption,))


def draw_contact_sheet(title: str, tiles: Sequence[Tile]) -> UInt8[np.ndarray, "row col 3"]:
    """Lay thumbnails out in rows, about as wide as high."""
    return draw_sheet(title, tiles, math.ceil(math.sqrt(len(tiles))), _THUMBNAIL_PX)
