import numpy as np
import pytest

from medcolor.errors import InputError
from medcolor.reference.library import list_foreign, list_references, load_reference, number_in_name
from medcolor.reference.prepare import prepare_photograph
from medcolor.reference.settings import ReferenceSettings

STRAIGHT = ReferenceSettings(orientation="LPS")
BACKGROUNDS = {"white": (255, 255, 255), "black": (2, 2, 3), "gel": (60, 95, 160)}


def frame(background, size=80):
    """Tissue ellipse, dark in front and yellow behind, bright on its left, with a blue cavity."""
    rows, cols = np.mgrid[0:size, 0:size]
    rgb = np.empty((size, size, 3), np.uint8)
    rgb[:] = BACKGROUNDS[background]
    body = ((rows - 40) / 30) ** 2 + ((cols - 40) / 22) ** 2 < 1
    rgb[body] = (140, 60, 50)
    rgb[body & (rows > 48)] = (220, 190, 120)
    rgb[body & (cols > 54)] = (235, 225, 205)
    cavity = (rows - 30) ** 2 + (cols - 40) ** 2 < 25
    rgb[cavity] = (40, 80, 170)
    return rgb, body, cavity


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_body_is_found_on_any_plain_background_and_painted_air_gives_no_colour(background):
    rgb, body, cavity = frame(background)

    reference = prepare_photograph(rgb, "r", STRAIGHT)

    expected = int((body & ~cavity).sum())
    assert abs(int(reference.tissue.sum()) - expected) <= 0.02 * expected
    blue = (reference.rgb == (40, 80, 170)).all(axis=-1)
    assert not (blue & reference.tissue).any()


def test_the_crop_leaves_a_margin_of_background():
    reference = prepare_photograph(frame("white")[0], "r", STRAIGHT)
    assert reference.tissue.shape[0] < 70
    for side in (reference.tissue[0], reference.tissue[-1], reference.tissue[:, 0]):
        assert not side.any()


def test_flips_bring_a_frame_into_the_radiological_view():
    rgb = frame("white")[0]
    upright = prepare_photograph(rgb, "r", STRAIGHT)
    flipped = prepare_photograph(rgb[::-1], "r", ReferenceSettings(orientation="LAI"))
    mirrored = prepare_photograph(rgb[:, ::-1], "r", ReferenceSettings(orientation="RPS"))
    np.testing.assert_array_equal(flipped.rgb, upright.rgb)
    np.testing.assert_array_equal(mirrored.rgb, upright.rgb)


def test_a_frame_of_one_colour_is_refused():
    with pytest.raises(InputError, match="one colour throughout"):
        prepare_photograph(np.full((50, 50, 3), 90, np.uint8), "empty", STRAIGHT)


@pytest.mark.parametrize(
    ("stem", "number"),
    [
        ("1020", 1020),
        ("a_vm1398", 1398),
        ("avf1432a", 1432),
        ("avf1432b", 1432 + 1 / 3),
        ("avf1432c", 1432 + 2 / 3),
        ("slice_0007_color", 7),
        ("crown", None),
    ],
)
def test_positions_are_read_from_names(stem, number):
    assert number_in_name(stem) == (number if number is None else pytest.approx(number))


def test_frames_are_listed_from_head_to_feet(photographs):
    records = list_references(photographs, ReferenceSettings())
    assert [record.position_mm for record in records] == [1000, 1005, 1010, 1015, 1020, 1025]
    reverse = list_references(photographs, ReferenceSettings(orientation="LAS"))
    assert reverse[0].reference_id == "1025.png"


def test_a_file_without_a_number_is_none_of_many_that_have_one(photographs):
    (photographs / "1000.png").rename(photographs / "logo.png")
    settings = ReferenceSettings()
    records = list_references(photographs, settings)
    assert [record.position_mm for record in records] == [1005, 1010, 1015, 1020, 1025]
    assert [record.reference_id for record in list_foreign(photographs, settings)] == ["logo.png"]


def test_names_of_which_several_do_not_tell_leave_nobody_out(photographs):
    for name in ("1000", "1010"):
        (photographs / f"{name}.png").rename(photographs / f"crown-{'ab'[name > '1000']}.png")
    records = list_references(photographs, ReferenceSettings())
    assert len(records) == 6
    assert [record.position_mm is None for record in records].count(True) == 2
    assert not list_foreign(photographs, ReferenceSettings())


def test_numbers_that_come_twice_are_no_positions(photographs):
    (photographs / "1000.png").rename(photographs / "b1005.png")
    records = list_references(photographs, ReferenceSettings())
    assert {record.position_mm for record in records} == {None}
    assert len(records) == 6


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no reference photographs"):
        list_references(tmp_path, ReferenceSettings())


def test_the_real_photographs_are_masked_and_upright(shared):
    records = list_references(shared / "cryosection-head", ReferenceSettings())
    assert len(records) == 43
    eyes = next(record for record in records if record.reference_id == "1120.png")
    reference = load_reference(eyes, ReferenceSettings())
    white = (reference.rgb > 245).all(axis=-1)
    assert not (white & reference.tissue).any()
    blue = reference.rgb[..., 2].astype(int) - reference.rgb[..., 0] > 60
    assert not (blue & reference.tissue).any()
    # The nose points up: the front of the head is narrower than the back.
    rows = reference.tissue.sum(axis=1)
    assert rows[: len(rows) // 6].mean() < 0.7 * rows[-len(rows) // 6 :].mean()
