import itertools

import numpy as np
import pytest
from oracles import best_path

from medcolor.reference import ReferenceRecord
from medcolor.retrieval.assignment import (
    RetrievalSettings,
    assign_references,
    cosine_similarity,
    references_around,
    top_k,
)
from medcolor.retrieval.record import read_assignment, write_assignment


@pytest.fixture
def random():
    return np.random.default_rng(11)


def test_the_course_is_the_best_of_all_courses(random):
    similarity = random.random((4, 3)).astype(np.float32)
    positions = np.array([10.0, 14.0, 17.0])
    settings = RetrievalSettings(advance_cost=0.3, stretch=(0.5, 1.5))

    path = assign_references(similarity, np.ones(4, bool), positions, 4.0, settings)

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
    expected = np.abs(np.array(best[1])[:, None] - positions).argmin(axis=1)
    np.testing.assert_array_equal(path, expected)


@pytest.mark.parametrize("step_mm", [1.0, 3.0, 7.0])
def test_a_true_course_is_found_in_noise_at_any_slice_distance(random, step_mm):
    positions = np.arange(1000, 1300, 5.0)
    slices = int(200 / step_mm)
    truth = 1270 - 1.2 * step_mm * np.arange(slices)
    similarity = np.exp(-(((truth[:, None] - positions) / 40) ** 2))
    noise = random.normal(0, 0.25, similarity.shape)
    path = assign_references(
        (similarity + noise).astype(np.float32),
        np.ones(slices, bool),
        positions,
        step_mm,
        RetrievalSettings(),
    )
    error = np.abs(positions[path] - truth)
    assert np.percentile(error, 90) < 20
    assert (np.diff(path) <= 0).all()


def test_unknown_positions_cost_a_switch(random):
    similarity = random.random((6, 3)).astype(np.float32)
    settings = RetrievalSettings(cost_per_switch=0.3)
    path = assign_references(similarity, np.ones(6, bool), None, 1.0, settings)
    assert tuple(path) == best_path(similarity.astype(float), 0.3 * (1 - np.eye(3)))


def test_slice_by_slice_every_slice_takes_its_most_similar_reference(random):
    similarity = random.random((9, 7)).astype(np.float32)
    settings = RetrievalSettings(along_stack=False)
    path = assign_references(similarity, np.ones(9, bool), np.arange(7.0), 1.0, settings)
    np.testing.assert_array_equal(path, similarity.argmax(axis=1))


def test_an_empty_slice_follows_its_neighbours(random):
    positions = np.arange(0, 50, 5.0)
    similarity = np.eye(10, dtype=np.float32)[::-1].copy()
    similarity[4] = random.random(10)
    visible = np.ones(10, bool)
    visible[4] = False
    path = assign_references(similarity, visible, positions, 5.0, RetrievalSettings())
    np.testing.assert_array_equal(path, np.arange(10)[::-1])


def test_top_k_lists_the_best_first():
    similarity = np.array([[0.1, 0.9, 0.5, 0.9]], np.float32)
    assert top_k(similarity, 3).tolist() == [[1, 3, 2]]


def test_similarity_is_the_cosine_of_unit_vectors(random):
    vectors = random.normal(size=(3, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = cosine_similarity(vectors, vectors)
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-5)
    assert similarity[0, 1] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)


def test_references_around_a_place_are_the_nearest_that_lie_apart():
    positions = np.array([0.0, 2, 5, 6, 9, 15])
    settings = RetrievalSettings(references=3, apart_mm=3.0)
    around = references_around(5.0, positions, settings)
    assert [index for index, _ in around] == [2, 1, 4]
    assert [weight for _, weight in around] == pytest.approx([1, (3 / 6) ** 2, (3 / 7) ** 2])
    few = references_around(5.0, positions[:2], settings)
    assert [index for index, _ in few] == [1]


def test_without_positions_the_most_similar_stand_beside_the_assigned(tmp_path):
    records = tuple(ReferenceRecord(name, tmp_path / name, None) for name in "abcd")
    similarity = np.array([[0.1, 0.9, 0.4, 0.8]], np.float32)
    settings = RetrievalSettings(references=3)
    path = tmp_path / "assignment.parquet"
    written = write_assignment(path, "x", np.array([2]), similarity, records, settings)
    assert [source.reference_id for source in written.references[0]] == ["c", "b", "d"]
    assert read_assignment(path, "x") == written
    assert read_assignment(path, "y") is None
