import numpy as np
import pytest

from medcolor.pair_limit import GPU_PAIRS
from medcolor.retrieval.assignment import references_around
from medcolor.retrieval.record import Source
from medcolor.retrieval.settings import RetrievalSettings
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


def test_a_slice_that_hears_more_than_fits_is_a_run_of_its_own():
    assert [len(run) for run, _ in task("abc", "a", "abc").batches(2)] == [1, 1, 1]
    assert [len(run) for run, _ in task("abc", "a").batches(1)] == [1, 1]


@pytest.mark.parametrize("apart_mm", [1.0, 5.0])
@pytest.mark.parametrize("slices", [234, 1878])
def test_launches_are_full_for_millimetre_slices(apart_mm, slices):
    """The photographs around a slice come nearest first: neither order nor sharing matters."""
    photographs = np.arange(0.0, slices, apart_mm)
    settings, slab = RetrievalSettings(), StoreSettings().slab_slices
    around = [
        [str(number) for number, _ in references_around(float(z), photographs, settings)]
        for z in range(slices)
    ]
    assert len({tuple(names) for names in around}) > 0.9 * slices / apart_mm
    launches = [
        sum(map(len, run))
        for first in range(0, slices, slab)
        for _, run in task(*around[first : first + slab]).batches(GPU_PAIRS)
    ]
    assert max(launches) <= GPU_PAIRS
    assert np.mean(launches) >= 0.9 * GPU_PAIRS
