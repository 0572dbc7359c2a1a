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
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

_PROGRAMS = 2048
"""Programs that share the blocks: some for each multiprocessor of the largest GPUs."""

_CHUNK = 16
"""Channels multiplied at a time; features are padded to a multiple."""

_FORBIDDEN = 1e4


def search_blocks(
    own: Float[Tensor, "pair channel row col"],
    other: Float[Tensor, "pair channel row2 col2"],
    base: Int[Tensor, "pair 2 half_row half_col"],
    own_mask: Bool[Tensor, "pair row col"],
    other_mask: Bool[Tensor, "pair row2 col2"],
    cost: Float[Tensor, "pair window window 2 2"],
    patch_px: int,
) -> tuple[Int[Tensor, "pair 2 row col"], Float[Tensor, "pair row col"]]:
    """Return position and patch score of the best candidate of each cell.

    Arguments are those of `window_cpu.search_blocks`. Features are rounded to float16 (of unit
    length, nothing overflows, and it is 8 times finer than bfloat16), their products summed in
    float32. All pairs are searched in one launch.
    """
    window, reach = cost.shape[1], patch_px // 2
    frame, side, pitch = window // 2 - 1 + reach, 2 + 2 * reach, window + 2 * reach
    spare, around, beyond = -own.shape[1] % _CHUNK, (reach,) * 4, (frame,) * 4

    def lay_out(features: Tensor, border: tuple[int, ...]) -> Float[Tensor, "pair row col channel"]:
        framed = F.pad(features.half(), (*border, 0, spare))
        return framed.permute(0, 2, 3, 1).contiguous()

    cells, cells2 = lay_out(own, around), lay_out(other, beyond)
    allowed = F.pad(other_mask, beyond).to(torch.int8)
    costs = F.pad(cost.permute(0, 3, 4, 1, 2), (0, 2 * reach), value=_FORBIDDEN).flatten(3)
    pairs, rows, cols = own_mask.shape
    blocks = pairs * rows * cols // 4
    programs = min(blocks, _PROGRAMS)
    own_cells = max(16, triton.next_power_of_2(side * side))
    places = max(16, triton.next_power_of_2(pitch * pitch))
    scratch = own.new_empty(programs, own_cells * places)
    position = torch.empty(pairs, 2, rows, cols, dtype=torch.long, device=own.device)
    score = own.new_empty(pairs, rows, cols)
    _search[(programs,)](
        cells,
        cells2,
        base.contiguous(),
        own_mask.to(torch.int8).contiguous(),
        allowed.contiguous(),
        costs.contiguous(),
        position,
        score,
        scratch,
        rows,
        cols,
        *other_mask.shape[1:],
        blocks,
        CHANNELS=cells.shape[3],
        RADIUS=window // 2 - 1,
        REACH=reach,
        CELLS=own_cells,
        PLACES=places,
        CHUNK=_CHUNK,
    )
    return position, score


