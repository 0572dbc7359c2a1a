"""The long vectors of L-BFGS on a GPU: three Triton kernels a round.

Each reads a vector once. Sums run over fixed parts of a vector, always in the same order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medcolor import gpu
from medcolor.matching.lbfgs import GRADIENT, RING, Vectors

_ROWS = 16
"""The span's eleven vectors, filled up to a power of 2."""

_VALUES = 256
_PARTS = 256
"""Of a vector, that are summed apart."""

_WARPS = 8


class VectorsOnGpu(Vectors):
    """The long vectors of all problems, in float32."""

    def aim(
        self,
        weights: Float[Tensor, "problem span"],
        step: Float[Tensor, " problem"],
        is_new: Bool[Tensor, " problem"],
    ) -> None:
        """Set direction and trial point; see `Vectors`."""
        problems, size = self.point.shape
        gpu.launch(
            _aim,
            (triton.cdiv(size, _VALUES), problems),
            self.span,
            weights.contiguous(),
            step,
            is_new,
            self.direction,
            self.point,
            self.trial,
            size,
            SPAN=GRADIENT + 1,
            ROWS=_ROWS,
            VALUES=_VALUES,
            num_warps=_WARPS,
        )

    def move(
        self,
        gradient: Float[Tensor, "problem value"],
        moved: Bool[Tensor, " problem"],
        slot: Int[Tensor, " problem"],
    ) -> None:
        """Go to the trial points; see `Vectors`."""
        problems, size = self.point.shape
        gpu.launch(
            _move,
            (triton.cdiv(size, 4 * _VALUES), problems),
            self.span,
            gradient.contiguous(),
            moved,
            slot,
            self.point,
            self.trial,
            size,
            RING=RING,
            GRADIENT=GRADIENT,
            VALUES=4 * _VALUES,
        )

    def products(
        self, slot: Int[Tensor, " problem"], moved: Bool[Tensor, " problem"]
    ) -> Float[Tensor, "problem 3 span"]:
        """Return the products with the newest vectors; see `Vectors`."""
        problems, size = self.point.shape
        device = self.point.device
        parts = torch.empty(problems, _PARTS, 3, _ROWS, dtype=torch.float32, device=device)
        gpu.launch(
            _products,
            (_PARTS, problems),
            self.span,
            moved,
            slot,
            parts,
            size,
            RING=RING,
            GRADIENT=GRADIENT,
            ROWS=_ROWS,
            VALUES=_VALUES,
            num_warps=_WARPS,
        )
        return parts[..., : GRADIENT + 1].sum(1, dtype=torch.float64)


@gpu.kernel("size")
def _aim(
    span,
    weights,
    step,
    is_new,
    direction,
    point,
    trial,
    size,
    SPAN: tl.constexpr,
    ROWS: tl.constexpr,
    VALUES: tl.constexpr,
) -> None:
    """Put some values of direction and trial point together."""
    problem = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
    inside = at < size
    row = tl.arange(0, ROWS)
    ahead = tl.load(direction + problem * size + at, mask=inside, other=0.0)
    if tl.load(is_new + problem) != 0:
        weight = tl.load(weights + problem * SPAN + row, mask=row < SPAN, other=0.0)
        vectors = tl.load(
            span + (problem * SPAN + row[:, None]) * size + at[None, :],
            mask=(row < SPAN)[:, None] & inside[None, :],
            other=0.0,
        )
        ahead = tl.sum(weight[:, None] * vectors, axis=0)
        tl.store(direction + problem * size + at, ahead, mask=inside)
    here = tl.load(point + problem * size + at, mask=inside, other=0.0)
    there = here + tl.load(step + problem) * ahead
    tl.store(trial + problem * size + at, there, mask=inside)


@gpu.kernel("size")
def _move(
    span,
    gradient,
    moved,
    slot,
    point,
    trial,
    size,
    RING: tl.constexpr,
    GRADIENT: tl.constexpr,
    VALUES: tl.constexpr,
) -> None:
    """Move some values of a problem."""
    problem = tl.program_id(1).to(tl.int64)
    if tl.load(moved + problem) != 0:
        at = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
        inside = at < size
        rows = span + problem * (GRADIENT + 1) * size + at
        row = tl.load(slot + problem)
        here = tl.load(point + problem * size + at, mask=inside)
        there = tl.load(trial + problem * size + at, mask=inside)
        before = tl.load(rows + GRADIENT * size, mask=inside)
        after = tl.load(gradient + problem * size + at, mask=inside)
        tl.store(rows + row * size, there - here, mask=inside)
        tl.store(rows + (RING + row) * size, after - before, mask=inside)
        tl.store(rows + GRADIENT * size, after, mask=inside)
        tl.store(point + problem * size + at, there, mask=inside)


@gpu.kernel("size")
def _products(
    span,
    moved,
    slot,
    parts,
    size,
    RING: tl.constexpr,
    GRADIENT: tl.constexpr,
    ROWS: tl.constexpr,
    VALUES: tl.constexpr,
) -> None:
    """Multiply the values of one part: a few of every stretch."""
    problem = tl.program_id(1).to(tl.int64)
    if tl.load(moved + problem) != 0:
        row, lane = tl.arange(0, ROWS), tl.arange(0, VALUES)
        rows = span + problem * (GRADIENT + 1) * size
        newest = tl.load(slot + problem)
        by_step = tl.zeros((ROWS, VALUES), dtype=tl.float32)
        by_change = tl.zeros((ROWS, VALUES), dtype=tl.float32)
        by_gradient = tl.zeros((ROWS, VALUES), dtype=tl.float32)
        first = tl.program_id(0) * VALUES
        while first < size:
            at = first + lane
            inside = at < size
            vectors = tl.load(
                rows + row[:, None].to(tl.int64) * size + at[None, :],
                mask=(row <= GRADIENT)[:, None] & inside[None, :],
                other=0.0,
            )
            step = tl.load(rows + newest * size + at, mask=inside, other=0.0)
            change = tl.load(rows + (RING + newest) * size + at, mask=inside, other=0.0)
            gradient = tl.load(rows + GRADIENT * size + at, mask=inside, other=0.0)
            by_step += vectors * step[None, :]
            by_change += vectors * change[None, :]
            by_gradient += vectors * gradient[None, :]
            first += VALUES * tl.num_programs(0)
        out = parts + (problem * tl.num_programs(0) + tl.program_id(0)) * 3 * ROWS + row
        tl.store(out, tl.sum(by_step, axis=1))
        tl.store(out + ROWS, tl.sum(by_change, axis=1))
        tl.store(out + 2 * ROWS, tl.sum(by_gradient, axis=1))
