"""The windowed search in torch, for devices without a kernel of their own; the kernel's twin."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.matching.field import upsample

_FORBIDDEN = -1e4
_CHUNK_BLOCKS = 512
"""Blocks searched at a time: their tables of products stay within a core's cache."""


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

    Arguments are those of `window_cpu.search_blocks`.
    """
    found = [
        _BlockSearch(one, two, allowed, costs, patch_px).field(start)
        for one, two, allowed, costs, start in zip(own, other, other_mask, cost, base, strict=True)
    ]
    position, score = (torch.stack(part) for part in zip(*found, strict=True))
    position = torch.where(own_mask[:, None], position, upsample(base // 2))
    return position, score * own_mask


class _BlockSearch:
    """Searches blocks of 2 x 2 cells; holds what all blocks of one level share."""

    def __init__(
        self,
        own: Float[Tensor, "channel row col"],
        other: Float[Tensor, "channel row2 col2"],
        other_mask: Bool[Tensor, "row2 col2"],
        cost: Float[Tensor, "window window 2 2"],
        patch_px: int,
    ) -> None:
        """Lay out cells as rows, with a row of zeros at the end for what lies outside."""
        self.reach = patch_px // 2
        self.radius = len(cost) // 2 - 1
        self.own_shape, self.other_shape = own.shape[1:], other.shape[1:]
        self.own_cells, self.other_cells = _rows_with_zero(own), _rows_with_zero(other)
        self.allowed = F.pad(other_mask.flatten(), (0, 1))
        self.cost = cost

    def field(
        self, base: Int[Tensor, "2 half_row half_col"]
    ) -> tuple[Int[Tensor, "2 row col"], Float[Tensor, "row col"]]:
        """Return position and score of the best candidate of every cell."""
        blocks_row, blocks_col = base.shape[1:]
        count = blocks_row * blocks_col
        starts = 2 * torch.arange(blocks_row), 2 * torch.arange(blocks_col)
        corner = torch.stack(torch.meshgrid(*starts, indexing="ij")).flatten(1)
        begin = base.flatten(1)
        best = torch.empty(count, 2, 2, dtype=torch.long)
        similarity = torch.empty(count, 2, 2)
        for first in range(0, count, _CHUNK_BLOCKS):
            part = slice(first, first + _CHUNK_BLOCKS)
            best[part], similarity[part] = self(corner[:, part], begin[:, part])

        def spread(blocks: Tensor) -> Tensor:
            """Turn (block, 2, 2) into (row, col)."""
            grid = blocks.view(blocks_row, blocks_col, 2, 2).transpose(1, 2)
            return grid.reshape(2 * blocks_row, 2 * blocks_col)

        index, width = spread(best), self.other_shape[1]
        return torch.stack([index // width, index % width]), spread(similarity)

    def __call__(
        self, corner: Int[Tensor, "2 block"], base: Int[Tensor, "2 block"]
    ) -> tuple[Int[Tensor, "block 2 2"], Float[Tensor, "block 2 2"]]:
        """Return flat index and similarity of the best candidate of each cell.

        Args:
            corner: First cell of each block.
            base: Its upsampled match.
        """
        reach, radius = self.reach, self.radius
        window = 2 * radius + 2
        own_row, own_col = _runs(corner, -reach, 2 + reach)
        other_row, other_col = _runs(base, -radius - reach, radius + 2 + reach)
        own = self.own_cells[_index(own_row, own_col, self.own_shape)]
        index = _index(other_row, other_col, self.other_shape)
        cell = torch.bmm(self.other_cells[index], own.transpose(1, 2))
        cell = cell.view(len(index), *[window + 2 * reach] * 2, *[2 + 2 * reach] * 2)
        total = torch.zeros(len(index), window, window, 2, 2)
        for drow in range(2 * reach + 1):
            for dcol in range(2 * reach + 1):
                total += cell[
                    :, drow : drow + window, dcol : dcol + window, drow : drow + 2, dcol : dcol + 2
                ]
        rows = self._count(own_row, other_row, 0)[:, :, None, :, None]
        cols = self._count(own_col, other_col, 1)[:, None, :, None, :]
        mean = total / (rows * cols).clamp(min=1)

        centre = slice(reach, reach + window)
        candidate = index.view(len(index), *[window + 2 * reach] * 2)[:, centre, centre]
        score = (mean - self.cost).masked_fill(
            ~self.allowed[candidate][..., None, None], 2 * _FORBIDDEN
        )
        choice = score.flatten(1, 2).argmax(1, keepdim=True)
        none_allowed = score.flatten(1, 2).amax(1, keepdim=True) < _FORBIDDEN / 2
        kept = torch.arange(2)[:, None] + radius, torch.arange(2)[None, :] + radius
        choice = torch.where(none_allowed, kept[0] * window + kept[1], choice)
        similarity = mean.flatten(1, 2).gather(1, choice)[:, 0]
        flat = candidate.flatten(1)[:, :, None, None].expand(-1, -1, 2, 2).gather(1, choice)
        return flat[:, 0], similarity

    def _count(self, own: Tensor, other: Tensor, axis: int) -> Float[Tensor, "block window 2"]:
        """Count the patch offsets along one axis for which both partners lie inside."""
        own_inside = ((own >= 0) & (own < self.own_shape[axis])).float()
        other_inside = ((other >= 0) & (other < self.other_shape[axis])).float()
        window = 2 * self.radius + 2
        count = torch.zeros(len(own), window, 2)
        for offset in range(2 * self.reach + 1):
            count += (
                other_inside[:, offset : offset + window, None]
                * own_inside[:, None, offset : offset + 2]
            )
        return count


def _rows_with_zero(features: Float[Tensor, "channel row col"]) -> Float[Tensor, "cell channel"]:
    """Return one row a cell and a last row of zeros."""
    return F.pad(features.flatten(1).T, (0, 0, 0, 1)).contiguous()


def _runs(start: Int[Tensor, "2 block"], first: int, last: int) -> tuple[Tensor, Tensor]:
    """Return the rows and the columns start + first .. start + last - 1 of each block."""
    steps = torch.arange(first, last)
    return start[0, :, None] + steps, start[1, :, None] + steps


def _index(row: Tensor, col: Tensor, shape: torch.Size) -> Int[Tensor, "block cell"]:
    """Return flat indexes of the cells row x col; those outside point to the row of zeros."""
    rows, cols = shape
    inside = ((row >= 0) & (row < rows))[:, :, None] & ((col >= 0) & (col < cols))[:, None, :]
    flat = row[:, :, None] * cols + col[:, None, :]
    return torch.where(inside, flat, rows * cols).flatten(1)
