"""Limited-memory BFGS for a batch of problems at once, each with its own steps and history."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

_HISTORY = 4
_ARMIJO = 1e-4
_TINY = 1e-20

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]


def minimize_lbfgs(
    objective: Objective, start: Float[Tensor, "problem value"], evaluations: int
) -> tuple[Float[Tensor, "problem value"], Float[Tensor, "evaluation problem"]]:
    """Lower every problem's objective (Nocedal 1980, doi:10.1090/S0025-5718-1980-0572855-7).

    All problems are evaluated together, once a round. One whose trial point satisfies the
    condition of sufficient decrease (Armijo) moves there and sets out in a new direction with
    step 1; the others shorten their step by quadratic interpolation. Curvature pairs that would
    spoil positive definiteness are left out. Nothing is read back from the device.

    Args:
        objective: Returns values (problem) and gradients (problem, value) of points.
        start: First points.
        evaluations: Calls of `objective`, at least 1.

    Returns:
        The best points, and the value each problem stood at after each evaluation: it never rises.
    """
    point = start
    value, gradient = objective(point)
    memory = _Memory(start)
    direction = -gradient
    # Of unknown scale, the first step is as long as the gradient is 1.
    step = 1 / gradient.norm(dim=1).clamp(min=_TINY)
    course = [value]
    for _ in range(evaluations - 1):
        slope = (direction * gradient).sum(1)
        trial = point + step[:, None] * direction
        trial_value, trial_gradient = objective(trial)
        moved = trial_value <= value + _ARMIJO * step * slope
        memory.add(trial - point, trial_gradient - gradient, moved)
        # The lowest point of the parabola through both values and the slope.
        bend = 2 * (trial_value - value - step * slope)
        shorter = (-slope * step / bend.clamp(min=_TINY)).clamp(0.1, 0.5)
        step = torch.where(moved, torch.ones_like(step), step * shorter)
        point = torch.where(moved[:, None], trial, point)
        gradient = torch.where(moved[:, None], trial_gradient, gradient)
        value = torch.where(moved, trial_value, value)
        direction = torch.where(moved[:, None], memory.direction(gradient), direction)
        course.append(value)
    return point, torch.stack(course)


class _Memory:
    """The last steps and changes of gradient of every problem, in rings of their own."""

    def __init__(self, start: Tensor) -> None:
        """Begin empty: the first direction is that of steepest descent."""
        self._steps = start.new_zeros(_HISTORY, *start.shape)
        self._changes = start.new_zeros(_HISTORY, *start.shape)
        self._inverse = start.new_zeros(_HISTORY, len(start))
        """1 / (step . change); 0 where the ring is empty."""
        self._scale = start.new_ones(len(start))
        self._next = torch.zeros(len(start), dtype=torch.long, device=start.device)
        self._every = torch.arange(len(start), device=start.device)

    def add(self, step: Tensor, change: Tensor, moved: Tensor) -> None:
        """Keep a pair for the problems that moved and whose curvature is positive."""
        product = (step * change).sum(1)
        square = change.square().sum(1)
        kept = moved & (product > 1e-10 * square)
        slot = self._next, self._every
        for ring, new in ((self._steps, step), (self._changes, change)):
            ring[slot] = torch.where(kept[:, None], new, ring[slot])
        self._inverse[slot] = torch.where(kept, 1 / product.clamp(min=_TINY), self._inverse[slot])
        self._scale = torch.where(kept, product / square.clamp(min=_TINY), self._scale)
        self._next = torch.where(kept, (self._next + 1) % _HISTORY, self._next)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return minus the approximate inverse Hessian times the gradient (two loops)."""
        rest, weights = gradient, []
        for age in range(1, _HISTORY + 1):
            slot = (self._next - age) % _HISTORY, self._every
            weight = self._inverse[slot] * (self._steps[slot] * rest).sum(1)
            rest = rest - weight[:, None] * self._changes[slot]
            weights.append(weight)
        rest = self._scale[:, None] * rest
        for age in range(_HISTORY, 0, -1):
            slot = (self._next - age) % _HISTORY, self._every
            part = self._inverse[slot] * (self._changes[slot] * rest).sum(1)
            rest = rest + (weights[age - 1] - part)[:, None] * self._steps[slot]
        return -rest
