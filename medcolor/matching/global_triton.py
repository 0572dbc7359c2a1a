"""The global search as Triton kernels: one product of all cells, read in both directions.

The table of a pair holds the products of single cells; patch scores are summed along its
diagonals while the best is looked for, so that no other table is ever stored.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from medcolor import gpu
from medcolor.matching.field import NearestNeighborField
from medcolor.matching.kernels import (
    LEAVE,
    LESSON,
    OTHER_MASK,
    OTHER_TONE,
    OTHER_UNIT,
    OWN_MASK,
    OWN_TONE,
    OWN_UNIT,
    SHARE,
    comparable_tone,
    count_inside,
    extents_of,
    flags,
    floats,
    halves,
    shapes_of,
    with_tone,
)
from medcolor.matching.searches import Searches

_TILE = 64
"""Cells of each image that one program multiplies."""

_CHUNK = 32
_OWN, _OTHER = 8, 128
"""Cells for which one program searches, and candidates at a time."""


def search_everywhere(
    searches: Searches,
    index: int,
    lessons: Float[Tensor, "pair lesson"],
    coarse: NearestNeighborField | None,
    *,
    patch_px: int,
    position_prior: float,
    has_tone: bool,
) -> NearestNeighborField:
    """Return the best match of every cell of every search among all cells of the other image.

    As `search.search_global` does with what `coarse_to_fine.py` gives it.

    Args:
        searches: All are searched in two launches.
        index: Level to search.
        lessons: Of tone, and what it costs to leave the upsampled match.
        coarse: Field of the next coarser level; None where there is none.
        patch_px: Side of the patch, odd.
        position_prior: Weight of the squared distance in the body's box, where `coarse` is None.
        has_tone: Whether tone has a share in the score.
    """
    table, (rows, cols) = searches.table, searches.grid(index)
    most, pairs = rows * cols, searches.count
    products = torch.empty(pairs, most, most, dtype=torch.float32, device=table.device)
    tiles = triton.cdiv(most, _TILE)
    channels = searches.channels[index]
    gpu.launch(
        _multiply,
        (tiles, tiles, pairs),
        table,
        lessons,
        products,
        index,
        most,
        CHANNELS=channels,
        CHUNK=_CHUNK if channels % _CHUNK == 0 else _CHUNK // 2,
        TILE=_TILE,
        HAS_TONE=has_tone,
    )
    found = NearestNeighborField.zeros(2 * pairs, rows, cols, table.device)
    gpu.launch(
        _choose,
        (triton.cdiv(most, _OWN), 2 * pairs),
        table,
        lessons,
        products,
        found.position if coarse is None else coarse.position,
        found.position,
        found.similarity,
        index,
        rows,
        cols,
        pairs,
        position_prior,
        REACH=patch_px // 2,
        OWN=_OWN,
        OTHER=_OTHER,
        IS_FIRST=coarse is None,
    )
    return found


@gpu.kernel("level", "most")
def _multiply(
    table,
    lessons,
    products,
    level,
    most,
    CHANNELS: tl.constexpr,
    CHUNK: tl.constexpr,
    TILE: tl.constexpr,
    HAS_TONE: tl.constexpr,
) -> None:
    """Multiply a tile of cells of a slice by one of its photograph's."""
    pair = tl.program_id(2)
    rows, cols, rows2, cols2 = shapes_of(table, pair, level)
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    at2 = tl.program_id(1) * TILE + tl.arange(0, TILE)
    inside, inside2 = at < rows * cols, at2 < rows2 * cols2
    own = halves(table, pair, level, OWN_UNIT)
    other = halves(table, pair, level, OTHER_UNIT)
    product = tl.zeros((TILE, TILE), dtype=tl.float32)
    for first in range(0, CHANNELS, CHUNK):
        channel = first + tl.arange(0, CHUNK)
        one = tl.load(
            own + at[:, None] * CHANNELS + channel[None, :], mask=inside[:, None], other=0.0
        )
        two = tl.load(
            other + at2[None, :] * CHANNELS + channel[:, None], mask=inside2[None, :], other=0.0
        )
        product += tl.dot(one, two)
    if HAS_TONE:
        lesson = lessons + pair * LESSON
        tone = comparable_tone(floats(table, pair, level, OWN_TONE), at, inside, lesson, True)
        tone2 = comparable_tone(floats(table, pair, level, OTHER_TONE), at2, inside2, lesson, False)
        mask = tl.load(flags(table, pair, level, OWN_MASK) + at, mask=inside, other=0)
        mask2 = tl.load(flags(table, pair, level, OTHER_MASK) + at2, mask=inside2, other=0)
        product = with_tone(product, tone, mask, tone2, mask2, tl.load(lesson + SHARE))
    line = (pair.to(tl.int64) * most + at[:, None]) * most
    tl.store(products + line + at2[None, :], product, mask=inside[:, None] & inside2[None, :])


