import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcolor.pair_limit import GPU_PAIRS
from medcolor.retrieval.assignment import references_around
from medcolor.retrieval.record import Source
from medcolor.retrieval.settings import RetrievalSettings
from medcolor.run.batches import fewest_launches
from medcolor.run.plan import SlabTask
from medcolor.volume.settings import StoreSettings


def sources(names):
    return tuple(Source(name, name, 1.0) for name in names)


def task(*each, start=10):
    return SlabTask("match", 0, 0, start, start + len(each), tuple(map(sources, each)))


def test_runs_hold_neighbours_whatever_photographs_they_hear():
    each = "ab", "ba", "c", "abc", "a", "d"
    found = task(*each).batches(4)
    assert [slices for slices, _ in found] == [range(10, 12), range(12, 14), range(14, 16)]
    assert [heard for _, run in found for heard in run] == [sources(names) for names in each]


def test_a_cpu_matches_slice_by_slice():
    assert [len(run) for run, _ in task("abc", "a", "", "abc").batches(1)] == [1, 1, 1, 1]


def all_ways(count):
    """Yield every way to cut so many slices into runs."""
    for cuts in itertools.product((False, True), repeat=max(0, count - 1)):
        borders = [0, *(n for n, is_cut in enumerate(cuts, 1) if is_cut), count]
        yield [range(*pair) for pair in itertools.pairwise(borders)] if count else []


@given(st.lists(st.integers(0, 4), max_size=9), st.integers(1, 9))
def test_no_way_to_cut_a_slab_takes_fewer_launches(pairs, limit):
    def cost(runs):
        counts = [sum(pairs[run.start : run.stop]) for run in runs]
        if any(count > 4 * limit and len(run) > 1 for count, run in zip(counts, runs, strict=True)):
            return np.inf, 0
        return sum(-(-count // limit) for count in counts), -len(runs)

    found = fewest_launches(pairs, limit)
    assert [z for run in found for z in run] == list(range(len(pairs)))
    assert cost(found) == min(map(cost, all_ways(len(pairs))))


@pytest.mark.parametrize("apart_mm", [1.0, 5.0])
@pytest.mark.parametrize("slices", [234, 1878])
@pytest.mark.parametrize("limit", [4, 5, 7, 10, 17, 20, GPU_PAIRS])
def test_launches_are_full_for_millimetre_slices(apart_mm, slices, limit):
    """Whatever memory allows: slices whose pairs do not fit together are shared by two launches."""
    photographs = np.arange(0.0, slices, apart_mm)
    settings, slab = RetrievalSettings(), StoreSettings().slab_slices
    around = [
        [str(number) for number, _ in references_around(float(z), photographs, settings)]
        for z in range(slices)
    ]
    assert len({tuple(names) for names in around}) > 0.9 * slices / apart_mm
    pairs = [
        sum(map(len, run))
        for first in range(0, slices, slab)
        for _, run in task(*around[first : first + slab]).batches(limit)
    ]
    assert max(pairs) <= 4 * limit
    assert sum(pairs) / sum(-(-count // limit) for count in pairs) >= 0.9 * limit
