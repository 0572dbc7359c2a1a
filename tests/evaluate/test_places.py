import math

import numpy as np
import pytest
from command import medcolor

from medcolor.evaluate.places import Extract, _rank_correlation


@pytest.mark.parametrize(
    ("count", "left"), [(1, [5]), (3, [2, 5, 8]), (None, range(11)), (20, range(11))]
)
def test_photographs_are_left_evenly_spread(count, left):
    assert Extract(count).of_photographs(11).tolist() == list(left)


@pytest.mark.parametrize(
    ("part", "left"),
    [
        *(((0.0, 1.0), range(10)), ((0.0, 0.25), [0, 1]), ((0.8, 1.0), [8, 9])),
        *(((0.99, 1.0), [9]), ((0.0, 0.01), [0])),
    ],
)
def test_a_part_of_the_stack_has_one_slice_at_least(part, left):
    assert Extract(part=part).of_slices(10).tolist() == list(left)


def test_places_that_are_all_the_same_have_no_rank():
    assert math.isnan(_rank_correlation(np.full(5, 3.0)))
    assert _rank_correlation(np.arange(5.0)[::-1]) == pytest.approx(1)


def test_a_part_that_ends_before_it_begins_is_refused():
    done = medcolor("evaluate", "places", "--part", "0.5", "0.2")
    assert done.returncode == 2
    assert "ends before it begins" in done.stderr
