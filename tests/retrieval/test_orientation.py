import numpy as np
import pytest

from medcolor.reference.orientation import CODES, combined, from_view, mirrored, to_view
from medcolor.retrieval.orientation import Turn, decide_sides, find_turn, likeness_of

EYE = np.eye(2, dtype=np.float32)


@pytest.fixture
def image():
    return np.random.default_rng(0).random((5, 7, 3))


def test_eight_codes_are_eight_different_ways_to_lie(image):
    views = {from_view(image, code).tobytes() for code in CODES}
    assert len(views) == len(CODES) == 8


@pytest.mark.parametrize("code", CODES)
def test_a_frame_comes_back_to_the_view_it_was_taken_from(image, code):
    np.testing.assert_array_equal(to_view(from_view(image, code), code), image)


def test_codes_say_where_columns_and_rows_run():
    view = np.array([["right front", "left front"], ["right back", "left back"]])
    assert to_view(view, "LP").tolist() == view.tolist()
    assert from_view(view, "LA")[0].tolist() == ["right back", "left back"]
    assert from_view(view, "RP")[0].tolist() == ["left front", "right front"]
    assert from_view(view, "PL")[0].tolist() == ["right front", "right back"]
    assert from_view(view, "AR")[0].tolist() == ["left back", "left front"]


@pytest.mark.parametrize("first", CODES)
@pytest.mark.parametrize("second", CODES)
def test_two_turns_are_one(image, first, second):
    both = to_view(to_view(image, first), second)
    np.testing.assert_array_equal(to_view(image, combined(first, second)), both)


@pytest.mark.parametrize("true", CODES)
def test_the_most_alike_way_is_found_up_to_its_mirror_image(true):
    random = np.random.default_rng(1)
    similarity = random.uniform(0.1, 0.3, (12, 8, 5))
    for code in (true, mirrored(true)):
        similarity[:, CODES.index(code)] += 0.2
    likeness = likeness_of(similarity)
    assert likeness.best() in (true, mirrored(true))
    assert likeness.tells(likeness.best())


def body_seen_in(photographs, lopsided, slices=96, noise=0.01):
    """Return similarities of slices, shown both ways, with photographs evenly along the body.

    `lopsided` says of each how much likelier the first of both ways is.
    """
    random = np.random.default_rng(2)
    similarity = np.zeros((slices, 2, photographs))
    of = np.arange(slices) * photographs // slices
    similarity[np.arange(slices), :, of] = 0.4
    similarity[np.arange(slices), 0, of] += np.broadcast_to(lopsided, photographs)[of]
    return (similarity + random.normal(0, noise, similarity.shape)).astype(np.float32)


@pytest.mark.parametrize("side", [1, -1])
def test_a_mirror_image_is_believed_where_many_lopsided_stretches_agree(side):
    place_mm = np.linspace(0, 400, 96)
    found = decide_sides(body_seen_in(20, 0.1 * side), place_mm, 0.2)
    assert found.are_certain
    assert np.sign(found.standard_errors) == side
    assert found.votes[side < 0] >= 15
    # As of a whole body: a third is lopsided, the rest has no say, and one organ is otherwise.
    some = np.where(np.arange(21) % 3 == 0, 0.1, 0.01)
    some[0] = -0.1
    found = decide_sides(body_seen_in(21, some * side, noise=0.002), place_mm, 0.2)
    assert found.are_certain
    assert np.sign(found.standard_errors) == side
    assert sorted(found.votes) == [1, 6]


@pytest.mark.parametrize("photographs", [1, 2, 3, 4])
@pytest.mark.parametrize("slices", [96, 1000])
def test_few_photographs_are_never_certain_however_many_slices_agree(photographs, slices):
    place_mm = np.linspace(0, 400, slices)
    similarity = body_seen_in(photographs, -0.15, slices, noise=0)
    assert not decide_sides(similarity, place_mm, 0.2).are_certain


def test_a_short_stack_is_not_certain_however_many_photographs_it_is_seen_in():
    similarity = body_seen_in(40, -0.15)
    assert decide_sides(similarity, np.linspace(0, 400, 96), 0.2).are_certain
    assert not decide_sides(similarity, np.linspace(0, 50, 96), 0.2).are_certain


def test_a_slight_lean_on_which_all_slices_agree_is_no_mirror_image():
    similarity = body_seen_in(20, -0.02, noise=0.001)
    assert not decide_sides(similarity, np.linspace(0, 400, 96), 0.2).are_certain


def test_slices_that_disagree_decide_nothing():
    gains = np.where(np.arange(20) % 2, 0.1, -0.1)
    similarity = body_seen_in(20, gains)
    assert not decide_sides(similarity, np.linspace(0, 400, 96), 0.2).are_certain
    assert not decide_sides(np.zeros((0, 2, 3), np.float32), np.zeros(0), 0.2).are_certain


def shown(likeness):
    """Return a stack whose slices are alike one photograph, by how they are shown."""

    def describe(slices, codes):
        return np.array([[[likeness[code], 1.0] for code in codes] for _ in slices], np.float32)

    return describe


def test_photographs_like_which_no_way_to_lie_looks_are_of_another_part():
    photograph = np.array([[1.0, 0.0]], np.float32)
    right = dict.fromkeys(CODES, 0.1) | {"LP": 0.4, "RP": 0.4}
    turn = find_turn(shown(right), 40, 5.0, photograph)
    assert (turn.code, turn.is_told) == ("LP", True)
    assert turn.likeness.lead("LP") == pytest.approx(0.3, abs=1e-4)
    wrong = dict.fromkeys(CODES, 0.1) | {"AL": 0.115, "AR": 0.115}
    turn = find_turn(shown(wrong), 40, 5.0, photograph)
    assert (turn.code, turn.is_told) == ("LP", False)  # and a way found by chance is not taken
    turned = dict.fromkeys(CODES, 0.1) | {"AL": 0.15, "AR": 0.15}
    turn = find_turn(shown(turned), 40, 5.0, photograph)
    assert (turn.code, turn.is_told) == ("AL", False)  # quarter turns are seldom
    empty = find_turn(shown(dict.fromkeys(CODES, 0.0)), 40, 5.0, photograph)
    assert not empty.is_told


def test_a_stack_without_a_body_tells_nothing():
    turn = find_turn(lambda z, codes: np.zeros((len(z), len(codes), 2), np.float32), 9, 1.0, EYE)
    assert turn == Turn()
    assert turn.is_told
