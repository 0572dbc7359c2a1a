"""What tone teaches of every pair, as one Triton kernel: `tone.teach_tone` for many pairs.

One program learns the curve of one pair: it reads the coarser level's matches twice, in an order
that no other pair changes. Curves are read where tones are compared, inside the searches.
"""

from __future__ import annotations

import torch
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from medcolor import gpu
from medcolor.matching.field import NearestNeighborField
from medcolor.matching.kernels import (
    KNOTS,
    LEAVE,
    LESSON,
    OTHER_TONE,
    OWN_MASK,
    OWN_TONE,
    SHARE,
    agreement,
    flags,
    floats,
    read_curve,
    shapes_of,
)
from medcolor.matching.searches import Searches
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.tone import FREEDOM, LEAST_LEAVE, LEAST_MASS, SIGMA

_CELLS = 128
_WARPS = 8
_DRAFT = tl.constexpr(64)
"""Where the curve lies, inside the lesson, while its fit is judged."""


def learn_tone(
    searches: Searches, index: int, coarse: NearestNeighborField, settings: MatchingSettings
) -> Float[Tensor, "pair lesson"]:
    """Return what tone teaches of every pair for the search of level `index`.

    Args:
        searches: The pairs.
        index: Level to be searched.
        coarse: Field of the next coarser level, in both directions.
        settings: Weight of tone, and what it costs to leave.
    """
    table, leave_cost = searches.table, settings.leave_cost * 2**index
    lessons = torch.zeros(searches.count, LESSON.value, dtype=torch.float32, device=table.device)
    if settings.tone_weight == 0:
        lessons[:, LEAVE.value] = leave_cost
        return lessons
    rows, cols = searches.grid(index + 1)
    gpu.launch(
        _learn,
        (searches.count,),
        table,
        coarse.position,
        lessons,
        index + 1,
        rows,
        cols,
        searches.count,
        settings.confidence_scale_px / 2 ** (index + 1),
        settings.tone_weight,
        leave_cost,
        SIGMA=SIGMA,
        FREEDOM=FREEDOM,
        LEAST_MASS=LEAST_MASS,
        LEAST_LEAVE=LEAST_LEAVE,
        CELLS=_CELLS,
        num_warps=_WARPS,
    )
    return lessons


@gpu.kernel("level", "canvas_rows", "canvas_cols", "pairs")
def _learn(
    table,
    position,
    lessons,
    level,
    canvas_rows,
    canvas_cols,
    pairs,
    scale,
    tone_weight,
    leave_cost,
    SIGMA: tl.constexpr,
    FREEDOM: tl.constexpr,
    LEAST_MASS: tl.constexpr,
    LEAST_LEAVE: tl.constexpr,
    CELLS: tl.constexpr,
) -> None:
    """Learn the curve of one pair (the letters and names are those of `tone.tone_curve`)."""
    pair = tl.program_id(0)
    lesson = lessons + pair * LESSON
    rows, cols, _, _ = shapes_of(table, pair, level)
    knot = tl.arange(0, _DRAFT)
    mass = tl.sum(tl.zeros((CELLS,), dtype=tl.float32), axis=0)
    total = mass
    kernel_mass = tl.zeros((_DRAFT,), dtype=tl.float32)
    kernel_total = tl.zeros((_DRAFT,), dtype=tl.float32)
    first = 0
    while first < rows * cols:
        own, other, weight = _matched(
            table, position, pair, level, canvas_rows, canvas_cols, pairs, first, scale, CELLS
        )
        mass += tl.sum(weight, axis=0)
        total += tl.sum(weight * other, axis=0)
        away = (knot.to(tl.float32)[:, None] / (KNOTS - 1) - own[None, :]) / SIGMA
        kernel = weight[None, :] * tl.exp(-0.5 * away * away)
        kernel_mass += tl.sum(kernel, axis=1)
        kernel_total += tl.sum(kernel * other[None, :], axis=1)
        first += CELLS
    mass = tl.maximum(mass, LEAST_MASS)
    mean, prior = total / mass, 1e-3 * mass
    curve = (kernel_total + prior * mean) / (kernel_mass + prior)
    tl.store(lesson + _DRAFT + knot, curve)
    tl.debug_barrier()

    # How well it fits what it was learnt from.
    spread_all = mass * 0.0
    spread_read, rest = spread_all, spread_all
    first = 0
    while first < rows * cols:
        own, other, weight = _matched(
            table, position, pair, level, canvas_rows, canvas_cols, pairs, first, scale, CELLS
        )
        read = read_curve(lesson + _DRAFT, own)
        spread_all += tl.sum(weight * (other - mean) * (other - mean), axis=0)
        spread_read += tl.sum(weight * (read - mean) * (read - mean), axis=0)
        rest += tl.sum(weight * (other - read) * (other - read), axis=0)
        first += CELLS
    gain = tl.minimum(tl.sqrt(spread_all / tl.maximum(spread_read, LEAST_MASS)), 3.0)
    few = mass / tl.maximum(mass - FREEDOM, LEAST_MASS)
    explained = tl.maximum(1 - few * rest / tl.maximum(spread_all, LEAST_MASS), 0.0)
    explained = tl.where(spread_all > 1e-6 * mass, explained, 0.0)
    tl.store(lesson + knot, mean + (curve - mean) * gain, mask=knot < KNOTS)
    tl.store(lesson + SHARE, tone_weight * tl.sqrt(explained))
    tl.store(lesson + LEAVE, leave_cost * tl.maximum(1 - explained, LEAST_LEAVE))


@gpu.kernel()
def _matched(
    table,
    position,
    pair,
    level,
    canvas_rows,
    canvas_cols,
    pairs,
    first,
    scale,
    CELLS: tl.constexpr,
):
    """Return the tones of some cells and of their matches, and how far each counts."""
    rows, cols, _, cols2 = shapes_of(table, pair, level)
    cell = first + tl.arange(0, CELLS)
    inside = cell < rows * cols
    row, col = cell // cols, cell % cols
    row2, col2, trust = agreement(
        position, pair, row, col, inside, canvas_rows, canvas_cols, pairs, scale
    )
    own = tl.load(floats(table, pair, level, OWN_TONE) + cell, mask=inside, other=0.0)
    at2 = row2 * cols2 + col2
    other = tl.load(floats(table, pair, level, OTHER_TONE) + at2, mask=inside, other=0.0)
    tissue = tl.load(flags(table, pair, level, OWN_MASK) + cell, mask=inside, other=0) != 0
    return own, other, tl.where(tissue & inside, trust, 0.0)
