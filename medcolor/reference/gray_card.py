"""The gray scale card in a frame: where it lies, and the white balance it gives.

The KODAK Gray Scale has twenty neutral patches in a row, a tenth of density apart,
on a grey back. The card may lie anywhere, turned or mirrored; what tells it from all
else is a staircase of neutral greys that rises from black to white.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from medcolor.body import disc
from medcolor.color import linear_to_srgb, srgb_to_linear
from medcolor.reference.shapes import Mask, Rect, draw_rectangle, rectangle_around, shrink

Gains = tuple[float, float, float]
"""Of linear red, green and blue."""

_LEVEL = 45
"""Brightest channel, 0..255, from which a neutral pixel may be the card's back or a patch."""

_COLOURFUL = 0.22
"""Spread of the channels against the brightest up to which a pixel is neutral in coloured light."""

_SIDES = (0.1, 0.5)
"""Long side of a card against that of the frame."""

_ASPECTS = (1.8, 9.0)
"""Long against short side of a card's visible part."""

_MARGIN_PX = 4
"""By which a card is larger than what is found of it, at both sides together; reduced copy."""

_PATCHES = 20
_STRIP = (24, 12 * _PATCHES)
"""Rows and columns that a candidate is resampled to."""

_LEAST_LENGTH = 0.7
"""Of the staircase against what was found: the darkest patches may be one in the noise."""

_UNEVEN = 0.03
"""Mean departure from a rising staircase, against its range, up to which it is one."""

_STEEPEST = 0.35
"""Rise from one patch to the next against the whole: one edge is no staircase."""

_DARKEST_RATIO = 5.0
"""White against black in sRGB values, at least."""

_PATCH_RANGE = (0.3, 0.92)
"""Display values of patches, against the white one, that gains are read from: darker ones are
noisy, brighter ones may be clipped in one channel."""


_UNCLIPPED_PERCENT = 99.5
"""Share of the tissue that is never clipped: highlights on wet surfaces may be."""


@dataclass(frozen=True)
class Card:
    """A gray scale card."""

    mask: Mask
    """Where it lies, at the frame's resolution, with a margin."""

    patches: Float[np.ndarray, "place 3"]
    """sRGB 0..1 along the staircase, black to white."""


def find_card(rgb: UInt8[np.ndarray, "row col 3"]) -> Card | None:
    """Return the card, or None where none is visible."""
    small = shrink(rgb)
    best: tuple[float, Card] | None = None
    for rect in _candidates(small):
        strip = _staircase(_upright(small, rect))
        if strip is None:
            continue
        length = max(rect[1])
        if best is None or length > best[0]:
            mask = draw_rectangle(rect, _MARGIN_PX, small.shape[:2])
            whole = cv2.resize(mask.astype(np.uint8), rgb.shape[1::-1], interpolation=0) > 0
            best = length, Card(np.asarray(whole), strip)
    return None if best is None else best[1]


def gains_of_card(card: Card, white: float) -> Gains:
    """Return the linear gains (R, G, B) that make the card neutral and its white patch `white`.

    Args:
        card: The card.
        white: Display value 0..1 of the white patch.
    """
    display = card.patches.max(axis=1)
    low, high = (share * display.max() for share in _PATCH_RANGE)
    linear = srgb_to_linear(card.patches)
    middle = linear[(display >= low) & (display <= high)]
    ratio = np.median(middle[:, 1:2] / np.maximum(middle, 1e-4), axis=0)
    # A clipped channel is too dark; the largest one tells white best.
    patch = _STRIP[1] // _PATCHES
    brightest = float(np.median(np.sort((linear * ratio).max(axis=1))[-patch:]))
    red, green, blue = (float(g) for g in ratio * (srgb_to_linear(np.array(white)) / brightest))
    return red, green, blue


def unclipped(gains: Gains, tissue: UInt8[np.ndarray, "pixel 3"]) -> Gains:
    """Return gains lowered together, so that they clip no more than a trace of the tissue."""
    values = srgb_to_linear(np.arange(256) / 255)
    brightest = np.max([gain * values[tissue[:, i]] for i, gain in enumerate(gains)], axis=0)
    excess = max(1.0, float(np.percentile(brightest, _UNCLIPPED_PERCENT))) if len(tissue) else 1.0
    red, green, blue = (gain / excess for gain in gains)
    return red, green, blue


