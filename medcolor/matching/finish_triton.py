"""What follows the last search, as Triton kernels: enlarging, confidence, votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from medcolor import gpu
from medcolor.matching.field import Correspondence, NearestNeighborField
from medcolor.matching.kernels import OTHER_MASK, OWN_MASK, agreement, flags, shapes_of
from medcolor.matching.searches import Searches

_PIXELS = 256


def enlarge(
    searches: Searches, index: int, field: NearestNeighborField, scale_px: float
) -> Correspondence:
    """Carry a field of level `index` to pixels, in both directions, and judge it.

    Args:
        searches: Whose field it is.
        index: Its level; 0 are pixels.
        field: As searched.
        scale_px: Of confidence, see `field.forward_backward_confidence`.
    """
    pairs, (rows, cols), device = searches.count, searches.canvas, searches.table.device
    fine = field
    if index:
        fine = NearestNeighborField.zeros(2 * pairs, rows, cols, device)
        gpu.launch(
            _enlarge,
            (triton.cdiv(rows * cols, _PIXELS), 2 * pairs),
            searches.table,
            field.position,
            field.similarity,
            fine.position,
            fine.similarity,
            index,
            rows,
            cols,
            PIXELS=_PIXELS,
        )
    confidence = torch.zeros(pairs, rows, cols, dtype=torch.float32, device=device)
    gpu.launch(
        _confide,
        (triton.cdiv(rows * cols, _PIXELS), pairs),
        searches.table,
        fine.position,
        confidence,
        rows,
        cols,
        pairs,
        scale_px,
        PIXELS=_PIXELS,
    )
    return Correspondence(fine[:pairs], fine[pairs:], confidence)


def vote_at_once(
    searches: Searches,
    found: Correspondence,
    values: Sequence[Float[Tensor, "1 3 _row _col"]],
    *,
    patch_px: int,
    least_confidence: float,
) -> Float[Tensor, "pair 4 row col"]:
    """Return what every pair's photograph says about its slice, as `vote.vote` does.

    Args:
        searches: The pairs.
        found: Their matches.
        values: Of the photograph of each pair.
        patch_px: Side of the patches that vote, odd.
        least_confidence: Weight of a match that nothing confirms.

    Returns:
        Three planes of the votes of overlapping patches, one of their mean weight. Zero beyond a
        slice's own rows and columns.
    """
    pairs, rows, cols = found.confidence.shape
    device = searches.table.device
    addresses = gpu.upload(np.array([one.data_ptr() for one in values], np.int64), device)
    said = torch.zeros(pairs, 4, rows, cols, dtype=torch.float32, device=device)
    gpu.launch(
        _vote,
        (triton.cdiv(rows * cols, _PIXELS), pairs),
        searches.table,
        addresses,
        found.target_to_reference.position,
        found.confidence,
        said,
        rows,
        cols,
        least_confidence,
        REACH=patch_px // 2,
        PIXELS=_PIXELS,
    )
    return said


@gpu.kernel("index", "canvas_rows", "canvas_cols")
def _enlarge(
    table,
    coarse,
    similarity,
    fine,
    fine_similarity,
    index,
    canvas_rows,
    canvas_cols,
    PIXELS: tl.constexpr,
) -> None:
    """Enlarge the matches of some pixels of one search, level by level."""
    search = tl.program_id(1)
    wide_search = search.to(tl.int64)
    rows, cols, _, _ = shapes_of(table, search, 0)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, col = pixel // canvas_cols, pixel % canvas_cols
    inside = (row < rows) & (col < cols)
    plane = canvas_rows * canvas_cols
    wide, part = canvas_cols >> index, (canvas_rows >> index) * (canvas_cols >> index)
    cell = (row >> index) * wide + (col >> index)
    row2 = tl.load(coarse + 2 * wide_search * part + cell, mask=inside, other=0)
    col2 = tl.load(coarse + (2 * wide_search + 1) * part + cell, mask=inside, other=0)
    level = index - 1
    while level >= 0:
        _, _, _, cols2 = shapes_of(table, search, level)
        mask = flags(table, search, level, OTHER_MASK)
        corner = 2 * row2 * cols2 + 2 * col2
        down, right = (row >> level) & 1, (col >> level) & 1
        here = tl.load(mask + corner + down * cols2 + right, mask=inside, other=1) != 0
        one = tl.load(mask + corner, mask=inside, other=1) != 0
        two = tl.load(mask + corner + 1, mask=inside, other=1) != 0
        three = tl.load(mask + corner + cols2, mask=inside, other=1) != 0
        four = tl.load(mask + corner + cols2 + 1, mask=inside, other=1) != 0
        # The first of the four with tissue, if the one at the same place has none.
        last = tl.where(four, 3, 0)
        first = tl.where(one, 0, tl.where(two, 1, tl.where(three, 2, last)))
        row2 = 2 * row2 + tl.where(here, down, first // 2)
        col2 = 2 * col2 + tl.where(here, right, first % 2)
        level -= 1
    tl.store(fine + 2 * wide_search * plane + pixel, row2, mask=inside)
    tl.store(fine + (2 * wide_search + 1) * plane + pixel, col2, mask=inside)
    score = tl.load(similarity + wide_search * part + cell, mask=inside, other=0.0)
    tl.store(fine_similarity + wide_search * plane + pixel, score, mask=inside)


@gpu.kernel("canvas_rows", "canvas_cols", "pairs")
def _confide(
    table, position, confidence, canvas_rows, canvas_cols, pairs, scale, PIXELS: tl.constexpr
) -> None:
    """Judge the matches of some pixels of one slice."""
    pair = tl.program_id(1)
    rows, cols, _, _ = shapes_of(table, pair, 0)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, col = pixel // canvas_cols, pixel % canvas_cols
    inside = (row < rows) & (col < cols)
    _, _, trust = agreement(
        position, pair, row, col, inside, canvas_rows, canvas_cols, pairs, scale
    )
    tl.store(confidence + pair.to(tl.int64) * canvas_rows * canvas_cols + pixel, trust, mask=inside)


@gpu.kernel("canvas_rows", "canvas_cols")
def _vote(
    table,
    values,
    position,
    confidence,
    said,
    canvas_rows,
    canvas_cols,
    least_confidence,
    REACH: tl.constexpr,
    PIXELS: tl.constexpr,
) -> None:
    """Count the votes for some pixels of one slice."""
    pair = tl.program_id(1)
    rows, cols, rows2, cols2 = shapes_of(table, pair, 0)
    plane, plane2 = canvas_rows * canvas_cols, rows2 * cols2
    tissue, tissue2 = flags(table, pair, 0, OWN_MASK), flags(table, pair, 0, OTHER_MASK)
    value = tl.load(values + pair).to(tl.pointer_type(tl.float32))
    position += 2 * pair.to(tl.int64) * plane
    confidence += pair.to(tl.int64) * plane
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, col = pixel // canvas_cols, pixel % canvas_cols
    inside = (row < rows) & (col < cols)
    mass = tl.zeros((PIXELS,), dtype=tl.float32)
    first = tl.zeros((PIXELS,), dtype=tl.float32)
    second = tl.zeros((PIXELS,), dtype=tl.float32)
    third = tl.zeros((PIXELS,), dtype=tl.float32)
    step = 0
    while step < (2 * REACH + 1) * (2 * REACH + 1):
        drow, dcol = step // (2 * REACH + 1) - REACH, step % (2 * REACH + 1) - REACH
        there = inside & (row + drow >= 0) & (row + drow < rows)
        there = there & (col + dcol >= 0) & (col + dcol < cols)
        near = pixel + drow * canvas_cols + dcol
        row2 = tl.load(position + near, mask=there, other=0) - drow
        col2 = tl.load(position + plane + near, mask=there, other=0) - dcol
        there = there & (row2 >= 0) & (row2 < rows2) & (col2 >= 0) & (col2 < cols2)
        own = (row + drow) * cols + col + dcol
        there = there & (tl.load(tissue + own, mask=there, other=0) != 0)
        source = row2 * cols2 + col2
        there = there & (tl.load(tissue2 + source, mask=there, other=0) != 0)
        sure = tl.load(confidence + near, mask=there, other=0.0)
        share = tl.where(there, tl.maximum(sure, least_confidence), 0.0)
        mass += share
        first += share * tl.load(value + source, mask=there, other=0.0)
        second += share * tl.load(value + plane2 + source, mask=there, other=0.0)
        third += share * tl.load(value + 2 * plane2 + source, mask=there, other=0.0)
        step += 1
    out = said + 4 * pair.to(tl.int64) * plane + pixel
    norm = tl.maximum(mass, 1e-6)
    tl.store(out, first / norm, mask=inside)
    tl.store(out + plane, second / norm, mask=inside)
    tl.store(out + 2 * plane, third / norm, mask=inside)
    tl.store(out + 3 * plane, mass / ((2 * REACH + 1) * (2 * REACH + 1)), mask=inside)
