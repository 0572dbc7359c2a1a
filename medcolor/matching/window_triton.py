"""The windowed search as a Triton kernel, for NVIDIA and AMD GPUs.

One program searches a 2 x 2 block at a time, as `window_cpu.py` does: its neighbourhood (16 cells
for 3 x 3 patches, what a tensor core multiplies) by the region its windows and patches reach. The
products pass through a scratch of a few kilobytes a program, which stays in the second level
cache, to be read back shifted along their diagonals. No table of a whole level is ever stored.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float

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
    flags,
    floats,
    halves,
    shapes_of,
    with_tone,
)
from medcolor.matching.searches import Searches

PROGRAMS = 4096
"""That share the blocks: some for each multiprocessor of the largest GPUs."""

CHUNK = 32
"""Channels multiplied at a time, or half as many where theirs are no multiple."""

WARPS = 4


def search_window(
    searches: Searches,
    index: int,
    coarse: NearestNeighborField,
    lessons: Float[torch.Tensor, "pair lesson"],
    *,
    radius_px: int,
    patch_px: int,
    has_tone: bool,
) -> NearestNeighborField:
    """Return the best match of every cell of every search, as `search.search_window` does.

    Features are read as float16 (of unit length, nothing overflows, and it is 8 times finer than
    bfloat16), their products summed in float32.

    Args:
        searches: All are searched in one launch.
        index: Level to search; the field comes from the next coarser one.
        coarse: Field of the next coarser level.
        lessons: Of tone, and what it costs to leave the upsampled match.
        radius_px: Reach of the window in cells of this level.
        patch_px: Side of the patch, odd.
        has_tone: Whether tone has a share in the score.
    """
    table, (rows, cols) = searches.table, searches.grid(index)
    found = NearestNeighborField.zeros(2 * searches.count, rows, cols, table.device)
    reach, channels = patch_px // 2, searches.channels[index]
    side, pitch = 2 + 2 * reach, 2 * radius_px + 2 + 2 * reach
    cells = max(16, triton.next_power_of_2(side * side))
    places = max(16, triton.next_power_of_2(pitch * pitch))
    programs = min(2 * searches.count * rows * cols // 4, PROGRAMS)
    scratch = torch.empty(programs, cells * places, dtype=torch.float32, device=table.device)
    gpu.launch(
        _search,
        (programs,),
        table,
        lessons,
        coarse.position,
        found.position,
        found.similarity,
        scratch,
        index,
        rows,
        cols,
        searches.count,
        CHANNELS=channels,
        RADIUS=radius_px,
        REACH=reach,
        CELLS=cells,
        PLACES=places,
        CHUNK=CHUNK if channels % CHUNK == 0 else CHUNK // 2,
        HAS_TONE=has_tone,
        num_warps=WARPS,
    )
    return found


@gpu.kernel("level", "canvas_rows", "canvas_cols", "pairs")
def _search(
    table,
    lessons,
    coarse,
    position,
    score,
    scratch,
    level,
    canvas_rows,
    canvas_cols,
    pairs,
    CHANNELS: tl.constexpr,
    RADIUS: tl.constexpr,
    REACH: tl.constexpr,
    CELLS: tl.constexpr,
    PLACES: tl.constexpr,
    CHUNK: tl.constexpr,
    HAS_TONE: tl.constexpr,
) -> None:
    """Search the blocks program, program + count of programs, .. of all searches."""
    SIDE: tl.constexpr = 2 + 2 * REACH
    products = scratch + tl.program_id(0) * CELLS * PLACES
    half_rows, half_cols = canvas_rows // 2, canvas_cols // 2
    inner = tl.arange(0, 4)
    a, b = inner // 2, inner % 2
    block = tl.program_id(0)
    while block < 2 * pairs * half_rows * half_cols:
        search = block // (half_rows * half_cols)
        block_row = (block // half_cols) % half_rows
        block_col = block % half_cols
        rows, cols, rows2, cols2 = shapes_of(table, search, level)
        if (2 * block_row < rows) & (2 * block_col < cols):
            wide_search = search.to(tl.int64)  # whose offsets may be large
            home = 2 * wide_search * half_rows * half_cols + block_row * half_cols + block_col
            top = 2 * tl.load(coarse + home)
            left = 2 * tl.load(coarse + home + half_rows * half_cols)
            row, col = 2 * block_row + a, 2 * block_col + b
            out = row * canvas_cols + col
            position_at = position + 2 * wide_search * canvas_rows * canvas_cols + out
            score_at = score + wide_search * canvas_rows * canvas_cols + out
            searched = tl.load(flags(table, search, level, OWN_MASK) + row * cols + col) != 0
            if tl.max(searched.to(tl.int32), axis=0) == 1:
                _multiply(
                    table,
                    lessons + (search % pairs) * LESSON,
                    search,
                    level,
                    (search < pairs).to(tl.int32),
                    2 * block_row - REACH,
                    2 * block_col - REACH,
                    top - RADIUS - REACH,
                    left - RADIUS - REACH,
                    products,
                    CHANNELS,
                    SIDE,
                    SIDE + 2 * RADIUS,
                    CELLS,
                    PLACES,
                    CHUNK,
                    HAS_TONE,
                )
                tl.debug_barrier()
                to_row, to_col, plain = _choose(
                    products,
                    flags(table, search, level, OTHER_MASK),
                    tl.load(lessons + (search % pairs) * LESSON + LEAVE),
                    searched,
                    row,
                    col,
                    top,
                    left,
                    rows,
                    cols,
                    rows2,
                    cols2,
                    RADIUS,
                    REACH,
                    PLACES,
                )
                tl.debug_barrier()  # the next block's products come after these are read
                tl.store(position_at, to_row)
                tl.store(position_at + canvas_rows * canvas_cols, to_col)
                tl.store(score_at, plain)
            else:
                tl.store(position_at, top + a)
                tl.store(position_at + canvas_rows * canvas_cols, left + b)
        block += tl.num_programs(0)


@gpu.kernel()
def _multiply(
    table,
    lesson,
    search,
    level,
    is_forward,
    first_row,
    first_col,
    first_row2,
    first_col2,
    products,
    CHANNELS: tl.constexpr,
    SIDE: tl.constexpr,
    PITCH: tl.constexpr,
    CELLS: tl.constexpr,
    PLACES: tl.constexpr,
    CHUNK: tl.constexpr,
    HAS_TONE: tl.constexpr,
) -> None:
    """Write the products of a block's neighbourhood and the region; zero outside the images."""
    rows, cols, rows2, cols2 = shapes_of(table, search, level)
    cell, place = tl.arange(0, CELLS), tl.arange(0, PLACES)
    row, col = first_row + cell // SIDE, first_col + cell % SIDE
    row2, col2 = first_row2 + place // PITCH, first_col2 + place % PITCH
    inside = (cell < SIDE * SIDE) & (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    inside2 = (place < PITCH * PITCH) & (row2 >= 0) & (row2 < rows2) & (col2 >= 0) & (col2 < cols2)
    at, at2 = row * cols + col, row2 * cols2 + col2
    own = halves(table, search, level, OWN_UNIT)
    other = halves(table, search, level, OTHER_UNIT)
    product = tl.zeros((CELLS, PLACES), dtype=tl.float32)
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
        tone = comparable_tone(
            floats(table, search, level, OWN_TONE), at, inside, lesson, is_forward == 1
        )
        tone2 = comparable_tone(
            floats(table, search, level, OTHER_TONE), at2, inside2, lesson, is_forward == 0
        )
        mask = tl.load(flags(table, search, level, OWN_MASK) + at, mask=inside, other=0)
        mask2 = tl.load(flags(table, search, level, OTHER_MASK) + at2, mask=inside2, other=0)
        product = with_tone(product, tone, mask, tone2, mask2, tl.load(lesson + SHARE))
    tl.store(products + cell[:, None] * PLACES + place[None, :], product)


@gpu.kernel()
def _choose(
    products,
    allowed,
    leave_cost,
    searched,
    row,
    col,
    top,
    left,
    rows,
    cols,
    rows2,
    cols2,
    RADIUS: tl.constexpr,
    REACH: tl.constexpr,
    PLACES: tl.constexpr,
):
    """Return the best candidate of each of the four cells, and its score; home where none is."""
    WINDOW: tl.constexpr = 2 * RADIUS + 2
    PITCH: tl.constexpr = WINDOW + 2 * REACH
    SIDE: tl.constexpr = 2 + 2 * REACH
    place, inner = tl.arange(0, PLACES), tl.arange(0, 4)
    a, b = inner // 2, inner % 2
    u, v = place // PITCH, place % PITCH
    candidate = (u < WINDOW) & (v < WINDOW)
    total = tl.zeros((4, PLACES), dtype=tl.float32)
    for drow in tl.static_range(2 * REACH + 1):  # sums along diagonals
        for dcol in tl.static_range(2 * REACH + 1):
            line = (a + drow) * SIDE + b + dcol
            total += tl.load(
                products + line[:, None] * PLACES + (place + drow * PITCH + dcol)[None, :],
                mask=candidate[None, :],
                other=0.0,
            )
    row2, col2 = top - RADIUS + u, left - RADIUS + v
    high = count_inside(row[:, None], row2[None, :], rows, rows2, REACH)
    wide = count_inside(col[:, None], col2[None, :], cols, cols2, REACH)
    mean = total / tl.maximum(high * wide, 1).to(tl.float32)

    inside = candidate & (row2 >= 0) & (row2 < rows2) & (col2 >= 0) & (col2 < cols2)
    usable = tl.load(allowed + row2 * cols2 + col2, mask=inside, other=0) != 0
    down, right = (u - RADIUS)[None, :] - a[:, None], (v - RADIUS)[None, :] - b[:, None]
    near = (tl.abs(down) <= RADIUS) & (tl.abs(right) <= RADIUS)
    away = tl.sqrt((down * down + right * right).to(tl.float32))
    step = tl.maximum(leave_cost, 1e-5)  # ties go to the centre, also without a cost
    value = tl.where(usable[None, :] & near, mean - step * away, -1e9)
    kept = (RADIUS + a) * PITCH + RADIUS + b
    chosen = tl.argmax(value, axis=1)
    chosen = tl.where(searched & (tl.max(value, axis=1) > -5e3), chosen, kept)
    plain = tl.sum(tl.where(place[None, :] == chosen[:, None], mean, 0.0), axis=1)
    return (
        top - RADIUS + chosen // PITCH,
        left - RADIUS + chosen % PITCH,
        tl.where(searched, plain, 0.0),
    )
