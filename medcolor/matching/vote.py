"""Reconstruction by voting: the colours that a field carries to each target pixel."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medcolor.matching.field import take, within


@torch.no_grad()
def vote(
    position: Int[Tensor, "pair 2 row col"],
    weight: Float[Tensor, "pair row col"],
    values: Float[Tensor, "pair channel row2 col2"],
    valid: Bool[Tensor, "pair row2 col2"],
    *,
    patch_px: int,
) -> tuple[Float[Tensor, "pair channel row col"], Float[Tensor, "pair row col"]]:
    """Average what the overlapping patches say.

        value(p) = sum_d w(p + d) values(nnf(p + d) - d) / sum_d w(p + d)

    over the offsets d of the patch whose places lie inside both images and whose
    source is valid (Liao et al. 2017, weighted).

    Returns:
        The values, zero where nobody votes, and the mean weight of the votes, 0..1.
    """
    pairs, rows, cols = weight.shape
    rows2, cols2 = valid.shape[1:]
    reach = patch_px // 2
    total = values.new_zeros(pairs, values.shape[1], rows, cols)
    mass = weight.new_zeros(pairs, rows, cols)
    trusted = valid.float()[:, None]
    for drow in range(-reach, reach + 1):
        for dcol in range(-reach, reach + 1):
            there = within(-drow, rows), within(-dcol, cols)
            here = within(drow, rows), within(dcol, cols)
            row = position[:, 0, *there] - drow
            col = position[:, 1, *there] - dcol
            inside = (row >= 0) & (row < rows2) & (col >= 0) & (col < cols2)
            source = torch.stack([row.clamp(0, rows2 - 1), col.clamp(0, cols2 - 1)], 1)
            share = weight[:, *there] * inside * take(trusted, source)[:, 0]
            total[:, :, *here] += share[:, None] * take(values, source)
            mass[:, *here] += share
    return total / mass.clamp(min=1e-6)[:, None], mass / patch_px**2
