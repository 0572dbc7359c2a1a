"""What the Triton kernels of matching share: reading the table of searches, and tone.

Names of one search: `rows`, `cols` and `row`, `col` are those of its own image, `rows2` .. of the
other; `level` 0 is relu1_1. Searches that are not `forward` go from the photograph to the slice.
"""

from __future__ import annotations

import triton.language as tl

from medcolor import gpu
from medcolor.matching import searches

_COLUMNS = tl.constexpr(searches.COLUMNS)
_FIRST = tl.constexpr(searches.FIRST_LEVEL)
_PER_LEVEL = tl.constexpr(searches.PER_LEVEL)
_EXTENT = tl.constexpr(searches.EXTENT)

OWN_UNIT = tl.constexpr(searches.OWN_UNIT)
OTHER_UNIT = tl.constexpr(searches.OTHER_UNIT)
OWN_TONE = tl.constexpr(searches.OWN_TONE)
OTHER_TONE = tl.constexpr(searches.OTHER_TONE)
OWN_MASK = tl.constexpr(searches.OWN_MASK)
OTHER_MASK = tl.constexpr(searches.OTHER_MASK)

KNOTS = tl.constexpr(33)
SHARE = tl.constexpr(33)
LEAVE = tl.constexpr(34)
LESSON = tl.constexpr(128)
"""What tone teaches of a pair (`tone_triton.py`): the curve at its knots, the share of tone in
the score, the cost of leaving; so many values in all, with room to work in."""

_ANGLE = tl.constexpr(3.0)


@gpu.kernel()
def shapes_of(table, search, level):
    """Return rows and columns of both images of a search at a level."""
    at = table + search * _COLUMNS
    return (
        (tl.load(at) >> level).to(tl.int32),
        (tl.load(at + 1) >> level).to(tl.int32),
        (tl.load(at + 2) >> level).to(tl.int32),
        (tl.load(at + 3) >> level).to(tl.int32),
    )


@gpu.kernel()
def extents_of(table, search):
    """Return rows and columns of both images before they were padded, in pixels."""
    at = table + search * _COLUMNS + _EXTENT
    return (
        tl.load(at).to(tl.float32),
        tl.load(at + 1).to(tl.float32),
        tl.load(at + 2).to(tl.float32),
        tl.load(at + 3).to(tl.float32),
    )


@gpu.kernel()
def address(table, search, level, COLUMN: tl.constexpr):
    """Return what a column of a level holds."""
    return tl.load(table + search * _COLUMNS + _FIRST + level * _PER_LEVEL + COLUMN)


@gpu.kernel()
def halves(table, search, level, COLUMN: tl.constexpr):
    """Return the features of a level; their address is a multiple of 32 bytes."""
    pointer = address(table, search, level, COLUMN).to(tl.pointer_type(tl.float16))
    return tl.multiple_of(pointer, 16)


@gpu.kernel()
def floats(table, search, level, COLUMN: tl.constexpr):
    """Return the tones of a level."""
    return address(table, search, level, COLUMN).to(tl.pointer_type(tl.float32))


@gpu.kernel()
def flags(table, search, level, COLUMN: tl.constexpr):
    """Return the mask of a level."""
    return address(table, search, level, COLUMN).to(tl.pointer_type(tl.int8))


@gpu.kernel()
def read_curve(curve, tone):
    """Return a curve at tones 0..1, linear between its knots."""
    place = tl.minimum(tl.maximum(tone, 0.0), 1.0) * (KNOTS - 1)
    below = tl.minimum(place.to(tl.int32), KNOTS - 2)
    part = place - below.to(tl.float32)
    return tl.load(curve + below) * (1 - part) + tl.load(curve + below + 1) * part


@gpu.kernel()
def comparable_tone(tones, at, inside, lesson, is_scan):
    """Return tones that can be compared: those of a scan as the photograph would have them."""
    tone = tl.load(tones + at, mask=inside, other=0.0)
    return tl.where(is_scan, read_curve(lesson, tone), tone)


@gpu.kernel()
def count_inside(at, to, size, size2, REACH: tl.constexpr):
    """Count the offsets of a patch, along one axis, for which both partners lie inside."""
    before = tl.minimum(REACH, tl.minimum(at, to))
    after = tl.minimum(REACH, tl.minimum(size - 1 - at, size2 - 1 - to))
    return 1 + before + after


@gpu.kernel()
def with_tone(cosine, tone, mask, tone2, mask2, share):
    """Return products of cells in which tone has its share; cells without tissue have none.

    Tones are points of a circle, as in `tone.append_tone`: their product is that of two by two
    coordinates, which takes far fewer cosines than one for every pair of cells.
    """
    across, across2 = tl.cos(tone * _ANGLE), tl.cos(tone2 * _ANGLE)
    up, up2 = tl.sin(tone * _ANGLE), tl.sin(tone2 * _ANGLE)
    across, up = tl.where(mask != 0, across, 0.0), tl.where(mask != 0, up, 0.0)
    across2, up2 = tl.where(mask2 != 0, across2, 0.0), tl.where(mask2 != 0, up2, 0.0)
    alike = across[:, None] * across2[None, :] + up[:, None] * up2[None, :]
    return cosine * (1 - share) + alike * share


@gpu.kernel()
def agreement(position, pair, row, col, inside, canvas_rows, canvas_cols, pairs, scale):
    """Return the matches of some cells of a slice, and the confidence in them.

    That is exp(-(d / scale)^2 / 2), d the distance between a cell and its way there and back.
    """
    plane = canvas_rows * canvas_cols
    there = position + 2 * pair.to(tl.int64) * plane + row * canvas_cols + col
    row2 = tl.load(there, mask=inside, other=0)
    col2 = tl.load(there + plane, mask=inside, other=0)
    back = position + 2 * (pairs + pair).to(tl.int64) * plane + row2 * canvas_cols + col2
    down = tl.load(back, mask=inside, other=0) - row
    right = tl.load(back + plane, mask=inside, other=0) - col
    away = (down * down + right * right).to(tl.float32)
    return row2, col2, tl.exp(-0.5 * away / (scale * scale))