@gpu.kernel("level", "canvas_rows", "canvas_cols", "pairs")
def _choose(
    table,
    lessons,
    products,
    coarse,
    position,
    score,
    level,
    canvas_rows,
    canvas_cols,
    pairs,
    position_prior,
    REACH: tl.constexpr,
    OWN: tl.constexpr,
    OTHER: tl.constexpr,
    IS_FIRST: tl.constexpr,
) -> None:
    """Find the best candidates of some cells of one search."""
    search = tl.program_id(1)
    pair, wide_search = (search % pairs).to(tl.int64), search.to(tl.int64)
    rows, cols, rows2, cols2 = shapes_of(table, search, level)
    most, plane = canvas_rows * canvas_cols, canvas_rows * canvas_cols
    is_forward = search < pairs
    step = tl.where(is_forward, most, 1)  # from one own cell to the next in the table
    step2 = tl.where(is_forward, 1, most)
    own = tl.program_id(0) * OWN + tl.arange(0, OWN)
    row, col = own // cols, own % cols
    exists = own < rows * cols
    high, wide, high2, wide2 = extents_of(table, search)
    stride = (1 << level).to(tl.float32)
    home = coarse + wide_search * (plane // 2) + (row // 2) * (canvas_cols // 2) + col // 2
    if IS_FIRST:
        place, place_col = (row + 0.5) * stride / high, (col + 0.5) * stride / wide
    else:
        place = 2.0 * tl.load(home, mask=exists, other=0) + row % 2
        place_col = 2.0 * tl.load(home + plane // 4, mask=exists, other=0) + col % 2
    leave_cost = tl.load(lessons + pair * LESSON + LEAVE)
    allowed = flags(table, search, level, OTHER_MASK)
    best = tl.full((OWN,), -float("inf"), dtype=tl.float32)
    plain = tl.zeros((OWN,), dtype=tl.float32)
    chosen = tl.zeros((OWN,), dtype=tl.int32)
    first = 0
    while first < rows2 * cols2:
        other = first + tl.arange(0, OTHER)
        row2, col2 = other // cols2, other % cols2
        is_candidate = other < rows2 * cols2
        total = tl.zeros((OWN, OTHER), dtype=tl.float32)
        for drow in tl.static_range(-REACH, REACH + 1):
            for dcol in tl.static_range(-REACH, REACH + 1):
                here = exists & (row + drow >= 0) & (row + drow < rows)
                here = here & (col + dcol >= 0) & (col + dcol < cols)
                there = is_candidate & (row2 + drow >= 0) & (row2 + drow < rows2)
                there = there & (col2 + dcol >= 0) & (col2 + dcol < cols2)
                at = (own + drow * cols + dcol)[:, None] * step
                at2 = (other + drow * cols2 + dcol)[None, :] * step2
                total += tl.load(
                    products + pair * most * most + at + at2,
                    mask=here[:, None] & there[None, :],
                    other=0.0,
                )
        count = count_inside(row[:, None], row2[None, :], rows, rows2, REACH)
        count = count * count_inside(col[:, None], col2[None, :], cols, cols2, REACH)
        mean = total / tl.maximum(count, 1).to(tl.float32)
        if IS_FIRST:
            down = place[:, None] - ((row2 + 0.5) * stride / high2)[None, :]
            right = place_col[:, None] - ((col2 + 0.5) * stride / wide2)[None, :]
            value = mean - position_prior * (down * down + right * right)
        else:
            down, right = place[:, None] - row2[None, :], place_col[:, None] - col2[None, :]
            value = mean - leave_cost * tl.sqrt(down * down + right * right)
        usable = tl.load(allowed + other, mask=is_candidate, other=0) != 0
        value = tl.where(usable[None, :], value, -1e4)
        value = tl.where(is_candidate[None, :], value, -float("inf"))
        here_best = tl.max(value, axis=1)
        index = tl.argmax(value, axis=1)
        here_plain = tl.sum(
            tl.where(tl.arange(0, OTHER)[None, :] == index[:, None], mean, 0.0), axis=1
        )
        better = here_best > best
        chosen = tl.where(better, first + index, chosen)
        plain = tl.where(better, here_plain, plain)
        best = tl.maximum(best, here_best)
        first += OTHER
    out = row * canvas_cols + col
    tl.store(position + 2 * wide_search * plane + out, chosen // cols2, mask=exists)
    tl.store(position + (2 * wide_search + 1) * plane + out, chosen % cols2, mask=exists)
    tl.store(score + wide_search * plane + out, plain, mask=exists)
