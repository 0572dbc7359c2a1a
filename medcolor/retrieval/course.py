"""The course of a stack along the references' body, by dynamic programming over z.

The paper takes the most similar reference of each slice on its own (equation 2), and
neighbouring slices may then take references from different places of the body. Here
the course is found that has the highest sum of similarities, minus a cost for every millimetre
by which it advances more or less than the slices do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

_STEPS_PER_SLICE = 4
"""Resolution of the places tried, against the distance of two slices."""


@dataclass(frozen=True)
class Line:
    """References in their order along a body."""

    order: Int[np.ndarray, " place"]
    """References, from the end where the stack ends to the end where it begins."""

    positions_mm: Float[np.ndarray, " place"]
    """Of each along the body, ascending."""

    @property
    def backward(self) -> Line:
        """The same references, for a stack that runs the other way."""
        return Line(self.order[::-1], -self.positions_mm[::-1])


@dataclass(frozen=True)
class Course:
    """Where along a line the slices lie."""

    line: Line
    place_mm: Float[np.ndarray, " slice"]
    """Descending; at its finest a quarter of a slice's distance."""

    gain: float
    """Mean similarity of a slice, less its costs."""


def best_course(
    scores: Float[np.ndarray, "slice reference"],
    line: Line,
    slice_step_mm: float,
    *,
    stretch: tuple[float, float],
    advance_cost: float,
) -> Course:
    """Return the best course of a stack along a line.

    The places are a grid finer than slices and references: were they the references
    themselves, five millimetres apart against slices of one, standing still would always
    cost less than advancing. Between two references the score is interpolated; beyond the
    last it is that of the last.

    Args:
        scores: Similarity; columns in the references' own order.
        line: The references along the body.
        slice_step_mm: From one slice to the next, > 0.
        stretch: How much slower and faster than the slices the references may advance.
        advance_cost: See RetrievalSettings.
    """
    positions_mm = line.positions_mm
    grain_mm = slice_step_mm / _STEPS_PER_SLICE
    fewest = math.ceil(stretch[0] * _STEPS_PER_SLICE)
    most = math.floor(stretch[1] * _STEPS_PER_SLICE)
    beyond = most * len(scores)
    span = math.ceil((positions_mm[-1] - positions_mm[0]) / grain_mm)
    # From the feet to the head, as the slices run.
    places_mm = positions_mm[-1] + grain_mm * (beyond - np.arange(span + 2 * beyond + 1))

    def score(z: int) -> Float[np.ndarray, " place"]:
        along = scores[z, line.order]
        return np.asarray(slice_step_mm * np.interp(places_mm, positions_mm, along))

    best = score(0)
    origin = np.zeros((len(scores), len(places_mm)), np.int32)
    for z in range(1, len(scores)):
        reached = np.full(len(places_mm), -np.inf)
        for steps in range(fewest, most + 1):
            cost = advance_cost * abs(steps * grain_mm - slice_step_mm)
            candidate = np.full(len(places_mm), -np.inf)
            candidate[steps:] = best[: len(best) - steps] - cost
            better = candidate > reached
            reached[better] = candidate[better]
            origin[z, better] = np.flatnonzero(better) - steps
        best = reached + score(z)
    gain = float(best.max()) / (slice_step_mm * len(scores))
    return Course(line, places_mm[_trace(origin, int(best.argmax()))], gain)


def best_sequence(
    scores: Float[np.ndarray, "slice reference"], cost_per_switch: float
) -> Int[np.ndarray, " slice"]:
    """Return the references with the highest sum of scores minus the cost of every change.

    Viterbi 1967; with one cost for every change a step costs as much as there are references.
    """
    best = scores[0].astype(np.float64)
    origin = np.zeros(scores.shape, np.int32)
    stay = np.arange(scores.shape[1])
    for z in range(1, len(scores)):
        other = int(best.argmax())
        is_changed = best[other] - cost_per_switch > best
        origin[z] = np.where(is_changed, other, stay)
        best = np.where(is_changed, best[other] - cost_per_switch, best) + scores[z]
    return _trace(origin, int(best.argmax()))


def _trace(origin: Int[np.ndarray, "slice state"], last: int) -> Int[np.ndarray, " slice"]:
    """Follow the best path back from its last state."""
    path = np.empty(len(origin), np.int64)
    path[-1] = last
    for z in range(len(origin) - 1, 0, -1):
        path[z - 1] = origin[z, path[z]]
    return path
