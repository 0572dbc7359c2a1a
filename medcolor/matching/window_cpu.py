"""The windowed search as a CPU kernel, compiled by Numba on first use and cached on disk.

For every 2 x 2 block of cells: copy the region its windows and patches reach into a small
contiguous matrix, multiply it by the block's neighbourhood (all cell products that the four
cells need, once), add patch scores along the diagonals, take the best. Everything but the
copies stays in the first level cache; loops run over long contiguous rows, so that they
become vector instructions.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.matching.compile_cpu import compile_cpu

Array = np.ndarray

_FORBIDDEN = 1e4
_UNROLL = 4
"""Channels multiplied in one pass over the table; features are padded to a multiple."""


def search_blocks(
    own: Float[Tensor, "pair channel row col"],
    other: Float[Tensor, "pair channel row2 col2"],
    base: Int[Tensor, "pair 2 half_row half_col"],
    own_mask: Bool[Tensor, "pair row col"],
    other_mask: Bool[Tensor, "pair row2 col2"],
    cost: Float[Tensor, "pair window window 2 2"],
    patch_px: int,
) -> tuple[Int[Tensor, "pair 2 row col"], Float[Tensor, "pair row col"]]:
    """Return position and patch score of the best candidate of each cell; see search_window.

    Args:
        own: Unit features of the image the field lives on.
        other: Unit features of the image it points into.
        base: First cell of the upsampled match of each 2 x 2 block.
        own_mask: Cells that are searched.
        other_mask: Cells that may be matched.
        cost: Taken from the score of candidate (u, v) of the block for cell (a, b) in it.
        patch_px: Side of the patch, odd.
    """
    window, reach = cost.shape[1], patch_px // 2
    frame = window // 2 - 1 + reach
    spare, around, beyond = -own.shape[1] % _UNROLL, (reach,) * 4, (frame,) * 4
    cells = F.pad(own, (*around, 0, spare)).permute(0, 2, 3, 1)
    rows = F.pad(other, (*beyond, 0, spare)).permute(0, 2, 1, 3)
    allowed = F.pad(other_mask, beyond)
    # Laid out as the sums are: candidates row by row at the pitch of the region.
    costs = F.pad(cost.permute(0, 3, 4, 1, 2), (0, 2 * reach), value=_FORBIDDEN).flatten(3)
    position = torch.empty(len(own), 2, *own.shape[2:], dtype=torch.long)
    score = torch.zeros(len(own), *own.shape[2:])
    inputs = [part.contiguous().numpy() for part in (cells, rows, base, own_mask, allowed, costs)]
    for *one, place, value in zip(*inputs, position.numpy(), score.numpy(), strict=True):
        _search(*one, window // 2 - 1, place, value)
    return position, score


@compile_cpu
def _multiply(
    own: Array,
    other: Array,
    row: int,
    col: int,
    top: int,
    left: int,
    side: int,
    pitch: int,
    region: Array,
    table: Array,
) -> None:
    """Fill `table` (block cell, region cell) with products of features.

    `region` (channel, region cell) is filled with the square of the other image at top, left.
    """
    channels, places = region.shape
    for line in range(pitch):
        for channel in range(channels):
            source = other[top + line, channel]
            for step in range(pitch):
                region[channel, line * pitch + step] = source[left + step]
    for cell in range(0, side * side, 2):  # two at once read the region half as often
        first = own[row + cell // side, col + cell % side]
        second = own[row + (cell + 1) // side, col + (cell + 1) % side]
        out, out2 = table[cell], table[cell + 1]
        out[:] = 0
        out2[:] = 0
        for c in range(0, channels, _UNROLL):
            r0, r1, r2, r3 = region[c], region[c + 1], region[c + 2], region[c + 3]
            a0, a1, a2, a3 = first[c], first[c + 1], first[c + 2], first[c + 3]
            b0, b1, b2, b3 = second[c], second[c + 1], second[c + 2], second[c + 3]
            for place in range(places):
                x0, x1, x2, x3 = r0[place], r1[place], r2[place], r3[place]
                out[place] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                out2[place] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3


@compile_cpu
def _add_patches(table: Array, a: int, b: int, side: int, pitch: int, total: Array) -> None:
    """Sum the products of the patch of block cell (a, b) with each candidate's."""
    total[:] = 0
    for drow in range(side - 1):
        for dcol in range(side - 1):
            products = table[(a + drow) * side + b + dcol]
            offset = drow * pitch + dcol
            for place in range(len(total)):
                total[place] += products[offset + place]


@compile_cpu
def _count(at: int, size: int, to: int, size2: int, reach: int, pairs: Array) -> None:
    """Count, for candidates from `to` on, the patch offsets inside both images (one axis)."""
    for step in range(len(pairs)):
        pairs[step] = 0
        for offset in range(-reach, reach + 1):
            here, there = at + offset, to + step + offset
            if 0 <= here < size and 0 <= there < size2:
                pairs[step] += 1


@compile_cpu
def _choose(
    total: Array, cost: Array, allowed: Array, pairs: Array, pitch: int, kept: int
) -> tuple[int, float]:
    """Return the best allowed candidate and its patch score; `kept` if none is allowed."""
    best, chosen = np.float32(-_FORBIDDEN / 2), kept
    for row in range(pairs.shape[1]):
        for col in range(pairs.shape[1]):
            place = row * pitch + col
            if allowed[row, col]:
                value = total[place] / (pairs[0, row] * pairs[1, col]) - cost[place]
                if value > best:
                    best, chosen = value, place
    count = pairs[0, chosen // pitch] * pairs[1, chosen % pitch]
    return chosen, total[chosen] / max(count, np.float32(1))


@compile_cpu
def _search(
    own: Array,
    other: Array,
    base: Array,
    own_mask: Array,
    allowed: Array,
    cost: Array,
    radius: int,
    position: Array,
    score: Array,
) -> None:
    """Search every block; both images come framed with zeros, so that no region leaves them."""
    rows, cols = own_mask.shape
    reach, window = (own.shape[0] - rows) // 2, 2 * radius + 2
    frame, pitch, side = radius + reach, window + 2 * reach, 2 + 2 * reach
    rows2, cols2 = allowed.shape[0] - 2 * frame, allowed.shape[1] - 2 * frame
    region = np.empty((own.shape[2], pitch * pitch), np.float32)
    table = np.empty((side * side, pitch * pitch), np.float32)
    total = np.empty((window - 1) * pitch + window, np.float32)
    pairs = np.empty((2, window), np.float32)
    for row in range(0, rows, 2):
        for col in range(0, cols, 2):
            # The upsampled match, which is also the region's first cell in the framed image.
            top, left = base[0, row // 2, col // 2], base[1, row // 2, col // 2]
            if own_mask[row : row + 2, col : col + 2].any():
                _multiply(own, other, row, col, top, left, side, pitch, region, table)
            candidates = allowed[
                top + reach : top + reach + window, left + reach : left + reach + window
            ]
            for a in range(2):
                for b in range(2):
                    chosen = (radius + a) * pitch + radius + b
                    if own_mask[row + a, col + b]:
                        _add_patches(table, a, b, side, pitch, total)
                        _count(row + a, rows, top - radius, rows2, reach, pairs[0])
                        _count(col + b, cols, left - radius, cols2, reach, pairs[1])
                        chosen, score[row + a, col + b] = _choose(
                            total, cost[a, b], candidates, pairs, pitch, chosen
                        )
                    position[0, row + a, col + b] = top - radius + chosen // pitch
                    position[1, row + a, col + b] = left - radius + chosen % pitch
