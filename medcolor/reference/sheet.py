"""Sheets of captioned pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_TEXT_PX = 13
_LINE_PX = 17
_GAP_PX = 10
_PAPER, _INK, _FAINT = (24, 24, 24), (235, 235, 235), (160, 160, 160)


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet."""

    image: UInt8[np.ndarray, "row col 3"]
    lines: tuple[str, ...]
    """Under the picture: the first bright, the others faint."""


def spread_evenly(count: int, most: int) -> tuple[list[int], str]:
    """Return which of so many references a sheet shows, and its title."""
    numbers = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    title = f"{count} references"
    return numbers, title if len(numbers) == count else f"{len(numbers)} of {title}, evenly spaced"


def draw_sheet(
    title: str, tiles: Sequence[Tile], columns: int, tile_px: int
) -> UInt8[np.ndarray, "row col 3"]:
    """Draw pictures in rows, each fitted into a square with its lines beneath.

    Args:
        title: Of the sheet.
        tiles: At least one; all with as many lines as the first or fewer.
        columns: Most pictures a row.
        tile_px: Side of the squares.
    """
    columns = min(columns, len(tiles))
    height = tile_px + _LINE_PX * len(tiles[0].lines) + _GAP_PX
    rows = math.ceil(len(tiles) / columns)
    font = ImageFont.load_default(_TEXT_PX)
    width = max(columns * (tile_px + _GAP_PX), math.ceil(font.getlength(title)) + _GAP_PX) + _GAP_PX
    top = _LINE_PX + 2 * _GAP_PX
    sheet = Image.new("RGB", (width, top + rows * height + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP_PX, _GAP_PX), title, _INK, font)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, upper = _GAP_PX + column * (tile_px + _GAP_PX), top + row * height
        image = fit(tile.image, tile_px)
        spare_y, spare_x = (tile_px - side for side in image.shape[:2])
        sheet.paste(Image.fromarray(image), (left + spare_x // 2, upper + spare_y // 2))
        for line, text in enumerate(tile.lines):
            place = left, upper + tile_px + 2 + line * _LINE_PX
            draw.text(place, _cut(text, font, tile_px), _FAINT if line else _INK, font)
    return np.asarray(sheet)


def fit(image: UInt8[np.ndarray, "row col 3"], side_px: int) -> UInt8[np.ndarray, "_row _col 3"]:
    """Scale a picture so that its longer side has `side_px`."""
    rows, cols = image.shape[:2]
    scale = side_px / max(rows, cols)
    size = max(1, round(cols * scale)), max(1, round(rows * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=how))


def _cut(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> str:
    """Shorten a text to a width: its beginning goes, as names differ at their ends."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength("…" + text) > width_px:
        text = text[1:]
    return "…" + text
