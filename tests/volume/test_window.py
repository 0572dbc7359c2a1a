import numpy as np
import pytest

from medcolor.errors import InputError
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.window import find_window, tone_curve
from tests.volumes import raw_volume as volume


@pytest.fixture
def scan():
    """Air around 5, tissue 100 to 300, a few bright outliers."""
    random = np.random.default_rng(0)
    values = random.normal(5, 2, (8, 40, 40))
    values[:, 10:30, 10:30] = random.uniform(100, 300, (8, 20, 20))
    values[0, 10, 10] = 100_000
    return values


def test_air_is_black_bright_tissue_is_white_and_the_body_lies_above_the_threshold(scan):
    window = find_window(volume(scan), VolumeSettings(), 0.0)
    assert window.black == pytest.approx(5, abs=1)
    assert 290 < window.white < 400
    body = window.position(scan[3].astype(np.float32)) > window.body_threshold
    assert body[10:30, 10:30].all()
    assert body.sum() == 400


@pytest.mark.parametrize("unit", ["HU", "raw"])
def test_hounsfield_units_have_a_fixed_window_also_where_the_file_does_not_name_them(unit):
    values = np.full((2, 64, 64), -1000.0)
    values[:, 10:54, 10:54] = -300  # partial volume
    values[:, 11:53, 11:53] = -100
    values[:, 16:48, 16:48] = 40
    window = find_window(volume(values, unit), VolumeSettings(), 0.0)
    assert (window.black, window.white) == (-350, 650)
    assert window.position(np.array([[-500.0]], np.float32))[0, 0] == pytest.approx(
        window.body_threshold
    )


def test_ct_stored_with_an_offset_is_not_taken_for_hounsfield_units():
    values = np.full((2, 4, 4), 24.0)
    values[:, 1:3] = 1064
    window = find_window(volume(values), VolumeSettings(), 0.0)
    assert window.black == 24


def test_dark_tissue_beside_something_very_bright_is_body():
    random = np.random.default_rng(2)
    values = random.normal(5, 2, (4, 60, 60))
    values[:, 10:50, 10:50] = random.normal(80, 10, (4, 40, 40))
    values[:, 20:40, 20:40] = random.normal(900, 50, (4, 20, 20))
    window = find_window(volume(values), VolumeSettings(), 0.0)
    body = window.position(values[1].astype(np.float32)) > window.body_threshold
    assert body[10:50, 10:50].mean() > 0.999
    assert body.sum() <= 1600


def test_a_scan_of_two_values_has_a_window():
    values = np.zeros((2, 8, 8))
    values[:, 2:6, 2:6] = 150
    window = find_window(volume(values), VolumeSettings(), 0.0)
    assert 0 < window.body_threshold < 1
    assert window.white > 149


@pytest.mark.parametrize("seed", range(20))
def test_a_few_levels_anywhere_have_a_window(seed):
    random = np.random.default_rng(seed)
    levels = np.sort(random.uniform(-100, 1000, random.integers(2, 6)))
    values = levels[random.integers(0, len(levels), (2, 20, 20))]
    values[0, 0, :2] = levels[0], levels[-1]
    window = find_window(volume(values), VolumeSettings(), 0.5)
    assert levels[0] - 1e-3 <= window.black < window.white <= levels[-1] + 1e-3
    cut = window.black + window.body_threshold * (window.white - window.black)
    assert levels[0] < cut < levels[-1]


def test_a_window_given_by_hand_is_taken(scan):
    window = find_window(volume(scan), VolumeSettings(window=(50.0, 250.0)), 0.0)
    assert (window.black, window.white) == (50, 250)


def test_sampling_fewer_slices_changes_little(scan):
    every = find_window(volume(scan), VolumeSettings(), 0.5)
    few = find_window(volume(scan), VolumeSettings(sampled_slices=3), 0.5)
    assert few.white == pytest.approx(every.white, rel=0.05)


def test_the_tone_curve_is_monotone_from_identity_to_equal_use():
    body = np.random.default_rng(1).beta(2, 8, 5000).astype(np.float32)
    for share in (0.0, 0.5, 1.0):
        assert (np.diff(tone_curve(body, share)) >= 0).all()
    identity = tone_curve(body, 0.0)
    np.testing.assert_allclose(identity, np.linspace(0, 1, len(identity)), atol=1e-6)
    equal = np.interp(body, np.linspace(0, 1, 65), tone_curve(body, 1.0))
    assert np.histogram(equal, 4, (0, 1))[0].min() > 1100


def test_a_scan_of_one_value_is_refused():
    with pytest.raises(InputError, match="every voxel is 3"):
        find_window(volume(np.full((2, 4, 4), 3.0)), VolumeSettings(), 0.0)


def hounsfield_values():
    values = np.full((2, 8, 8), -1000.0)
    values[:, 2:6, 2:6] = np.linspace(-100, 1500, 16).reshape(4, 4)
    return values


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [("brain", 0, 80), ("soft-tissue", -160, 240), ("bone", -500, 1500), ("lung", -1350, 150)],
)
def test_presets_are_centre_and_width_in_hounsfield_units(name, black, white):
    window = find_window(volume(hounsfield_values(), "HU"), VolumeSettings(window=name), 0.0)
    assert (window.black, window.white) == (black, white)
    assert window.origin == f"preset {name}"
    # The body is found whatever is shown of it.
    position = window.position(hounsfield_values()[0].astype(np.float32))
    np.testing.assert_array_equal(position > window.body_threshold, hounsfield_values()[0] > -500)


def test_centre_and_width_say_the_same_as_black_and_white(scan):
    by_center = find_window(volume(scan), VolumeSettings(center_width=(150.0, 100.0)), 0.0)
    by_ends = find_window(volume(scan), VolumeSettings(window=(100.0, 200.0)), 0.0)
    assert (by_center.black, by_center.white) == (by_ends.black, by_ends.white)
    assert by_center.body_threshold == by_ends.body_threshold


def test_a_preset_needs_hounsfield_units(scan):
    with pytest.raises(InputError, match=r"for Hounsfield units.*volume\.window="):
        find_window(volume(scan), VolumeSettings(window="bone"), 0.0)


def test_window_and_centre_and_width_exclude_each_other():
    with pytest.raises(ValueError, match="not both"):
        VolumeSettings(window="bone", center_width=(1.0, 2.0))


@pytest.mark.parametrize("noise", [0, 3])
@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_a_body_that_is_hardly_anything_of_a_volume_is_found(side, noise):
    """From 0.01 % of it on; a histogram would split air in two, or has one bin."""
    random = np.random.default_rng(side)
    values = np.hypot(*random.normal(0, noise, (2, 6, 200, 200)))
    place = slice(90, 90 + side)
    values[:, place, place] += random.uniform(80, 120, (6, side, side))
    window = find_window(volume(values), VolumeSettings(), 0.0)
    body = window.position(values[3].astype(np.float32)) > window.body_threshold
    truth = np.zeros_like(body)
    truth[place, place] = True
    np.testing.assert_array_equal(body, truth)
