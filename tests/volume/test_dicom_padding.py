"""Padding of DICOM is where nothing was scanned: it is no tissue and moves no window."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_files import (
    by_simpleitk,
    encode,
    opened,
    random_words,
    values_of,
    write_series,
    write_words,
)
from pydicom.uid import ImplicitVRLittleEndian, MRImageStorage, ParametricMapStorage

from medcolor.domain import OUTSIDE
from medcolor.errors import InputError
from medcolor.volume.kind import find_kind
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.target import TargetReader
from medcolor.volume.window import find_window, window_of_values

DEFAULT = VolumeSettings()
CT = {"RescaleSlope": 1, "RescaleIntercept": -1024}
MR = {"storage": MRImageStorage, "Modality": "MR"}
FROM_WHITE = {"PhotometricInterpretation": "MONOCHROME1"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


def padded(stack, word):
    """Return a stack with padding in its first rows, and where that is."""
    stack = stack.copy()
    is_padding = np.zeros(stack.shape, bool)
    is_padding[:, :2] = True
    stack[is_padding] = word
    return stack, is_padding


UNSIGNED, SIGNED = random_words("<u2", 11), random_words("<i2", 11)
TWELVE = {"BitsStored": 12}
TABLE = {
    "below the values": (SIGNED, -2000, {"PixelPaddingValue": -2000}),
    "above the values": (UNSIGNED, 65535, {"PixelPaddingValue": 65535}),
    "signed, written as unsigned": (SIGNED, -2000, {"PixelPaddingValue": 63536}),
    "unsigned, written as signed": (UNSIGNED, 63536, {"PixelPaddingValue": -2000}),
    "zero": (UNSIGNED + 1, 0, {"PixelPaddingValue": 0}),
    "rescaled by a slope": (UNSIGNED, 4000, {"PixelPaddingValue": 4000, "RescaleSlope": "0.5"}),
    "of MONOCHROME1": (UNSIGNED, 60000, {"PixelPaddingValue": 60000, **FROM_WHITE}),
    "in bits not stored": (UNSIGNED, 63536, {"PixelPaddingValue": 63536, **TWELVE}),
    "beside an overlay": (UNSIGNED, 4095 | 0x6000, {"PixelPaddingValue": 4095, **TWELVE}),
    "a range": (UNSIGNED, 3005, {"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 3010}),
    "a range, upside down": (
        UNSIGNED,
        3005,
        {"PixelPaddingValue": 3010, "PixelPaddingRangeLimit": 3000, **FROM_WHITE},
    ),
    "a range below zero": (
        SIGNED,
        -1500,
        {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1400},
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_padding_is_outside_and_all_else_as_simpleitk_has_it(folder, case):
    stack, is_padding = padded(*TABLE[case][:2])
    write_series(folder, stack)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        for key, value in TABLE[case][2].items():
            if key.startswith("PixelPadding"):
                data.add_new(key, "SS" if value < 0 else "US", value)
            else:
                setattr(data, key, value)
        data.HighBit = data.BitsStored - 1
        data.save_as(path)
    volume = opened(folder)
    found, expected = values_of(volume), by_simpleitk(folder)
    np.testing.assert_array_equal(found == OUTSIDE, is_padding)
    np.testing.assert_array_equal(found[~is_padding], expected[~is_padding])
    assert "padding taken for what was not scanned" in volume.geometry.steps


@pytest.mark.parametrize("type_", [np.float32, np.float64])
@pytest.mark.parametrize(("word", "limit"), [(-1e9, None), (-1e9, -2e9), (np.nan, None)])
def test_padding_of_floating_point_pixels(folder, type_, word, limit):
    stack, is_padding = padded(random_words("<i2").astype(type_), type_(word))
    kind = "Float" if type_ is np.float32 else "DoubleFloat"
    fields = {f"{kind}PixelPaddingValue": word}
    if limit is not None:
        fields[f"{kind}PixelPaddingRangeLimit"] = limit
    write_series(folder, stack, storage=ParametricMapStorage, **fields)
    found = values_of(opened(folder))
    np.testing.assert_array_equal(found, np.where(is_padding, OUTSIDE, stack))


@pytest.mark.parametrize(
    "syntax", ["ImplicitVRLittleEndian", "ExplicitVRBigEndian", "JPEGLSLossless"]
)
def test_padding_is_found_in_every_syntax(folder, syntax):
    stack, is_padding = padded(SIGNED, -2000)
    write_series(folder, stack, PixelPaddingValue=-2000)
    for path in folder.iterdir():
        encode(path, syntax)
    np.testing.assert_array_equal(values_of(opened(folder)) == OUTSIDE, is_padding)


def test_padding_of_implicit_type_has_the_sign_of_the_pixels(folder):
    stack, is_padding = padded(SIGNED, -2000)
    write_series(folder, stack, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1999)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        pydicom.dcmwrite(path, data, implicit_vr=True, little_endian=True, force_encoding=True)
    np.testing.assert_array_equal(values_of(opened(folder)) == OUTSIDE, is_padding)


def test_a_series_without_padding_has_none(folder):
    write_series(folder, SIGNED, PixelPaddingRangeLimit=2000)  # a limit of nothing
    assert not opened(folder).has_outside
    np.testing.assert_array_equal(values_of(opened(folder)), SIGNED)


SIDE = 64


def body_in_a_circle(air, tissue, word, seed=4):
    """A body that is cut by the circle of reconstruction, and where that circle is left."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    stack = random.normal(air, 5, (6, SIDE, SIDE))
    is_body = np.hypot(rows / 40, cols / 18) < 1
    stack[:, is_body] = random.normal(tissue, 20, (6, is_body.sum()))
    is_padding = np.hypot(rows, cols) > 31.5
    stack[:, is_padding] = word
    return np.round(stack).astype("<i2"), np.broadcast_to(is_padding, stack.shape), is_body


