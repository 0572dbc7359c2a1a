import dask.array as da
import numpy as np
import pytest

from medcolor.domain import GrayVolume, VolumeGeometry
from medcolor.errors import InputError
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.window import find_window, tone_curve


def volume(values, unit="raw"):
    spacing = (1.0, 1.0, 1.0)
    affine = as_affine(affine_from_code("LPS", spacing))
    geometry = VolumeGeometry(values.shape, spacing, affine)
    array = da.from_array(values.astype(np.float32), chunks=(1, -1, -1))
    return GrayVolume(array, unit, geometry, "made up", ())


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


def test_hounsfield_units_have_a_fixed_window():
    values = np.full((2, 4, 4), -1000.0)
    values[:, 1:3] = 40
    window = find_window(volume(values, "HU"), VolumeSettings(), 0.0)
    assert (window.black, window.white) == (-200, 600)
    assert window.position(np.array([[-300.0]], np.float32))[0, 0] == pytest.approx(
        window.body_threshold
    )


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
