import itertools

import numpy as np
import pytest
from oracles import best_path

from medcolor.retrieval.course import Line, best_course, best_sequence


@pytest.fixture
def random():
    return np.random.default_rng(11)


def line_of(positions):
    return Line(np.arange(len(positions)), np.asarray(positions, float))


def test_the_course_is_the_best_of_all_courses(random):
    similarity = random.random((4, 3)).astype(np.float32)
    positions = np.array([10.0, 14.0, 17.0])

    found = best_course(similarity, line_of(positions), 4.0, stretch=(0.5, 1.5), advance_cost=0.3)

    # Every start and every advance of half to one and a half slices, in quarters of a slice.
    best = -np.inf, None
    for start in np.arange(40.0, -20.0, -1.0):
        for steps in itertools.product((2, 3, 4, 5, 6), repeat=3):
            places = start - np.cumsum([0, *steps])
            gains = [
                4 * np.interp(p, positions, s) for p, s in zip(places, similarity, strict=True)
            ]
            total = sum(gains) - 0.3 * sum(abs(step - 4) for step in steps)
            best = max(best, (total, tuple(places)))
    # Beyond the last reference a place is as good as the next.
    np.testing.assert_allclose(np.clip(found.place_mm, 10, 17), np.clip(best[1], 10, 17), atol=1e-9)
    assert found.gain == pytest.approx(best[0] / 16)


@pytest.mark.parametrize("step_mm", [1.0, 3.0, 7.0])
def test_a_true_course_is_found_in_noise_at_any_slice_distance(random, step_mm):
    positions = np.arange(1000, 1300, 5.0)
    truth = 1270 - 1.2 * step_mm * np.arange(int(200 / step_mm))
    similarity = np.exp(-(((truth[:, None] - positions) / 40) ** 2))
    noisy = (similarity + random.normal(0, 0.25, similarity.shape)).astype(np.float32)
    course = best_course(noisy, line_of(positions), step_mm, stretch=(0.5, 1.75), advance_cost=0.1)
    assert np.percentile(np.abs(course.place_mm - truth), 90) < 20
    assert (np.diff(course.place_mm) < 0).all()


def test_a_gap_in_the_references_is_crossed_at_the_pace_of_the_slices():
    positions = np.concatenate([np.arange(0, 100, 5.0), np.arange(140, 240, 5.0)])
    truth = 200.0 - 2 * np.arange(90)
    similarity = np.exp(-(((truth[:, None] - positions) / 15) ** 2)).astype(np.float32)
    course = best_course(similarity, line_of(positions), 2.0, stretch=(0.5, 1.75), advance_cost=0.1)
    assert np.abs(course.place_mm - truth).max() < 8


def test_a_stack_that_runs_the_other_way_follows_the_backward_line():
    positions = np.array([0.0, 5, 10, 20, 25])
    similarity = np.eye(5, dtype=np.float32)  # the first slice shows the first reference
    forward, backward = (
        best_course(similarity, line, 5.0, stretch=(0.5, 2.0), advance_cost=0.01)
        for line in (line_of(positions), line_of(positions).backward)
    )
    assert backward.gain > forward.gain
    line = backward.line
    nearest = np.abs(backward.place_mm[:, None] - line.positions_mm).argmin(axis=1)
    assert line.order[nearest].tolist() == [0, 1, 2, 3, 4]


def test_every_change_of_reference_costs_a_switch(random):
    similarity = random.random((6, 3)).astype(np.float32)
    path = best_sequence(similarity, 0.3)
    assert tuple(path) == best_path(similarity.astype(float), 0.3 * (1 - np.eye(3)))
