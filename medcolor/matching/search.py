"""Exact nearest-neighbour search between feature maps: global, or in a window.

The score of a pair of cells is that of Deep Image Analogy (Liao et al. 2017,
doi:10.1145/3072959.3073683) without its second image pair: the mean cosine over
the patch offsets for which both partners lie inside their images.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.matching.field import NearestNeighborField

Features = Float[Tensor, "channel _row _col"]
Mask = Bool[Tensor, "_row _col"]

_FORBIDDEN = -1e4
_TIE_COST = 1e-6
_CHUNK_BLOCKS = 512
"""Blocks searched at a time: their tables of products stay within a core's cache."""


def similarity_table(
    target: Features, reference: Features, patch_px: int
) -> Float[Tensor, "row col row2 col2"]:
    """Return the patch score of every pair of cells.

    The products of single cells are made once, in one matrix product, and summed
    along the diagonals; unfolding patches first would cost patch_px**2 times as much.
    """
    rows, cols = target.shape[1:]
    rows2, cols2 = reference.shape[1:]
    cell = (target.flatten(1).T @ reference.flatten(1)).view(rows, cols, rows2, cols2)
    total = torch.zeros_like(cell)
    count = torch.zeros_like(cell)
    reach = patch_px // 2
    for drow in range(-reach, reach + 1):
        for dcol in range(-reach, reach + 1):
            here = (
                _within(drow, rows),
                _within(dcol, cols),
                _within(drow, rows2),
                _within(dcol, cols2),
            )
            there = (
                _within(-drow, rows),
                _within(-dcol, cols),
                _within(-drow, rows2),
                _within(-dcol, cols2),
            )
            total[here] += cell[there]
            count[here] += 1
    return total / count


def _within(offset: int, size: int) -> slice:
    """Return the indexes i for which i + offset lies in 0..size - 1."""
    return slice(max(0, -offset), size - max(0, offset))


def search_global(
    table: Float[Tensor, "row col row2 col2"],
    prior: Float[Tensor, "row col row2 col2"],
    target_mask: Mask,
    reference_mask: Mask,
) -> tuple[NearestNeighborField, NearestNeighborField]:
    """Return the best match of every cell in both directions from one symmetric table.

    Args:
        table: Patch scores.
        prior: Added to the score for the choice only.
        target_mask: Cells of the target that may be matched from the reference.
        reference_mask: Cells of the reference that may be matched from the target.
    """
    score = (table + prior).flatten(2).flatten(0, 1)
    plain = table.flatten(2).flatten(0, 1)
    forward = score.masked_fill(~reference_mask.flatten()[None, :], _FORBIDDEN).argmax(1)
    backward = score.masked_fill(~target_mask.flatten()[:, None], _FORBIDDEN).argmax(0)
    cells, cells2 = torch.arange(plain.shape[0]), torch.arange(plain.shape[1])
    return (
        _field(forward, plain[cells, forward], target_mask.shape, reference_mask.shape[1]),
        _field(backward, plain[backward, cells2], reference_mask.shape, target_mask.shape[1]),
    )


def _field(
    index: Int[Tensor, " cell"], similarity: Tensor, shape: tuple[int, ...], width: int
) -> NearestNeighborField:
    """Turn flat indexes into (row, col)."""
    position = torch.stack([index // width, index % width])
    return NearestNeighborField(position.view(2, *shape), similarity.view(*shape))


def search_window(
    own: Features,
    other: Features,
    coarse: Int[Tensor, "2 half_row half_col"],
    other_mask: Mask,
    *,
    radius_px: int,
    patch_px: int,
    leave_cost: float,
) -> NearestNeighborField:
    """Return the best match of every cell within +-`radius_px` of its upsampled match, exactly.

    The four cells under one coarse cell share their displacement, so they are searched
    together: one small matrix product holds every cell product that their overlapping
    patches and windows need, and patch scores are sums along its diagonals.

    Candidates outside `other_mask` or outside the image are forbidden; if all are, the
    upsampled match is kept.

    Args:
        own: Features of the image the field lives on; even numbers of rows and columns.
        other: Features of the image it points into; even likewise.
        coarse: Field of the next coarser level.
        other_mask: Cells that may be matched.
        radius_px: Reach of the window in cells of this level.
        patch_px: Side of the patch, odd.
        leave_cost: Taken from the score for each cell of distance from the upsampled match.
    """
    search = _BlockSearch(own, other, other_mask, radius_px, patch_px, leave_cost)
    blocks_row, blocks_col = coarse.shape[1:]
    count = blocks_row * blocks_col
    corner = torch.stack(
        torch.meshgrid(2 * torch.arange(blocks_row), 2 * torch.arange(blocks_col), indexing="ij")
    ).flatten(1)
    base = 2 * coarse.flatten(1)
    best = torch.empty(count, 2, 2, dtype=torch.long)
    similarity = torch.empty(count, 2, 2)
    for begin in range(0, count, _CHUNK_BLOCKS):
        part = slice(begin, begin + _CHUNK_BLOCKS)
        best[part], similarity[part] = search(corner[:, part], base[:, part])

    def spread(blocks: Tensor) -> Tensor:
        """Turn (block, 2, 2) into (row, col)."""
        grid = blocks.view(blocks_row, blocks_col, 2, 2).transpose(1, 2)
        return grid.reshape(2 * blocks_row, 2 * blocks_col)

    index = spread(best)
    width = other.shape[2]
    return NearestNeighborField(torch.stack([index // width, index % width]), spread(similarity))


class _BlockSearch:
    """Searches blocks of 2 x 2 cells; holds what all blocks of one level share."""

    def __init__(
        self,
        own: Features,
        other: Features,
        other_mask: Mask,
        radius: int,
        patch_px: int,
        leave_cost: float,
    ) -> None:
        """Lay out cells as rows, with a row of zeros at the end for what lies outside."""
        self.reach = patch_px // 2
        self.radius = radius
        self.own_shape, self.other_shape = own.shape[1:], other.shape[1:]
        self.own_cells, self.other_cells = _rows_with_zero(own), _rows_with_zero(other)
        self.allowed = F.pad(other_mask.flatten(), (0, 1))
        # Distance of candidate u (displacement u - radius) from the start of cell a (a).
        away = torch.arange(-radius, radius + 2)[:, None] - torch.arange(2)
        row, col = away[:, None, :, None], away[None, :, None, :]
        distance = torch.sqrt((row**2 + col**2).float())
        # Ties go to the centre, also without a cost.
        self.cost = torch.where(
            (row.abs() <= radius) & (col.abs() <= radius),
            max(leave_cost, _TIE_COST) * distance,
            torch.full((), -_FORBIDDEN),
        )

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


def _rows_with_zero(features: Features) -> Float[Tensor, "cell channel"]:
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
