"""Many references on one sheet, to see at a glance whether all were cut out well."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

THUMBNAIL_PX = 160
MOST_THUMBNAILS = 400
"""Of longer stacks, frames spread evenly over them are shown."""

_CAPTION_PX = 16
_OUTLINE = (255, 0, 255)

Thumbnail = UInt8[np.ndarray, "cell_row cell_col 3"]


def draw_thumbnail(
    rgb: UInt8[np.ndarray, "row col 3"], body: Bool[np.ndarray, "row col"], caption: str
) -> Thumbnail:
    """Return a square picture of a reference with the outline of its body, its name below."""
    scale = THUMBNAIL_PX / max(body.shape)
    size = tuple(max(1, round(side * scale)) for side in body.shape[::-1])
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(body.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(small, outlines, -1, _OUTLINE, 1)
    cell = np.full((THUMBNAIL_PX + _CAPTION_PX, THUMBNAIL_PX, 3), 255, np.uint8)
    row, col = ((THUMBNAIL_PX - side) // 2 for side in small.shape[:2])
    cell[row : row + small.shape[0], col : col + small.shape[1]] = small
    place = (4, THUMBNAIL_PX + _CAPTION_PX - 4)
    cv2.putText(cell, caption, place, cv2.FONT_HERSHEY_PLAIN, 0.9, (0, 0, 0), 1, cv2.LINE_AA)
    return cell


def draw_contact_sheet(
    thumbnails: Sequence[Thumbnail],
) -> UInt8[np.ndarray, "sheet_row sheet_col 3"]:
    """Lay thumbnails out in rows, about as wide as high."""
    columns = max(1, math.ceil(math.sqrt(len(thumbnails))))
    blank = np.full_like(thumbnails[0], 255)
    cells = [*thumbnails, *[blank] * (-len(thumbnails) % columns)]
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return np.vstack(rows)


def shown_on_sheet(count: int) -> list[int]:
    """Return which of so many frames are shown."""
    if count <= MOST_THUMBNAILS:
        return list(range(count))
    return [int(k) for k in np.linspace(0, count - 1, MOST_THUMBNAILS).round()]
