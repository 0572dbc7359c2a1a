"""The order of photographs along the body, found by their looks.

Photographs of one body cut after cut change little from one to the next: their order is the
shortest path through all of them, by distance of descriptors. It is found as travelling salesmen
are: from greedy paths, by 2-opt (Croes 1958) and or-opt (Or 1976) moves until none shortens it.
Seriation by the Fiedler vector (Atkins et al. 1998) was tried first and found no order (LOG.md).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

_STARTS = 8
_MOST_STARTS_FOR = 256
"""Photographs up to which all starts are made; beyond, one: time grows with the square."""

_LONGEST_MOVED = 3
_LEAST_GAIN = 1e-7

Distances = Float[np.ndarray, "node node"]
Tour = Int[np.ndarray, " node"]


def order_by_looks(
    descriptors: Float[np.ndarray, "reference descriptor"],
) -> Int[np.ndarray, " reference"]:
    """Return the references in an order along the body; which end comes first means nothing.

    Args:
        descriptors: Unit length.
    """
    count = len(descriptors)
    # One more node, as near to all as can be, closes the path to a tour.
    distance = np.zeros((count + 1, count + 1))
    distance[:count, :count] = 1 - np.round(descriptors @ descriptors.T, 5)
    random = np.random.default_rng(0)
    starts = random.permutation(count)[: _STARTS if count <= _MOST_STARTS_FOR else 1]
    tours = [_shortened(distance, _greedy(distance, int(start))) for start in starts]
    best = min(tours, key=lambda tour: _length(distance, tour))
    return np.roll(best, -int(np.flatnonzero(best == count)[0]))[1:]


def follows_looks(descriptors: Float[np.ndarray, "reference descriptor"]) -> bool:
    """Tell whether neighbours in the given order look alike, as they do along a body.

    They do if they are nearer to the likeness of nearest neighbours than to that of any two.
    """
    count = len(descriptors)
    if count < 3:
        return True
    asked = np.unique(np.linspace(0, count - 1, min(count, 256)).astype(int))
    similarity = descriptors[asked] @ descriptors.T
    similarity[np.arange(len(asked)), asked] = -np.inf
    # Everyone has two neighbours along a body.
    nearest = np.sort(similarity, axis=1)[:, -2:].mean()
    total = float((descriptors.sum(axis=0) ** 2).sum() - (descriptors**2).sum())
    usual = total / (count * (count - 1))
    along = float((descriptors[1:] * descriptors[:-1]).sum(axis=1).mean())
    return bool(along - usual >= (nearest - usual) / 2)


def _greedy(distance: Distances, start: int) -> Tour:
    """Walk from the closing node to `start` and on to the nearest not yet seen."""
    closing = len(distance) - 1
    open_nodes = np.ones(len(distance), bool)
    tour = [closing, start]
    open_nodes[tour] = False
    while open_nodes.any():
        tour.append(int(np.where(open_nodes, distance[tour[-1]], np.inf).argmin()))
        open_nodes[tour[-1]] = False
    return np.array(tour)


def _length(distance: Distances, tour: Tour) -> float:
    return float(distance[tour, np.roll(tour, -1)].sum())


def _shortened(distance: Distances, tour: Tour) -> Tour:
    """Make the move that shortens a tour most until none does."""
    while True:
        along = distance[np.ix_(tour, tour)]
        moves = [_two_opt(along), *(_or_opt(along, length) for length in _segment_lengths(tour))]
        gain, order = max(moves, key=lambda move: move[0])
        if gain < _LEAST_GAIN:
            return tour
        tour = tour[order]


def _segment_lengths(tour: Tour) -> range:
    return range(1, min(_LONGEST_MOVED, len(tour) - 3) + 1)


def _two_opt(along: Distances) -> tuple[float, Tour]:
    """Return the best reversal of a stretch: what it saves, and the new order."""
    count = len(along)
    following = np.roll(np.arange(count), -1)
    step = along[np.arange(count), following]
    saved = step[:, None] + step - along - along[np.ix_(following, following)]
    saved[np.tril_indices(count)] = -np.inf
    i, j = np.unravel_index(saved.argmax(), saved.shape)
    order = np.arange(count)
    order[i + 1 : j + 1] = order[i + 1 : j + 1][::-1]
    return float(saved[i, j]), order


def _or_opt(along: Distances, length: int) -> tuple[float, Tour]:
    """Return the best move of `length` nodes elsewhere, as they are or reversed."""
    count = len(along)
    following = np.roll(np.arange(count), -1)
    step = along[np.arange(count), following]
    first = np.arange(1, count - length)
    last = first + length - 1
    freed = along[first - 1, first] + along[last, last + 1] - along[first - 1, last + 1]
    best: tuple[float, Tour] = (-np.inf, np.arange(count))
    for is_reversed in (False, True):
        head, tail = (last, first) if is_reversed else (first, last)
        saved = freed[:, None] + step - along[head] - along[tail][:, following]
        for own in range(-1, length):  # it cannot go between its own nodes
            saved[np.arange(len(first)), first + own] = -np.inf
        a, k = np.unravel_index(saved.argmax(), saved.shape)
        if saved[a, k] > best[0]:
            moved = np.arange(int(first[a]), int(last[a]) + 1)
            rest = np.delete(np.arange(count), moved)
            at = int(np.flatnonzero(rest == k)[0]) + 1
            order = np.insert(rest, at, moved[::-1] if is_reversed else moved)
            best = float(saved[a, k]), order
    return best
