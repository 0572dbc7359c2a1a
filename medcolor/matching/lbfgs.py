"""Limited-memory BFGS for a batch of problems at once, each with its own steps and history.

Vector-free (Chen, Wang and Zhou 2014, "Large-scale L-BFGS using MapReduce"): the two loops of
Nocedal (1980, doi:10.1090/S0025-5718-1980-0572855-7) run on the inner products of the vectors that
span the direction, a small matrix for each problem, and the direction is then put together of them
once. Long vectors are so read and written three times a round, by `Vectors` here or, on a GPU, by
the kernels of `lbfgs_triton.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medcolor.gpu import repeat

_HISTORY = 4
RING = _HISTORY + 1
"""Places for steps: one more, for a step that may prove useless."""

_ARMIJO = 1e-4
_TINY = 1e-20
_STEPS, _CHANGES = slice(RING), slice(RING, 2 * RING)
GRADIENT = 2 * RING
"""Rows of the vectors that span a direction: steps, changes of gradient, the gradient."""

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]


def minimize_lbfgs(
    objective: Objective,
    start: Float[Tensor, "problem value"],
    evaluations: int,
    tolerance: float = 0.0,
) -> tuple[Float[Tensor, "problem value"], Float[Tensor, "evaluation problem"]]:
    """Lower every problem's objective.

    All problems are evaluated together, once a round. One whose trial point satisfies the
    condition of sufficient decrease (Armijo) moves there and sets out in a new direction with
    step 1; the others shorten their step by quadratic interpolation. Curvature pairs that would
    spoil positive definiteness are left out. Nothing is read back from the device.

    Args:
        objective: Returns values (problem) and gradients (problem, value) of points.
        start: First points.
        evaluations: Calls of `objective`, at least 1.
        tolerance: Share of the least value so far by which rounding may hide a decrease; with
            0 no value ever rises.

    Returns:
        The last points, and the value each problem stood at after each evaluation.
    """
    value, gradient = objective(start)
    kind: type[Vectors] = Vectors
    if start.device.type != "cpu":
        from medcolor.matching.lbfgs_triton import VectorsOnGpu  # CPUs need no Triton

        kind = VectorsOnGpu
    vectors = kind(start, gradient)
    search = _LineSearch(objective, vectors, value, evaluations, tolerance)
    repeat(search.advance, evaluations - 1, start.device)
    return vectors.point, search.course


class Vectors:
    """The long vectors of all problems, and what is done with them."""

    def __init__(
        self, point: Float[Tensor, "problem value"], gradient: Float[Tensor, "problem value"]
    ) -> None:
        """Begin without a history."""
        self.point = point.clone()
        self.trial = point.clone()
        self.direction = torch.zeros_like(point)
        self.span = point.new_zeros(len(point), GRADIENT + 1, point.shape[1])
        self.span[:, GRADIENT] = gradient

    def aim(
        self,
        weights: Float[Tensor, "problem span"],
        step: Float[Tensor, " problem"],
        is_new: Bool[Tensor, " problem"],
    ) -> None:
        """Set the direction to the weighted sum of the span where it is new, and a trial point."""
        for number in is_new.nonzero()[:, 0].tolist():
            torch.mv(self.span[number].T, weights[number], out=self.direction[number])
        torch.addcmul(self.point, step[:, None], self.direction, out=self.trial)

    def move(
        self,
        gradient: Float[Tensor, "problem value"],
        moved: Bool[Tensor, " problem"],
        slot: Int[Tensor, " problem"],
    ) -> None:
        """Go to the trial points of those that moved, and keep step and change in their slots."""
        for number in moved.nonzero()[:, 0].tolist():
            span, at = self.span[number], int(slot[number])
            torch.sub(self.trial[number], self.point[number], out=span[at])
            torch.sub(gradient[number], span[GRADIENT], out=span[RING + at])
            span[GRADIENT] = gradient[number]
            self.point[number] = self.trial[number]

    def products(
        self, slot: Int[Tensor, " problem"], moved: Bool[Tensor, " problem"]
    ) -> Float[Tensor, "problem 3 span"]:
        """Return the products of the span with the newest step, change and gradient.

        Those of problems that have not moved mean nothing.
        """
        found = self.span.new_zeros(len(slot), 3, GRADIENT + 1)
        for number in moved.nonzero()[:, 0].tolist():
            at = int(slot[number])
            newest = self.span[number][[at, RING + at, GRADIENT]]
            torch.mm(newest, self.span[number].T, out=found[number])
        return found


class _LineSearch:
    """Where every problem stands, in tensors that are changed in place: a round can be replayed."""

    def __init__(
        self,
        objective: Objective,
        vectors: Vectors,
        value: Float[Tensor, " problem"],
        evaluations: int,
        tolerance: float,
    ) -> None:
        """Set out along the steepest descent; of unknown scale, the first step is as long as 1."""
        self._objective, self._vectors, self._tolerance = objective, vectors, tolerance
        problems, device = len(value), value.device
        self._slot = torch.zeros(problems, dtype=torch.long, device=device)
        """Where the next step goes, in a ring."""

        self._is_kept = torch.zeros(problems, RING, dtype=torch.bool, device=device)
        gradient = vectors.span[:, GRADIENT]
        # Inner products are small numbers of large sums: in float32 they would be too coarse.
        self._gram = torch.zeros(
            problems, GRADIENT + 1, GRADIENT + 1, dtype=torch.float64, device=device
        )
        squared = gradient.square().sum(1).double()
        self._gram[:, GRADIENT, GRADIENT] = squared
        self._value, self._least = value.clone(), value.clone()
        self._slope = -squared
        self._step = (1 / squared.sqrt().clamp(min=_TINY)).to(gradient.dtype)
        self.course = value.new_zeros(evaluations, problems)
        self.course[0] = value
        self._round = torch.ones(1, dtype=torch.long, device=device)
        weights = torch.zeros(problems, GRADIENT + 1, dtype=gradient.dtype, device=device)
        weights[:, GRADIENT] = -1
        vectors.aim(weights, self._step, torch.ones_like(self._slot, dtype=torch.bool))

    def advance(self) -> None:
        """Evaluate the trial points; move or shorten the step; set new trial points."""
        value, gradient = self._objective(self._vectors.trial)
        expected = self._step.double() * self._slope
        bound = self._value.double() + _ARMIJO * expected
        hidden = self._least.double() * (1 + self._tolerance)
        moved = (value <= bound) | ((self._tolerance > 0) & (value <= hidden))
        # The lowest point of the parabola through both values and the slope.
        bend = 2 * (value.double() - self._value.double() - expected)
        shorter = (-expected / bend.clamp(min=_TINY)).clamp(0.1, 0.5).to(self._step.dtype)
        self._vectors.move(gradient, moved, self._slot)
        self._learn(self._vectors.products(self._slot, moved).double(), moved)
        weights, slope = self._direction()
        self._slope.copy_(torch.where(moved, slope, self._slope))
        self._step.copy_(torch.where(moved, torch.ones_like(self._step), self._step * shorter))
        self._value.copy_(torch.where(moved, value, self._value))
        self._least.copy_(torch.minimum(self._least, self._value))
        self._vectors.aim(weights.to(gradient.dtype), self._step, moved)
        self.course.index_copy_(0, self._round, self._value[None])
        self._round += 1

    def _learn(
        self, products: Float[Tensor, "problem 3 span"], moved: Bool[Tensor, " problem"]
    ) -> None:
        """Write the products of the newest vectors down; keep pairs of positive curvature alone."""
        slot = self._slot[:, None]
        rows = torch.cat([slot, slot + RING, torch.full_like(slot, GRADIENT)], 1)
        index = rows[:, :, None].expand(-1, -1, products.shape[2])
        gram = self._gram.scatter(1, index, products)
        gram = gram.transpose(1, 2).scatter(1, index, products).transpose(1, 2)
        self._gram.copy_(torch.where(moved[:, None, None], gram, self._gram))
        curvature = products[:, 0].gather(1, slot + RING)[:, 0]
        squared = products[:, 1].gather(1, slot + RING)[:, 0]
        kept = moved & (curvature > 1e-10 * squared)
        written = self._is_kept.scatter(1, slot, kept[:, None])
        self._is_kept.copy_(torch.where(moved[:, None], written, self._is_kept))
        self._slot.copy_(torch.where(kept, (self._slot + 1) % RING, self._slot))

    def _direction(self) -> tuple[Float[Tensor, "problem span"], Float[Tensor, " problem"]]:
        """Return minus the approximate inverse Hessian times the gradient, and its slope."""
        gram, kept = self._gram, self._is_kept
        ages = torch.arange(1, _HISTORY + 1, device=gram.device)
        newest_first = (self._slot[:, None] - ages) % RING
        curvature = gram[:, _STEPS, _CHANGES].diagonal(dim1=1, dim2=2)
        inverse = torch.where(kept, 1 / curvature.clamp(min=_TINY), 0.0)
        squared = gram[:, _CHANGES, _CHANGES].diagonal(dim1=1, dim2=2)
        newest = newest_first[:, :1]
        scale = (curvature / squared.clamp(min=_TINY)).gather(1, newest)
        scale = torch.where(kept.gather(1, newest), scale, 1.0)
        weights = torch.zeros_like(gram[:, 0])
        weights[:, GRADIENT] = 1
        shares = []
        for age in range(_HISTORY):
            slot = newest_first[:, age : age + 1]
            along = (weights * _row(gram, slot)).sum(1, keepdim=True)
            shares.append(inverse.gather(1, slot) * along)
            weights = weights.scatter_add(1, slot + RING, -shares[-1])
        weights = scale * weights
        for age in range(_HISTORY - 1, -1, -1):
            slot = newest_first[:, age : age + 1]
            along = (weights * _row(gram, slot + RING)).sum(1, keepdim=True)
            part = inverse.gather(1, slot) * along
            weights = weights.scatter_add(1, slot, shares[age] - part)
        slope = -(weights * gram[:, GRADIENT]).sum(1)
        # What rounding has left of an uphill direction is the steepest descent.
        steepest = torch.zeros_like(weights)
        steepest[:, GRADIENT] = 1
        uphill = slope > 0
        weights = torch.where(uphill[:, None], steepest, weights)
        return -weights, torch.where(uphill, -gram[:, GRADIENT, GRADIENT], slope)


def _row(
    gram: Float[Tensor, "problem span span"], at: Int[Tensor, "problem 1"]
) -> Float[Tensor, "problem span"]:
    """Return one row of the matrix of each problem."""
    return gram.gather(1, at[:, :, None].expand(-1, -1, gram.shape[2]))[:, 0]
