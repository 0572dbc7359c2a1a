"""Exact nearest-neighbour search between feature maps: global, or in a window.

The score of a pair of cells is that of Deep Image Analogy (Liao et al. 2017,
doi:10.1145/3072959.3073683): the mean cosine over the patch offsets for which both partners
lie inside their images. Its second image pair comes joined to the features, if at all.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medcolor.matching.field import NearestNeighborField, take, within

Features = Float[Tensor, "pair channel _row _col"]
Mask = Bool[Tensor, "pair _row _col"]

_FORBIDDEN = -1e4
_TIE_COST = 1e-5


def similarity_table(
    target: Features, reference: Features, patch_px: int
) -> Float[Tensor, "pair row col row2 col2"]:
    """Return the patch score of every pair of cells.

    The products of single cells are made once, in one matrix product, and summed
    along the diagonals; unfolding patches first would cost patch_px**2 times as much.
    """
    rows, cols = target.shape[2:]
    rows2, cols2 = reference.shape[2:]
    cell = target.flatten(2).transpose(1, 2) @ reference.flatten(2)
    cell = cell.view(-1, rows, cols, rows2, cols2)
    total = torch.zeros_like(cell)
    count = torch.zeros_like(cell)
    reach = patch_px // 2
    for drow in range(-reach, reach + 1):
        for dcol in range(-reach, reach + 1):
            here = (
                slice(None),
                within(drow, rows),
                within(dcol, cols),
                within(drow, rows2),
                within(dcol, cols2),
            )
            there = (
                slice(None),
                within(-drow, rows),
                within(-dcol, cols),
                within(-drow, rows2),
                within(-dcol, cols2),
            )
            total[here] += cell[there]
            count[here] += 1
    return total / count


def similarity_at(
    own: Features, other: Features, position: Int[Tensor, "pair 2 row col"], patch_px: int
) -> Float[Tensor, "pair row col"]:
    """Return the patch score of given matches, which may lie anywhere inside `other`."""
    pairs, _, rows, cols = own.shape
    rows2, cols2 = other.shape[2:]
    total, count = (own.new_zeros(pairs, rows, cols) for _ in range(2))
    reach = patch_px // 2
    for drow in range(-reach, reach + 1):
        for dcol in range(-reach, reach + 1):
            here = within(drow, rows), within(dcol, cols)
            there = within(-drow, rows), within(-dcol, cols)
            row, col = position[:, 0, *here] + drow, position[:, 1, *here] + dcol
            inside = (row >= 0) & (row < rows2) & (col >= 0) & (col < cols2)
            place = torch.stack([row.clamp(0, rows2 - 1), col.clamp(0, cols2 - 1)], 1)
            total[:, *here] += (own[:, :, *there] * take(other, place)).sum(1) * inside
            count[:, *here] += inside
    return total / count


def search_global(
    table: Float[Tensor, "pair row col row2 col2"],
    prior: Float[Tensor, "pair row col row2 col2"],
    prior2: Float[Tensor, "pair row col row2 col2"],
    target_mask: Mask,
    reference_mask: Mask,
) -> tuple[NearestNeighborField, NearestNeighborField]:
    """Return the best match of every cell in both directions from one symmetric table.

    Args:
        table: Patch scores.
        prior: Added to the score of matches of the target, for the choice only.
        prior2: The same for matches of the reference.
        target_mask: Cells of the target that may be matched from the reference.
        reference_mask: Cells of the reference that may be matched from the target.
    """
    score, score2 = ((table + p).flatten(3).flatten(1, 2) for p in (prior, prior2))
    plain = table.flatten(3).flatten(1, 2)
    outside, outside2 = ~reference_mask.flatten(1)[:, None], ~target_mask.flatten(1)[:, :, None]
    forward = score.masked_fill(outside, _FORBIDDEN).argmax(2, keepdim=True)
    backward = score2.masked_fill(outside2, _FORBIDDEN).argmax(1, keepdim=True)
    return (
        _field(forward, plain.gather(2, forward), target_mask.shape, reference_mask.shape[2]),
        _field(backward, plain.gather(1, backward), reference_mask.shape, target_mask.shape[2]),
    )


def _field(
    index: Int[Tensor, "pair ..."], similarity: Tensor, shape: torch.Size, width: int
) -> NearestNeighborField:
    """Turn flat indexes into (row, col)."""
    position = torch.stack([index // width, index % width], 1)
    return NearestNeighborField(position.view(-1, 2, *shape[1:]), similarity.view(shape))


def search_window(
    own: Features,
    other: Features,
    coarse: Int[Tensor, "pair 2 half_row half_col"],
    own_mask: Mask,
    other_mask: Mask,
    *,
    radius_px: int,
    patch_px: int,
    leave_cost: Float[Tensor, " pair"],
) -> NearestNeighborField:
    """Return the best match of every cell within +-`radius_px` of its upsampled match, exactly.

    The four cells under one coarse cell share their displacement, so they are searched
    together: one small matrix product holds every cell product that their overlapping
    patches and windows need, and patch scores are sums along its diagonals.

    Cells outside `own_mask` are not searched: they keep the upsampled match, at similarity 0.
    Candidates outside `other_mask` or outside the image are forbidden; if all are, the
    upsampled match is kept.

    Args:
        own: Features of the image the field lives on; even numbers of rows and columns.
        other: Features of the image it points into; even likewise.
        coarse: Field of the next coarser level.
        own_mask: Cells to search for.
        other_mask: Cells that may be matched.
        radius_px: Reach of the window in cells of this level.
        patch_px: Side of the patch, odd.
        leave_cost: Taken from the score for each cell of distance from the upsampled match.
    """
    from medcolor.matching.window_cpu import search_blocks  # GPU machines need no Numba

    cost = window_cost(radius_px, leave_cost)
    position, score = search_blocks(own, other, 2 * coarse, own_mask, other_mask, cost, patch_px)
    return NearestNeighborField(position, score)


def window_cost(
    radius: int, leave_cost: Float[Tensor, " pair"]
) -> Float[Tensor, "pair window window 2 2"]:
    """Return what candidate (u, v) of a block costs its cell (a, b).

    Candidate u lies u - radius from the block's match, u - radius - a from that of cell a.
    """
    away = torch.arange(-radius, radius + 2)[:, None] - torch.arange(2)
    row, col = away[:, None, :, None], away[None, :, None, :]
    distance = torch.sqrt((row**2 + col**2).float())
    near = (row.abs() <= radius) & (col.abs() <= radius)
    # Ties go to the centre, also without a cost.
    step = leave_cost.clamp(min=_TIE_COST)[:, None, None, None, None]
    return torch.where(near, step * distance, torch.full((), -_FORBIDDEN))