def apply_gains(
    rgb: UInt8[np.ndarray, "row col 3"], gains: Gains | None
) -> UInt8[np.ndarray, "row col 3"]:
    """Multiply linear light by the gains; sRGB in and out."""
    if gains is None:
        return rgb
    values = srgb_to_linear(np.arange(256) / 255)
    tables = [np.round(255 * np.clip(linear_to_srgb(values * gain), 0, 1)) for gain in gains]
    table = np.stack(tables, axis=-1).astype(np.uint8)
    return np.asarray(cv2.LUT(rgb, table[None]))


def _candidates(small: UInt8[np.ndarray, "row col 3"]) -> list[Rect]:
    """Return the neutral parts that are shaped like a card."""
    values = cv2.GaussianBlur(small, (0, 0), 0.7).astype(np.float32)
    high, low = values.max(axis=-1), values.min(axis=-1)
    neutral = ((high >= _LEVEL) & (high - low <= _COLOURFUL * high)).astype(np.uint8)
    closed = cv2.morphologyEx(neutral, cv2.MORPH_CLOSE, disc(2))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(3))
    count, parts = cv2.connectedComponents(opened, connectivity=4)
    found = []
    for number in range(1, count):
        rect = rectangle_around(parts == number)
        short, long = sorted(rect[1])
        if (
            _SIDES[0] <= long / max(small.shape) <= _SIDES[1]
            and _ASPECTS[0] <= long / short <= _ASPECTS[1]
        ):
            found.append(rect)
    return found


def _upright(
    small: UInt8[np.ndarray, "row col 3"], rect: Rect
) -> Float[np.ndarray, "strip_row strip_col 3"]:
    """Return the rectangle's surroundings, its long side along the columns, sRGB 0..1."""
    (col, row), (width, height), turn = rect
    if width < height:
        width, height, turn = height, width, turn + 90
    angle = np.deg2rad(turn)
    along = np.array([np.cos(angle), np.sin(angle)]) * width
    across = np.array([-np.sin(angle), np.cos(angle)]) * height * 1.5
    corner = np.array([col, row]) - along / 2 - across / 2
    source = np.array([corner, corner + along, corner + across], np.float32)
    target = np.array([[0, 0], [_STRIP[1], 0], [0, 2 * _STRIP[0]]], np.float32)
    place = cv2.getAffineTransform(source, target)
    return np.asarray(cv2.warpAffine(small, place, (_STRIP[1], 2 * _STRIP[0])), np.float32) / 255


def _staircase(patch: Float[np.ndarray, "row col 3"]) -> Float[np.ndarray, "place 3"] | None:
    """Return the rising row of greys in the patch, black to white; None if it holds none."""
    best = None
    for turned in (patch, patch[:, ::-1]):
        rises = np.array([_rises(row.mean(axis=-1)) for row in turned])
        run = _longest_run(rises)
        if len(run) >= 4 and (best is None or len(run) > len(best[0])):
            best = run, turned
    if best is None:
        return None
    run, turned = best
    return np.asarray(np.median(turned[run[1:-1]], axis=0), np.float32)


def _rises(values: Float[np.ndarray, " place"]) -> bool:
    """Tell whether values rise from black to white in many steps; a little may lie beyond."""
    rising = values[: int(np.argmax(values)) + 1]
    rising = rising[int(np.argmin(rising)) :]
    top, bottom = float(rising[-1]), max(float(rising[0]), 1 / 255)
    if top < _DARKEST_RATIO * bottom or len(rising) < _LEAST_LENGTH * len(values):
        return False
    uneven = np.abs(np.maximum.accumulate(rising) - rising).mean() / (top - bottom)
    step = len(values) // _PATCHES
    steepest = (rising[2 * step :] - rising[: -2 * step]).max() / (top - bottom)
    return bool(uneven <= _UNEVEN and steepest <= _STEEPEST)


def _longest_run(flags: Bool[np.ndarray, " row"]) -> Int[np.ndarray, " run"]:
    """Return the indices of the longest stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    starts, stops = edges[::2], edges[1::2]
    if len(starts) == 0:
        return np.arange(0)
    longest = int(np.argmax(stops - starts))
    return np.arange(starts[longest], stops[longest])
