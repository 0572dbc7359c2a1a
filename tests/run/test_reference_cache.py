import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from medcolor.errors import InputError
from medcolor.features.pyramid import FeaturePyramid
from medcolor.prepared import PreparedReference
from medcolor.reference.library import ReferenceRecord
from medcolor.run.reference_cache import ReferenceCache


def records(names):
    return [ReferenceRecord(name, Path("path"), None) for name in names]


class Studio:
    """Prepares references of a little more than one MiB and remembers which, call by call."""

    def __init__(self):
        self.made = []

    def __call__(self, wanted):
        self.made.append("".join(record.reference_id for record in wanted))
        return [self.one(record.reference_id) for record in wanted]

    @staticmethod
    def one(reference_id):
        level, whole = torch.zeros(1, 64, 64, 64), torch.zeros(1, 64, 64)
        pyramid = FeaturePyramid(
            {0: level}, {0: whole}, (whole > 0,), (whole,), ((64, 64),), whole, whole > 0
        )
        return PreparedReference(reference_id, torch.zeros(1, 3, 64, 64), pyramid)


def test_what_is_used_again_is_made_once_and_what_was_used_longest_ago_goes_first():
    studio = Studio()
    cache = ReferenceCache(studio, budget_mb=3)  # room for two
    for wanted in ("a", "b", "a", "c", "a", "b"):
        assert [one.reference_id for one in cache(records(wanted))] == [wanted]
    assert studio.made == ["a", "b", "c", "b"]


def test_what_is_missing_is_made_together_and_the_order_is_kept():
    studio = Studio()
    cache = ReferenceCache(studio, budget_mb=9)
    assert [one.reference_id for one in cache(records("ab"))] == ["a", "b"]
    assert [one.reference_id for one in cache(records("cbdc"))] == ["c", "b", "d", "c"]
    assert studio.made == ["ab", "cd"]


def test_those_in_use_are_kept_whatever_they_take():
    studio = Studio()
    cache = ReferenceCache(studio, budget_mb=0)
    for wanted in ("ab", "ab", "ba", "bc", "ab"):
        cache(records(wanted))
    assert studio.made == ["ab", "c", "a"]


def test_threads_make_different_ones_side_by_side_and_wait_for_the_same():
    """Were there one lock for all, the second thread would never come to prepare."""
    both, studio = threading.Barrier(2, timeout=30), Studio()

    def prepare(wanted):
        both.wait()
        return studio(wanted)

    cache = ReferenceCache(prepare, budget_mb=9)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: cache(records(name))[0], "abab"))
    assert sorted(studio.made) == ["a", "b"]
    assert found[0] is found[2]
    assert found[1] is found[3]


def test_a_photograph_that_cannot_be_made_fails_those_who_wait_and_is_tried_again():
    problems, awaited = [InputError("a", "unreadable", "Look")], []

    def prepare(wanted):
        awaited.append(cache._kept["a"])  # what others wait for meanwhile
        if problems:
            raise problems.pop()
        return Studio()(wanted)

    cache = ReferenceCache(prepare, budget_mb=9)
    with pytest.raises(InputError, match="unreadable"):
        cache(records("a"))
    assert isinstance(awaited[0].exception(), InputError)
    assert cache(records("a"))[0] is awaited[1].result()
