"""Which scans are taken for Hounsfield units, and which values for padding."""

import logging
from functools import cache

import nibabel as nib
import nrrd
import numpy as np
import pytest

from medcolor.domain import OUTSIDE
from medcolor.errors import InputError
from medcolor.phantom import make_phantom, render_ct
from medcolor.phantom.rendering.clinical import render_clinical_ct, render_clinical_mri
from medcolor.phantom.rendering.scans import render_mri
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.target import TargetReader, look_around
from medcolor.volume.window import find_window
from tests.volumes import raw_volume

DEFAULT = VolumeSettings()
FILLS = -1000, -1024, -2000, -2048, -3024, -32768


@pytest.fixture(scope="module")
def person():
    return make_phantom(1, region="trunk", spacing_mm=8.0)


@pytest.fixture(scope="module")
def ct(person):
    return render_ct(person).astype(np.float32)


@pytest.fixture(scope="module")
def t1(person):
    return render_mri(person, "T1").astype(np.float32)


@cache
def mri(render, contrast):
    """Render the person, once."""
    return render(make_phantom(1, region="trunk", spacing_mm=8.0), contrast).astype(np.float32)


def beyond_a_circle(values, fill):
    """Fill the corners, as scanners do that reconstruct a circle."""
    rows, cols = (np.linspace(-1, 1, side) for side in values.shape[1:])
    is_beyond = np.hypot(*np.meshgrid(rows, cols, indexing="ij")) > 1.05
    return np.where(is_beyond, np.float32(fill), values), is_beyond


def window_of(values, settings=DEFAULT, **about):
    return find_window(raw_volume(values, **about), settings, 0.5)


def slice_of(volume, window):
    return TargetReader(volume, window, look_around(volume, window, DEFAULT), DEFAULT)(40)


@pytest.mark.parametrize("region", ["head", "trunk"])
@pytest.mark.parametrize("render", [render_ct, render_clinical_ct])
def test_ct_of_a_body_is_known_by_its_values(region, render):
    values = render(make_phantom(3, region=region, spacing_mm=8.0))
    window = window_of(values)
    assert (window.unit, window.black, window.white) == ("HU", -350, 650)
    assert "distribution" in window.unit_origin


@pytest.mark.parametrize("contrast", ["T1", "T2"])
@pytest.mark.parametrize("fill", [None, *FILLS])
@pytest.mark.parametrize(
    "render", [render_mri, pytest.param(render_clinical_mri, marks=pytest.mark.slow)]
)
def test_mri_stays_mri_whatever_its_surroundings_are_filled_with(contrast, fill, render):
    values = mri(render, contrast)
    plain = window_of(values)
    assert plain.unit == "raw"
    if fill is None:
        return
    filled, is_beyond = beyond_a_circle(values, fill)
    volume = raw_volume(filled)
    window = find_window(volume, DEFAULT, 0.5)
    assert (window.unit, window.padding.value) == ("raw", fill)
    assert window.black == pytest.approx(plain.black, abs=0.02 * plain.white)
    assert window.white == pytest.approx(plain.white, rel=0.05)
    shown = slice_of(volume, window)
    assert (shown.values[is_beyond] == OUTSIDE).all()
    assert not shown.body[is_beyond].any()
    body = slice_of(raw_volume(values), plain).body
    assert (body == shown.body)[~is_beyond].mean() > 0.99


@pytest.mark.parametrize("shift", [-100, -500, -1000, -1024, -2048])
@pytest.mark.parametrize("scale", [0.5, 1, 2, 4, 8])
@pytest.mark.parametrize("contrast", ["T1", "T2"])
def test_mri_moved_into_the_range_of_ct_is_still_mri(contrast, scale, shift):
    values = mri(render_clinical_mri, contrast)
    assert window_of(values / values.max() * 500 * scale + shift).unit == "raw"


@pytest.mark.parametrize("fill", [0, 40, *FILLS])
def test_a_filled_rim_of_ct_is_neither_body_nor_another_unit(ct, fill):
    filled, is_beyond = beyond_a_circle(ct, fill)
    volume = raw_volume(filled)
    window = find_window(volume, DEFAULT, 0.5)
    assert window.unit == "HU"
    shown, plain = (slice_of(one, window) for one in (volume, raw_volume(ct)))
    assert not shown.body[is_beyond].any()
    assert not shown.luminance[is_beyond].any()
    np.testing.assert_array_equal(shown.luminance[~is_beyond], plain.luminance[~is_beyond])


def test_tissue_that_has_the_value_of_a_filled_rim_is_scanned(ct):
    filled, is_beyond = beyond_a_circle(ct, 40)
    window = window_of(filled)
    inner = (filled == 40) & ~is_beyond
    assert window.padding.value == 40
    assert inner.sum() > 100
    for z in range(0, len(filled), 10):
        assert not (window.scanned(filled[z])[inner[z]] == OUTSIDE).any()