@pytest.mark.parametrize("fields", [{**CT}, MR], ids=["CT", "MR"])
def test_the_value_of_padding_decides_neither_window_nor_body_nor_picture(tmp_path, fields):
    """Whatever it is, air, tissue or far from both; and there is no body in it."""
    air, tissue = (24, 1064) if "RescaleSlope" in fields else (20, 300)
    made = []
    for number, word in enumerate((air - 1000, air + 40, (air + tissue) // 2, tissue + 500, 30000)):
        stack, is_padding, is_body = body_in_a_circle(air, tissue, word)
        folder = tmp_path / str(number)
        folder.mkdir()
        assert not (stack[~is_padding] == word).any()
        write_series(folder, stack, PixelPaddingValue=word, **fields)
        volume = opened(folder)
        reader = TargetReader.finding(volume, DEFAULT, 0.5)
        shown, window = reader(3), reader.window
        assert not shown.body[is_padding[3]].any()
        assert not shown.luminance[is_padding[3]].any()
        assert shown.body[is_body & ~is_padding[3]].mean() > 0.99
        made.append((window, shown.luminance.tobytes(), shown.body.tobytes()))
    assert made.count(made[0]) == len(made)


@pytest.mark.parametrize("fields", [{**CT}, MR], ids=["CT", "MR"])
def test_the_window_is_that_of_what_was_scanned(folder, fields):
    stack, is_padding, _ = body_in_a_circle(24, 1064, -1500)
    write_series(folder, stack, PixelPaddingValue=-1500, **fields)
    volume = opened(folder)
    scanned = values_of(volume)[~is_padding]
    assert np.isfinite(scanned).all()
    kind = find_kind(scanned, DEFAULT, volume.unit, str(volume.facts["modality"]))
    expected = window_of_values(scanned, DEFAULT, 0.5, kind=kind)
    assert find_window(volume, DEFAULT, 0.5) == expected


def test_padding_filled_with_air_by_hand_gives_the_same_body(tmp_path):
    stack, is_padding, _ = body_in_a_circle(20, 300, -1500)
    masks = []
    for name, planes, fields in (
        ("padded", stack, {"PixelPaddingValue": -1500}),
        ("air", np.where(is_padding, 20, stack).astype("<i2"), {}),
    ):
        (tmp_path / name).mkdir()
        write_series(tmp_path / name, planes, **MR, **fields)
        reader = TargetReader.finding(opened(tmp_path / name), DEFAULT, 0.5)
        masks.append(reader(2).body)
    assert (masks[0] == masks[1])[~is_padding[2]].mean() > 0.99


def test_padding_that_is_all_there_is_of_air_makes_no_tissue_air(folder):
    """A scan whose surroundings were masked out: what was scanned is body, dark parts included."""
    random = np.random.default_rng(4)
    rows, cols = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    is_body = np.hypot(rows, cols) < 22
    stack = np.zeros((6, SIDE, SIDE), "<u2")
    stack[:, is_body] = random.normal(250, 10, (6, is_body.sum()))  # as dark as tissue gets
    stack[:, np.hypot(rows, cols) < 15] = 900
    write_series(folder, stack, PixelPaddingValue=0, **MR)
    shown = TargetReader.finding(opened(folder), DEFAULT, 0.5)(3)
    assert (shown.body == is_body).mean() > 0.99


def test_air_inside_a_body_that_has_the_value_of_padding_is_inside(folder):
    stack, *_ = body_in_a_circle(24, 1064, 9)
    stack[:, 28:36, 30:34] = 9
    write_series(folder, stack, PixelPaddingValue=9, **CT)
    shown = TargetReader.finding(opened(folder), DEFAULT, 0.5)(3)
    assert shown.body[28:36, 30:34].all()
    assert not shown.luminance[28:36, 30:34].any()


def test_nothing_but_padding_is_refused(folder):
    write_series(folder, np.full((3, 8, 8), 7, "<u2"), PixelPaddingValue=7)
    with pytest.raises(InputError, match="nothing but padding"):
        find_window(opened(folder), DEFAULT, 0.5)


def test_a_slice_of_padding_alone_is_an_empty_slice(folder):
    stack, *_ = body_in_a_circle(20, 300, 7)
    stack[5] = 7
    write_series(folder, stack, PixelPaddingValue=7, **MR)
    volume = opened(folder)
    shown = TargetReader.finding(volume, DEFAULT, 0.5)(5)
    assert not shown.body.any()
    assert not shown.luminance.any()


def test_padding_lasts_through_interpolation_and_staging(tmp_path):
    """A gap is filled, and a coronal series put together: what mixes with padding is outside."""
    coronal = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
    for name, direction in (("axial", {}), ("coronal", coronal)):
        (tmp_path / name).mkdir()
        for number, at in enumerate((0, 1, 3)):
            place = [0, at, 0] if direction else [0, 0, at]
            plane = np.full((10, 10), 100 + at, "<u2")
            plane[:, 0] = 9
            write_words(
                tmp_path / name / f"{number}",
                at,
                plane,
                PixelPaddingValue=9,
                ImagePositionPatient=place,
                **direction,
            )
        settings = VolumeSettings(uneven="resample")
        volume = open_volume(tmp_path / name, settings, tmp_path / "staging")
        found = values_of(volume, settings)
        assert (found[..., 0] == OUTSIDE).all()
        assert np.unique(found[..., 1:]).tolist() == [100, 101, 102, 103]


def test_beside_a_shifted_slice_is_outside(folder):
    """The rim that a gantry's tilt leaves is as little scanned as padding is."""
    for number in range(5):
        plane = np.full((8, 8), 100, "<u2")
        plane[0] = 9
        write_words(
            folder / f"{number}",
            0,
            plane,
            PixelPaddingValue=9,
            ImagePositionPatient=[0, 0.7 * number, number],
        )
    settings = VolumeSettings(uneven="resample")
    volume = open_volume(folder, settings, folder)
    assert volume.has_outside
    for number, plane in enumerate(values_of(volume, settings)):
        rows = np.flatnonzero((plane == 100).all(axis=1))
        assert rows.tolist() == [*range(number + 1, number + 8)]
        assert (np.delete(plane, rows, axis=0) == OUTSIDE).all()


def test_infinity_of_other_formats_is_still_an_error(tmp_path):
    voxels = np.ones((4, 4, 4), np.float32)
    voxels[1, 1, 1] = -np.inf
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "scan.nii")
    with pytest.raises(InputError, match="NaN or infinite"):
        values_of(open_volume(tmp_path / "scan.nii", DEFAULT, tmp_path))
