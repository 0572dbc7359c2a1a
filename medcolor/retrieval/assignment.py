"""References for every slice of a stack, chosen for the whole stack at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from medcolor.errors import InputError
from medcolor.retrieval.course import Course, Line, best_course, best_sequence
from medcolor.retrieval.order import follows_looks, order_by_looks
from medcolor.retrieval.search import Nearest, top_k
from medcolor.retrieval.settings import RetrievalSettings

_DISTANCES_MM = tuple(float(d) for d in np.round(np.geomspace(0.25, 16, 13), 3))
"""Tried between photographs that do not say theirs."""

_FAVOUR = 0.08
"""Share of the best gain by which a guess may be worse for each thing it need not contradict."""

_FEW = 8
"""Photographs below which that is more, in proportion, for the way they run: two or three tell
little of it."""

_LISTED = 3

_SAMPLED_SLICES = 160
"""Slices that direction and distance are judged by."""

_MOST_ORDERED = 4000
"""Photographs up to which an order is looked for: time and memory grow with the square."""


@dataclass(frozen=True)
class Choice:
    """What was chosen for a stack."""

    chosen: Int[np.ndarray, " slice"]
    """The reference of every slice."""

    cosine: Float[np.ndarray, " slice"]
    """Of each slice with it."""

    most_similar: Nearest
    """The most similar of every slice on its own, as the paper lists them; three at least, if there
    are so many."""

    course: Course | None
    """None where each slice or run of slices was given a reference without an order."""

    order: Literal["names", "looks", "none"]
    """What told the places."""

    is_reversed: bool = False
    """Whether the slices run against what was stated."""

    distance_mm: float | None = None
    """Usual distance found between neighbouring photographs; None where their names say it."""


def cosine_similarity(
    descriptors: Float[np.ndarray, "slice descriptor"],
    references: Float[np.ndarray, "reference descriptor"],
) -> Float[np.ndarray, "slice reference"]:
    """Return equation 2 for every pair; both sides have unit length (or zero: nothing seen).

    Rounded to 1e-5, so that no choice hangs on how many threads summed the product.
    """
    return np.asarray(np.round(descriptors @ references.T, 5), np.float32)


def choose_references(
    descriptors: Float[np.ndarray, "slice descriptor"],
    references: Float[np.ndarray, "reference descriptor"],
    positions_mm: Float[np.ndarray, " reference"] | None,
    slice_step_mm: float,
    settings: RetrievalSettings,
) -> Choice:
    """Choose the reference of every slice.

    Args:
        descriptors: Of the slices; zero where a slice shows no body: it follows its neighbours.
        references: Of the references.
        positions_mm: Of the references along the body, growing toward the feet, or None.
        slice_step_mm: From one slice to the next, toward the head, > 0.
        settings: What is believed and what it costs.

    Raises:
        InputError: If the names are to tell the places and do not.
    """
    most_similar = top_k(descriptors, references, max(_LISTED, settings.references))

    def choice(
        chosen: Int[np.ndarray, " slice"],
        order: Literal["names", "looks", "none"] = "none",
        guess: _Guess | None = None,
        course: Course | None = None,
    ) -> Choice:
        cosine = np.round((descriptors * references[chosen]).sum(axis=1), 5)
        if guess is None:
            return Choice(chosen, cosine, most_similar, None, order)
        about = guess.is_reversed, guess.distance_mm
        return Choice(chosen, cosine, most_similar, course, order, *about)

    if not settings.along_stack:
        return choice(most_similar.indices[:, 0])
    similarity = cosine_similarity(descriptors, references)
    scores = np.where(descriptors.any(axis=1, keepdims=True), similarity, 0)
    order = _what_orders(references, positions_mm, settings.order)
    if order == "none":
        return choice(best_sequence(scores, settings.cost_per_switch))
    guesses = list(_guesses(references, positions_mm, order, settings))
    every = -(-len(scores) // _SAMPLED_SLICES)

    def course(line: Line, step: int) -> Course:
        return best_course(
            scores[::step],
            line,
            step * slice_step_mm,
            stretch=settings.stretch,
            advance_cost=settings.advance_cost,
        )

    best = guesses[0]
    if len(guesses) > 1:
        gains = np.array([course(guess.line, every).gain for guess in guesses])
        weight = max(1.0, _FEW / len(references))
        favour = _FAVOUR * gains.max() * np.array([guess.as_stated(weight) for guess in guesses])
        best = guesses[int(np.argmax(gains + favour))]
    found = course(best.line, 1)
    nearest = np.abs(found.place_mm[:, None] - best.line.positions_mm[None, :]).argmin(axis=1)
    return choice(best.line.order[nearest], order, best, found)


@dataclass(frozen=True)
class _Guess:
    """One way in which the references may lie along the stack."""

    line: Line
    is_reversed: bool
    distance_mm: float | None

    def as_stated(self, course_weight: float) -> float:
        """Count what agrees with what scan and photographs state, the way they run by a weight."""
        return course_weight * (not self.is_reversed) + (self.distance_mm is None)


def _what_orders(
    references: Float[np.ndarray, "reference descriptor"],
    positions_mm: Float[np.ndarray, " reference"] | None,
    asked: Literal["auto", "names", "looks", "none"],
) -> Literal["names", "looks", "none"]:
    """Return what tells the places of the references.

    Raises:
        InputError: If the names are to tell and do not.
    """
    if asked == "names" and positions_mm is None:
        raise InputError(
            "retrieval.order=names",
            "not every photograph has a number of its own in its name",
            "Name the files by their place in mm, or set retrieval.order=looks",
        )
    if asked != "auto":
        return asked
    if positions_mm is not None and follows_looks(references[np.argsort(positions_mm)]):
        return "names"
    return "looks" if 2 < len(references) <= _MOST_ORDERED else "none"


def _guesses(
    references: Float[np.ndarray, "reference descriptor"],
    positions_mm: Float[np.ndarray, " reference"] | None,
    order: Literal["names", "looks"],
    settings: RetrievalSettings,
) -> Iterator[_Guess]:
    """Yield every way in which the references may lie, what is stated first."""
    ways: tuple[bool, ...] = False, True
    lines: list[tuple[float | None, Line]]
    if order == "looks" or positions_mm is None:
        line = order_by_looks(references)
        places = np.arange(len(line), dtype=float)
        lines = [(distance, Line(line, distance * places)) for distance in _DISTANCES_MM]
    else:
        line = np.argsort(positions_mm, kind="stable")
        places = positions_mm[line]
        lines = [(None, Line(line, places))]
        if settings.order == "auto" and len(places) > 2:  # numbers need not be millimetres
            unit = float(np.diff(places).mean())
            lines += [(d, Line(line, places * (d / unit))) for d in _DISTANCES_MM]
        if settings.direction != "auto":
            ways = (settings.direction == "reversed",)
    for distance_mm, one in lines:
        for is_reversed in ways:
            yield _Guess(one.backward if is_reversed else one, is_reversed, distance_mm)


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