def test_a_fill_that_was_resampled_takes_its_mixtures_along(t1):
    filled, _ = beyond_a_circle(np.repeat(np.repeat(t1, 2, 1), 2, 2), -1024)
    mixed = (filled[:, 1:, 1:] + filled[:, :-1, :-1]) / 2
    window = window_of(mixed)
    assert window.padding.value == -1024
    assert (window.scanned(mixed[40])[mixed[40] < -500] == OUTSIDE).all()
    assert window.black == pytest.approx(window_of(t1).black, abs=0.02 * window.white)


def test_ct_cut_out_inside_the_body_is_known_without_any_air(ct):
    rows, cols = ct.shape[1:]
    inside = np.tile(ct[:, rows * 3 // 8 : rows * 5 // 8, cols * 3 // 8 : cols * 5 // 8], (1, 3, 3))
    inside = inside[20:60][(inside[20:60] > -300).all(axis=(1, 2))]
    assert len(inside) > 5
    assert inside.min() > -300
    assert window_of(inside).unit == "HU"


def test_ct_with_all_around_the_body_masked_away_is_known(ct):
    for fill in (-1000, -1024, -2000):
        assert window_of(np.where(ct < -300, np.float32(fill), ct)).unit == "HU"


def test_the_user_counts_more_than_the_header_and_the_header_more_than_the_values(ct, t1):
    assert window_of(ct, modality="MR").unit == "raw"
    assert window_of(ct, modality="MR").unit_origin == "header: MR"
    assert window_of(t1, unit="HU").unit == "HU"
    assert window_of(ct, VolumeSettings(kind="mr"), unit="HU").unit == "raw"
    said = window_of(t1, VolumeSettings(kind="ct"), modality="MR")
    assert (said.unit, said.unit_origin) == ("HU", "volume.kind=ct")


def test_a_doubtful_guess_is_said_with_its_remedy(t1, ct, caplog):
    with caplog.at_level(logging.WARNING):
        window_of(t1)
        window_of(ct)
        assert not caplog.records
        window_of(t1 - 1024)
    (one,) = caplog.messages
    assert "not distributed as Hounsfield units" in one
    assert "volume.kind=ct" in one


def test_a_fill_that_was_found_is_said_and_can_be_taken_back_or_named(t1, ct, caplog):
    filled, is_beyond = beyond_a_circle(t1, -1024)
    with caplog.at_level(logging.WARNING):
        window_of(filled)
    (one,) = caplog.messages
    assert f"-1024, {100 * is_beyond.mean():.1f} % of the voxels" in one
    assert "volume.padding=none" in one
    assert window_of(filled, VolumeSettings(padding="none")).padding is None
    caplog.clear()
    bright, _ = beyond_a_circle(t1, 3000)  # which nobody would guess
    volume = raw_volume(bright)
    named = VolumeSettings(padding=3000.0)
    shown = TargetReader.finding(volume, named, 0.5)(40)
    assert not shown.body[is_beyond].any()
    assert shown.body.any()
    certain, _ = beyond_a_circle(ct, -2000)
    window_of(certain)
    assert not caplog.messages


def test_noise_at_the_border_and_a_background_of_zeros_are_no_padding(t1):
    random = np.random.default_rng(0)
    assert window_of(t1 + random.normal(0, 5, t1.shape) - 300).padding is None
    assert window_of(np.where(t1 < 50, 0, t1)).padding is None


def test_a_scan_that_is_nothing_but_a_fill_is_refused():
    with pytest.raises(InputError, match="every voxel is -1024"):
        window_of(np.full((2, 8, 8), -1024.0))


def test_voxels_that_are_no_numbers_can_be_named_not_scanned(t1):
    filled, is_beyond = beyond_a_circle(t1, np.nan)
    settings = VolumeSettings(nonfinite_value="outside")
    volume = raw_volume(filled)
    with pytest.raises(InputError, match="=outside"):
        read_slice(volume, 3, DEFAULT)
    shown = TargetReader.finding(volume, settings, 0.5)(40)
    np.testing.assert_array_equal(shown.values == OUTSIDE, is_beyond)
    assert not shown.body[is_beyond].any()


@pytest.mark.parametrize(
    ("said", "modality"),
    [
        (b"TE=2.9;Time=120000.000;phase=1", "MR"),
        (b"TR = 2000 TE = 30", "MR"),
        (b"spm - algebra", None),
        (b"SITE=3 CT", None),
    ],
)
def test_a_description_with_times_of_mri_says_that_a_nifti_is_mri(tmp_path, said, modality):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    image.header["descrip"] = said
    nib.save(image, tmp_path / "scan.nii")
    assert open_volume(tmp_path / "scan.nii", DEFAULT, tmp_path).facts.get("modality") == modality


@pytest.mark.parametrize(("said", "modality"), [("DWMRI", "MR"), ("ct", "CT"), ("Jane", None)])
def test_a_key_of_its_own_says_the_modality_of_an_nrrd(tmp_path, said, modality):
    header = {"modality": said, "spacings": [1.0, 1.0, 1.0]}
    nrrd.write(str(tmp_path / "scan.nrrd"), np.zeros((4, 4, 4), np.int16), header)
    settings = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))
    assert open_volume(tmp_path / "scan.nrrd", settings, tmp_path).facts.get("modality") == modality
