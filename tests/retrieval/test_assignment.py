import numpy as np
import pytest

from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval.assignment import choose_references, cosine_similarity, references_around
from medcolor.retrieval.orientation import Turn
from medcolor.retrieval.record import Bearing, read_assignment, write_assignment
from medcolor.retrieval.settings import RetrievalSettings


@pytest.fixture
def random():
    return np.random.default_rng(11)


@pytest.fixture
def body(random):
    """Descriptors at every millimetre of a body of 20 cm, from the feet to the head."""
    steps = random.normal(size=(200, 64)) * 0.15
    drift = np.cumsum(steps, axis=0) + random.normal(size=64)
    return unit(drift)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


HEIGHTS = np.arange(10, 200, 5)
"""Of the photographs, in mm over the feet."""


def scan_of(body, random, step=2):
    """Descriptors of slices of another person."""
    return unit(body[::step] + random.normal(0, 0.08, body[::step].shape))


def found_heights(choice, shuffled=slice(None)):
    return HEIGHTS[shuffled][choice.chosen]


def test_slices_find_their_place_by_names_in_millimetres(body, random):
    choice = choose_references(
        scan_of(body, random), body[HEIGHTS], -HEIGHTS.astype(float), 2.0, RetrievalSettings()
    )
    assert (choice.order, choice.is_reversed, choice.distance_mm) == ("names", False, None)
    truth = np.arange(0, 200, 2)
    inside = (truth >= 10) & (truth < 196)
    assert np.abs(found_heights(choice) - truth)[inside].max() <= 10
    assert (np.diff(found_heights(choice)) >= 0).all()


def test_a_reversed_stack_is_noticed(body, random):
    slices, positions = scan_of(body, random)[::-1], -HEIGHTS.astype(float)
    choice = choose_references(slices, body[HEIGHTS], positions, 2.0, RetrievalSettings())
    assert choice.is_reversed
    assert (np.diff(found_heights(choice)) <= 0).all()
    held = RetrievalSettings(direction="stated")
    assert not choose_references(slices, body[HEIGHTS], positions, 2.0, held).is_reversed


def test_a_few_photographs_do_not_reverse_a_stack_on_which_many_would_agree(body, random):
    forward = scan_of(body, random)
    slices = unit(forward + 2 * forward[::-1])  # more like the other way, not much
    for count, is_reversed in ((len(HEIGHTS), True), (3, False)):
        heights = HEIGHTS[np.linspace(0, len(HEIGHTS) - 1, count).astype(int)]
        choice = choose_references(
            slices, body[heights], -heights.astype(float), 2.0, RetrievalSettings(order="names")
        )
        assert choice.is_reversed == is_reversed


@pytest.mark.parametrize("names", [None, "wrong"])
def test_without_true_names_looks_tell_order_direction_and_distance(body, random, names):
    shuffled = random.permutation(len(HEIGHTS))
    positions = None if names is None else np.arange(len(HEIGHTS), dtype=float)
    choice = choose_references(
        scan_of(body, random), body[HEIGHTS[shuffled]], positions, 2.0, RetrievalSettings()
    )
    assert choice.order == "looks"
    assert 3.5 < choice.distance_mm < 7
    heights, truth = found_heights(choice, shuffled), np.arange(0, 200, 2)
    assert (np.diff(heights) >= 0).all()
    assert np.percentile(np.abs(heights - truth), 95) <= 12


def test_numbers_that_are_no_millimetres_still_tell_the_order(body, random):
    numbers = -np.arange(len(HEIGHTS), dtype=float)
    choice = choose_references(
        scan_of(body, random), body[HEIGHTS], numbers, 2.0, RetrievalSettings()
    )
    assert choice.order == "names"
    assert 3.5 < choice.distance_mm < 7
    believed = choose_references(
        scan_of(body, random), body[HEIGHTS], numbers, 2.0, RetrievalSettings(order="names")
    )
    assert believed.distance_mm is None


def test_an_empty_slice_follows_its_neighbours(body, random):
    slices = scan_of(body, random)
    slices[40:43] = 0
    choice = choose_references(
        slices, body[HEIGHTS], -HEIGHTS.astype(float), 2.0, RetrievalSettings()
    )
    assert np.abs(found_heights(choice)[40:43] - np.array([80, 82, 84])).max() <= 10


def test_slice_by_slice_every_slice_takes_its_most_similar_reference(random):
    slices, references = unit(random.normal(size=(9, 8))), unit(random.normal(size=(7, 8)))
    settings = RetrievalSettings(along_stack=False)
    choice = choose_references(slices, references, np.arange(7.0), 1.0, settings)
    np.testing.assert_array_equal(choice.chosen, (slices @ references.T).argmax(axis=1))
    assert choice.course is None


def test_a_mere_collection_has_no_places(random):
    slices, references = unit(random.normal(size=(9, 8))), unit(random.normal(size=(7, 8)))
    settings = RetrievalSettings(order="none", cost_per_switch=5.0)
    choice = choose_references(slices, references, np.arange(7.0), 1.0, settings)
    assert len(set(choice.chosen)) == 1
    assert choice.chosen[0] == (slices @ references.T).sum(axis=0).argmax()


def test_names_that_are_to_tell_and_do_not_are_an_error(random):
    references = unit(random.normal(size=(7, 8)))
    with pytest.raises(InputError, match="order=looks"):
        choose_references(references, references, None, 1.0, RetrievalSettings(order="names"))


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_references_are_enough(body, random, count):
    for positions in (None, 5.0 * np.arange(count)):
        choice = choose_references(
            scan_of(body, random), body[:count], positions, 2.0, RetrievalSettings()
        )
        assert set(choice.chosen) <= set(range(count))


def test_similarity_is_the_cosine_of_unit_vectors(random):
    vectors = unit(random.normal(size=(3, 8)))
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


def test_without_places_the_most_similar_stand_beside_the_assigned(tmp_path):
    records = tuple(ReferenceRecord(name, tmp_path / name, None) for name in "abcd")
    settings = RetrievalSettings(references=3, order="none", cost_per_switch=0.0)
    path = tmp_path / "assignment.parquet"
    slices = unit(np.array([[0.1, 0.9, 0.4, 0.8]]))
    choice = choose_references(slices, np.eye(4, dtype=np.float32), None, 1.0, settings)
    bearing = Bearing.of(choice, Turn(), "LAI")
    written = write_assignment(path, "x", choice, bearing, records, settings)
    assert [source.reference_id for source in written.references[0]] == ["b", "d", "c"]
    assert read_assignment(path, "x", records) == written
    assert read_assignment(path, "y", records) is None
    content = path.read_bytes()
    for place in range(len(content)):  # no flipped bit makes another choice of it, or an error
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert read_assignment(path, "x", records) is None


def test_neighbouring_slices_hear_their_references_nearly_alike(body, random, tmp_path):
    """The place moves on with every slice, and so do the weights."""
    records = tuple(ReferenceRecord(str(h), tmp_path / str(h), -float(h)) for h in HEIGHTS)
    slices, settings = scan_of(body, random, step=1), RetrievalSettings()
    choice = choose_references(slices, body[HEIGHTS], -HEIGHTS.astype(float), 1.0, settings)
    bearing = Bearing.of(choice, Turn("LA"), "LAI")
    assert bearing.orientation == "LPI"
    path = tmp_path / "assignment.parquet"
    rows = write_assignment(path, "x", choice, bearing, records, settings).references
    assert len(set(rows[20:180])) > 140