@triton.jit  # type: ignore[untyped-decorator]
def _search(  # type: ignore[no-untyped-def]
    own,
    other,
    base,
    own_mask,
    allowed,
    cost,
    position,
    score,
    scratch,
    rows,
    cols,
    rows2,
    cols2,
    blocks,
    CHANNELS: tl.constexpr,
    RADIUS: tl.constexpr,
    REACH: tl.constexpr,
    CELLS: tl.constexpr,
    PLACES: tl.constexpr,
    CHUNK: tl.constexpr,
) -> None:
    """Search the blocks program, program + count of programs, .. of all pairs."""
    WINDOW: tl.constexpr = 2 * RADIUS + 2
    PITCH: tl.constexpr = WINDOW + 2 * REACH
    SIDE: tl.constexpr = 2 + 2 * REACH
    FRAME: tl.constexpr = RADIUS + REACH
    program = tl.program_id(0)
    table_at = scratch + program * CELLS * PLACES
    cell = tl.arange(0, CELLS)
    place = tl.arange(0, PLACES)
    inner = tl.arange(0, 4)
    a, b = inner // 2, inner % 2
    u, v = place // PITCH, place % PITCH
    candidate = (u < WINDOW) & (v < WINDOW)
    kept = (RADIUS + a) * PITCH + RADIUS + b
    half_rows, half_cols = rows // 2, cols // 2
    block = program
    while block < blocks:
        pair = (block // (half_rows * half_cols)).to(tl.int64)  # whose offsets may be large
        at = block % (half_rows * half_cols)
        block_row, block_col = at // half_cols, at % half_cols
        own_pair = own + pair * (rows + 2 * REACH) * (cols + 2 * REACH) * CHANNELS
        other_pair = other + pair * (rows2 + 2 * FRAME) * (cols2 + 2 * FRAME) * CHANNELS
        allowed_pair = allowed + pair * (rows2 + 2 * FRAME) * (cols2 + 2 * FRAME)
        cells = pair * rows * cols
        top = tl.load(base + 2 * pair * half_rows * half_cols + at)
        left = tl.load(base + (2 * pair + 1) * half_rows * half_cols + at)
        costs = tl.load(
            cost + (4 * pair + inner[:, None]) * (WINDOW * PITCH) + place[None, :],
            mask=candidate[None, :],
            other=1e4,
        )

        # Products of the block's neighbourhood and the region; both images are framed.
        own_row, own_col = 2 * block_row + cell // SIDE, 2 * block_col + cell % SIDE
        own_at = (own_row * (cols + 2 * REACH) + own_col) * CHANNELS
        other_at = ((top + u) * (cols2 + 2 * FRAME) + left + v) * CHANNELS
        table = tl.zeros((CELLS, PLACES), dtype=tl.float32)
        for first in range(0, CHANNELS, CHUNK):
            channel = first + tl.arange(0, CHUNK)
            one = tl.load(
                own_pair + own_at[:, None] + channel[None, :],
                mask=(cell < SIDE * SIDE)[:, None],
                other=0.0,
            )
            two = tl.load(
                other_pair + other_at[None, :] + channel[:, None],
                mask=(place < PITCH * PITCH)[None, :],
                other=0.0,
            )
            table += tl.dot(one, two)
        tl.store(table_at + cell[:, None] * PLACES + place[None, :], table)
        tl.debug_barrier()

        # Patch scores: sums along diagonals, by the count of offsets inside both images.
        total = tl.zeros((4, PLACES), dtype=tl.float32)
        for drow in tl.static_range(2 * REACH + 1):
            for dcol in tl.static_range(2 * REACH + 1):
                line = (a + drow) * SIDE + b + dcol
                total += tl.load(
                    table_at + line[:, None] * PLACES + (place + drow * PITCH + dcol)[None, :],
                    mask=candidate[None, :],
                    other=0.0,
                )
        at_row, at_col = 2 * block_row + a, 2 * block_col + b
        to_row, to_col = top - RADIUS + u, left - RADIUS + v
        high = 1 + tl.minimum(REACH, tl.minimum(at_row[:, None], to_row[None, :]))
        high += tl.minimum(
            REACH, tl.minimum((rows - 1 - at_row)[:, None], (rows2 - 1 - to_row)[None, :])
        )
        wide = 1 + tl.minimum(REACH, tl.minimum(at_col[:, None], to_col[None, :]))
        wide += tl.minimum(
            REACH, tl.minimum((cols - 1 - at_col)[:, None], (cols2 - 1 - to_col)[None, :])
        )
        mean = total / tl.maximum(high * wide, 1).to(tl.float32)

        usable = tl.load(
            allowed_pair + (top + REACH + u) * (cols2 + 2 * FRAME) + left + REACH + v,
            mask=candidate,
            other=0,
        )
        value = tl.where((usable != 0)[None, :], mean - costs, -1e9)
        best = tl.max(value, axis=1)
        cell_at = at_row * cols + at_col
        searched = tl.load(own_mask + cells + cell_at) != 0
        chosen = tl.argmax(value, axis=1)
        chosen = tl.where(searched & (best > -5e3), chosen, kept)
        plain = tl.sum(tl.where(place[None, :] == chosen[:, None], mean, 0.0), axis=1)
        tl.store(position + 2 * cells + cell_at, top - RADIUS + chosen // PITCH)
        tl.store(position + 2 * cells + rows * cols + cell_at, left - RADIUS + chosen % PITCH)
        tl.store(score + cells + cell_at, tl.where(searched, plain, 0.0))
        tl.debug_barrier()
        block += tl.num_programs(0)
