import numpy as np
import pytest

from medcolor.reference.orientation import CODES, combined, from_view, mirrored, to_view
from medcolor.retrieval.orientation import decide_sides, likely_codes


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
    likeness = random.uniform(0.1, 0.3, (12, 8))
    for code in (true, mirrored(true)):
        likeness[:, CODES.index(code)] += 0.2
    assert set(likely_codes(likeness)) == {true, mirrored(true)}


def test_a_mirror_image_is_believed_only_where_slices_agree():
    random = np.random.default_rng(2)
    noise = random.normal(0, 0.02, (48, 2))
    unsure = decide_sides(("LP", "RP"), noise, 0.01)
    assert (unsure.code, unsure.sides_are_certain) == ("LP", False)
    mirror = decide_sides(("LP", "RP"), noise + np.array([0.0, 0.03]), 0.01)
    assert (mirror.code, mirror.sides_are_certain) == ("RP", True)
    right = decide_sides(("LP", "RP"), noise + np.array([0.03, 0.0]), 0.01)
    assert (right.code, right.sides_are_certain) == ("LP", True)
    nothing = decide_sides(("LA", "RA"), np.zeros((0, 2)), 0.01)
    assert (nothing.code, nothing.sides_are_certain) == ("LA", False)


def test_a_slight_lean_on_which_all_slices_agree_is_no_mirror_image():
    likeness = np.array([[0.40, 0.405]] * 48)
    found = decide_sides(("LP", "RP"), likeness, 0.01)
    assert (found.code, found.sides_are_certain) == ("LP", False)
