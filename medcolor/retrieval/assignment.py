"""One reference for every slice of a stack, chosen for the whole stack at once.

The paper takes the most similar reference of each slice on its own (equation 2),
and neighbouring slices may then take references from different places of the
body. Here a dynamic programme over z finds the course along the body with the highest
sum of similarities, minus a cost for every millimetre by which it advances more or
less than the slices do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from medcolor.settings import Settings

_STEPS_PER_SLICE = 4
"""Resolution of the positions tried, against the distance of two slices."""


@dataclass(frozen=True, kw_only=True)
class RetrievalSettings(Settings):
    """How references are chosen."""

    along_stack: bool = True
    """Choose for the whole stack at once. Off: the most similar reference of each slice
    on its own, as the paper does."""

    references: int = 3
    """How many references a slice takes its colours from: the one assigned to it and the
    next on either side, or the most similar where positions are unknown. The paper: 1."""

    apart_mm: float = 4.0
    """Least distance of two of them along the body: nearer ones tell the same. Also the distance
    from the assigned one at which a reference has a quarter of its weight."""

    stretch: tuple[float, float] = (0.5, 1.75)
    """How much slower and faster than the slices the references may advance: bodies differ
    in size. The direction is known from both orientations."""

    advance_cost: float = 0.1
    """Similarity, per millimetre of stack, given up for each millimetre by which the
    references advance more or less than the slices. Does not depend on slice distance."""

    cost_per_switch: float = 0.05
    """Similarity given up for taking another reference than the neighbouring slice,
    where the references' positions are unknown."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.references < 1 or self.apart_mm <= 0:
            raise ValueError("references must be >= 1, apart_mm > 0")
        if self.advance_cost < 0 or self.cost_per_switch < 0:
            raise ValueError("costs must be >= 0")
        if not 0 <= self.stretch[0] <= 1 <= self.stretch[1]:
            raise ValueError("stretch must be (at most 1, at least 1), both >= 0")


def cosine_similarity(
    descriptors: Float[np.ndarray, "slice descriptor"],
    references: Float[np.ndarray, "reference descriptor"],
) -> Float[np.ndarray, "slice reference"]:
    """Return equation 2 for every pair; both sides have unit length (or zero: nothing seen).

    Rounded to 1e-5, so that no choice hangs on how many threads summed the product.
    """
    return np.asarray(np.round(descriptors @ references.T, 5), np.float32)


def top_k(similarity: Float[np.ndarray, "slice reference"], k: int) -> Int[np.ndarray, "slice k"]:
    """Return the k most similar references of every slice, best first; ties by order."""
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def assign_references(
    similarity: Float[np.ndarray, "slice reference"],
    visible: Bool[np.ndarray, " slice"],
    positions_mm: Float[np.ndarray, " reference"] | None,
    slice_step_mm: float,
    settings: RetrievalSettings,
) -> Int[np.ndarray, " slice"]:
    """Return the index of the reference of every slice.

    Args:
        similarity: Cosine of descriptors.
        visible: Slices that show a body; the others follow their neighbours for free.
        positions_mm: Of the references along the body, ascending toward the feet, or None.
        slice_step_mm: From one slice to the next, toward the head, > 0.
        settings: Costs of leaving the expected step.
    """
    if not settings.along_stack:
        return top_k(similarity, 1)[:, 0]
    scores = np.where(visible[:, None], similarity, 0).astype(np.float64)
    if positions_mm is None:
        cost = settings.cost_per_switch * (1 - np.eye(scores.shape[1]))
        return _best_sequence(scores, cost)
    place_mm = _best_places(scores, positions_mm, slice_step_mm, settings)
    return np.asarray(np.abs(place_mm[:, None] - positions_mm[None, :]).argmin(axis=1))


def _best_sequence(
    scores: Float[np.ndarray, "slice state"], cost: Float[np.ndarray, "state state"]
) -> Int[np.ndarray, " slice"]:
    """Maximise the sum of scores minus the cost of every transition (Viterbi 1967)."""
    best = scores[0]
    origin = np.zeros(scores.shape, np.int64)
    for z in range(1, len(scores)):
        candidates = best[:, None] - cost
        origin[z] = candidates.argmax(axis=0)
        best = candidates.max(axis=0) + scores[z]
    return _trace(origin, int(best.argmax()))


def _best_places(
    scores: Float[np.ndarray, "slice reference"],
    positions_mm: Float[np.ndarray, " reference"],
    slice_step_mm: float,
    settings: RetrievalSettings,
) -> Float[np.ndarray, " slice"]:
    """Return the place along the references' body of every slice, in mm.

    The places are a grid finer than slices and references: were they the references
    themselves, five millimetres apart against slices of one, standing still would always
    cost less than advancing. Between two references the score is interpolated; beyond the
    last it is that of the last.
    """
    grain_mm = slice_step_mm / _STEPS_PER_SLICE
    fewest = math.ceil(settings.stretch[0] * _STEPS_PER_SLICE)
    most = math.floor(settings.stretch[1] * _STEPS_PER_SLICE)
    beyond = most * len(scores)
    span = math.ceil((positions_mm[-1] - positions_mm[0]) / grain_mm)
    # From the feet to the head, as the slices run.
    places_mm = positions_mm[-1] + grain_mm * (beyond - np.arange(span + 2 * beyond + 1))

    def score(z: int) -> Float[np.ndarray, " place"]:
        return np.asarray(slice_step_mm * np.interp(places_mm, positions_mm, scores[z]))

    best = score(0)
    origin = np.zeros((len(scores), len(places_mm)), np.int32)
    for z in range(1, len(scores)):
        reached = np.full(len(places_mm), -np.inf)
        for steps in range(fewest, most + 1):
            cost = settings.advance_cost * abs(steps * grain_mm - slice_step_mm)
            candidate = np.full(len(places_mm), -np.inf)
            candidate[steps:] = best[: len(best) - steps] - cost
            better = candidate > reached
            reached[better] = candidate[better]
            origin[z, better] = np.flatnonzero(better) - steps
        best = reached + score(z)
    return np.asarray(places_mm[_trace(origin, int(best.argmax()))])


def references_around(
    place_mm: float, positions_mm: Float[np.ndarray, " reference"], settings: RetrievalSettings
) -> list[tuple[int, float]]:
    """Return the references nearest to a place along the body, nearest first, and their weights.

    No two are nearer to each other than `apart_mm`; there may be fewer than asked for. The
    weight is (apart / (apart + distance))^2.
    """
    distance = np.abs(positions_mm - place_mm)
    chosen: list[int] = []
    for index in np.argsort(distance, kind="stable"):
        near = np.abs(positions_mm[chosen] - positions_mm[index]) < settings.apart_mm
        if not near.any():
            chosen.append(int(index))
        if len(chosen) == settings.references:
            break
    apart = settings.apart_mm
    return [(index, float((apart / (apart + distance[index])) ** 2)) for index in chosen]


def _trace(origin: Int[np.ndarray, "slice state"], last: int) -> Int[np.ndarray, " slice"]:
    """Follow the best path back from its last state."""
    path = np.empty(len(origin), np.int64)
    path[-1] = last
    for z in range(len(origin) - 1, 0, -1):
        path[z - 1] = origin[z, path[z]]
    return path
