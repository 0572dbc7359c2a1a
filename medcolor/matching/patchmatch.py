"""PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330) with jumps, on CPUs.

Each round offers every cell the matches of cells 8, 4, 2 and 1 away, shifted back
(propagation by jump flooding, as the published code of Deep Image Analogy does), and then
places drawn at random around the best so far, in a radius that halves. A match moves only to
a better score. Cells are visited in order, one after another: the result is always the same.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.errors import InputError
from medcolor.matching.compile_cpu import compile_cpu

Array = np.ndarray

_JUMPS = (8, 4, 2, 1)


def improve_matches(
    own: Float[Tensor, "channel row col"],
    other: Float[Tensor, "channel row2 col2"],
    position: Int[Tensor, "2 row col"],
    home: Int[Tensor, "2 row col"],
    own_mask: Bool[Tensor, "row col"],
    other_mask: Bool[Tensor, "row2 col2"],
    leave_cost: float | Float[Tensor, ""],
    *,
    patch_px: int,
    radius_px: int,
    rounds: int,
) -> tuple[Int[Tensor, "2 row col"], Float[Tensor, "row col"]]:
    """Return better positions and their patch scores, for one pair.

    Args:
        own: Unit features of the image the field lives on.
        other: Unit features of the image it points into.
        position: Where to start.
        home: The upsampled matches, which to leave costs.
        own_mask: Cells that are searched; the others keep what they have, at score 0.
        other_mask: Cells that may be matched. A start outside yields to any place inside.
        leave_cost: Taken from the score for each cell of distance from home.
        patch_px: Side of the patch, odd.
        radius_px: First radius of the random search; 0 for propagation alone.
        rounds: Of propagation and random search.

    Raises:
        InputError: If the features do not lie in the memory of the CPU.
    """
    if own.device.type != "cpu":
        raise InputError(
            "matching.search",
            f"PatchMatch runs on CPUs, not on {own.device.type}",
            "Use window and propagation=0, or compute.device=cpu",
        )
    reach = patch_px // 2
    around = (0, 0, reach, reach, reach, reach)
    rows, rows2 = (F.pad(part.permute(1, 2, 0), around).flatten(1) for part in (own, other))
    found = position.clone().contiguous()
    score = torch.zeros(own_mask.shape)
    inputs = (part.contiguous().numpy() for part in (rows, rows2, home, own_mask, other_mask))
    limits = reach, len(own), radius_px, float(leave_cost), rounds
    _improve(*inputs, *limits, found.numpy(), score.numpy())
    return found, score


@compile_cpu
def _patch_score(
    own: Array, other: Array, row: int, col: int, row2: int, col2: int, limits: tuple[int, ...]
) -> np.float32:
    """Return the mean cosine over the offsets inside both images; frames hold zeros."""
    reach, channels, rows, cols, rows2, cols2 = limits
    total = np.float32(0)
    side = 2 * reach + 1
    for line in range(side):
        first = own[row + line, col * channels : (col + side) * channels]
        second = other[row2 + line, col2 * channels : (col2 + side) * channels]
        for place in range(len(first)):
            total += first[place] * second[place]
    high = min(reach, row, row2) + min(reach, rows - 1 - row, rows2 - 1 - row2) + 1
    wide = min(reach, col, col2) + min(reach, cols - 1 - col, cols2 - 1 - col2) + 1
    return total / np.float32(high * wide)


@compile_cpu
def _random(state: np.uint64) -> np.uint64:
    """Return the next of a row of 64-bit numbers (xorshift, Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state


@compile_cpu
def _offer(
    own: Array,
    other: Array,
    home: Array,
    other_mask: Array,
    row: int,
    col: int,
    row2: int,
    col2: int,
    leave_cost: float,
    limits: tuple[int, ...],
    position: Array,
    score: Array,
    value: Array,
) -> None:
    """Move the match of a cell to (row2, col2) if it may and gains by it."""
    if not (0 <= row2 < limits[4] and 0 <= col2 < limits[5] and other_mask[row2, col2]):
        return
    away = np.sqrt(np.float32((row2 - home[0, row, col]) ** 2 + (col2 - home[1, row, col]) ** 2))
    plain = _patch_score(own, other, row, col, row2, col2, limits)
    if plain - leave_cost * away > value[row, col]:
        value[row, col] = plain - leave_cost * away
        score[row, col] = plain
        position[0, row, col], position[1, row, col] = row2, col2


@compile_cpu
def _improve(
    own: Array,
    other: Array,
    home: Array,
    own_mask: Array,
    other_mask: Array,
    reach: int,
    channels: int,
    radius: int,
    leave_cost: float,
    rounds: int,
    position: Array,
    score: Array,
) -> None:
    """Run the rounds in place."""
    rows, cols = own_mask.shape
    limits = (reach, channels, rows, cols, other_mask.shape[0], other_mask.shape[1])
    value = np.full((rows, cols), -np.inf, np.float32)
    state = np.uint64(88172645463325252)
    for row in range(rows):
        for col in range(cols):
            if own_mask[row, col]:
                row2, col2 = position[0, row, col], position[1, row, col]
                _offer(own, other, home, other_mask, row, col, row2, col2, leave_cost, limits,
                       position, score, value)  # fmt: skip
                if value[row, col] == -np.inf:  # a start outside the mask, perhaps kept
                    score[row, col] = _patch_score(own, other, row, col, row2, col2, limits)
    for _ in range(rounds):
        for jump in _JUMPS:
            for row in range(rows):
                for col in range(cols):
                    if not own_mask[row, col]:
                        continue
                    for drow, dcol in ((0, -jump), (0, jump), (-jump, 0), (jump, 0)):
                        at, at_col = row + drow, col + dcol
                        if 0 <= at < rows and 0 <= at_col < cols and own_mask[at, at_col]:
                            row2 = position[0, at, at_col] - drow
                            col2 = position[1, at, at_col] - dcol
                            _offer(own, other, home, other_mask, row, col, row2, col2, leave_cost,
                                   limits, position, score, value)  # fmt: skip
        for row in range(rows):
            for col in range(cols):
                if not own_mask[row, col]:
                    continue
                step = radius
                while step >= 1:
                    state = _random(state)
                    width = np.uint64(2 * step + 1)
                    row2 = position[0, row, col] + int(state % width) - step
                    state = _random(state)
                    col2 = position[1, row, col] + int(state % width) - step
                    _offer(own, other, home, other_mask, row, col, row2, col2, leave_cost,
                           limits, position, score, value)  # fmt: skip
                    step //= 2
