"""How the slices of a slab are cut into runs that a GPU matches together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

_MOST_LAUNCHES = 4
"""Of one run: features of its slices lie on the GPU until the last of them is matched."""


def fewest_launches(pairs: Sequence[int], limit: int) -> list[range]:
    """Cut slices into runs, so that as few launches as possible match all of their pairs.

    A launch takes pairs of one run alone, up to the limit, wherever they are cut between slices. Of
    equally good ways the one with most runs is taken: slices of the next are read meanwhile.

    Args:
        pairs: Photographs of each slice.
        limit: Pairs that are matched at once, >= 1.
    """
    total = [0, *accumulate(pairs)]
    best: list[tuple[int, int]] = [(0, 0)]  # launches, and less one for each run, up to a slice
    begins: list[int] = [0]
    for stop in range(1, len(total)):
        found = []
        for begin in range(stop - 1, -1, -1):
            count = total[stop] - total[begin]
            if begin < stop - 1 and count > _MOST_LAUNCHES * limit:
                break
            launches, runs = best[begin]
            found.append((launches - (-count // limit), runs - 1, begin))
        launches, runs, begin = min(found)
        best.append((launches, runs))
        begins.append(begin)
    stops, runs_back = len(pairs), []
    while stops:
        runs_back.append(range(begins[stops], stops))
        stops = begins[stops]
    return runs_back[::-1]
