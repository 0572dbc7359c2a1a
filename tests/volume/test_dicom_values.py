"""Values of DICOM: a table of what files may say of them, with SimpleITK as oracle."""

import numpy as np
import pydicom
import pytest
from dicom_files import (
    SHAPE,
    by_simpleitk,
    encode,
    opened,
    random_words,
    values_of,
    write_multiframe,
    write_series,
)
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MRImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
)

from medcolor.errors import InputError
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.window import find_window

DEFAULT = VolumeSettings()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


PET = {"storage": PositronEmissionTomographyImageStorage, "Modality": "PT"}
MR = {"storage": MRImageStorage, "Modality": "MR"}
TWELVE = {"BitsStored": 12}
FROM_WHITE = {"PhotometricInterpretation": "MONOCHROME1"}
OVERLAY = np.random.default_rng(8).integers(0, 2, SHAPE) << 13
TABLE = {
    "CT, slope 1": (
        random_words("<u2", 12),
        {"RescaleSlope": 1, "RescaleIntercept": -1024, **TWELVE},
    ),
    "CT, slope 2": (random_words("<u2", 12), {"RescaleSlope": 2, "RescaleIntercept": -1000}),
    "CT, slope 0.5": (random_words("<u2", 12), {"RescaleSlope": 0.5, "RescaleIntercept": -1024}),
    "slope of many digits": (
        random_words("<u2"),
        {"RescaleSlope": "0.00012345678901", "RescaleIntercept": "-3.2500001"},
    ),
    "products beyond 16 bits": (random_words("<i2"), {"RescaleSlope": 30, "RescaleIntercept": 5}),
    "products beyond 32 bits": (random_words("<i4"), {"RescaleSlope": 3, "RescaleIntercept": 1}),
    "unsigned bytes below zero": (
        random_words("u1"),
        {"RescaleSlope": 1, "RescaleIntercept": -300},
    ),
    "negative slope": (random_words("<u2"), {"RescaleSlope": -1, "RescaleIntercept": 10}),
    "slope alone": (random_words("<u2"), {"RescaleSlope": 2}),
    "intercept alone": (random_words("<u2"), {"RescaleIntercept": -1024}),
    "slope without a value": (random_words("<u2"), {"RescaleSlope": "", "RescaleIntercept": ""}),
    "MR without rescale": (random_words("<u2", 12), MR),
    "MR with rescale": (random_words("<u2"), {"RescaleSlope": "1.7", "RescaleIntercept": 0, **MR}),
    "signed bytes": (random_words("i1"), {}),
    "signed": (random_words("<i2"), {}),
    "signed, 32 bits": (random_words("<i4"), {}),
    "unsigned, 32 bits": (random_words("<u4"), {}),
    "12 of 16 bits": (random_words("<u2", 12), TWELVE),
    "signed, 12 of 16 bits": (random_words("<i2", 12), TWELVE),
    "signed, 12 of 16 bits, sign not extended": (random_words("<i2", 12) & 0xFFF, TWELVE),
    "an overlay in bits not stored": (random_words("<u2", 12) | OVERLAY.astype("<u2"), TWELVE),
    "an overlay beside signed values": (
        (random_words("<i2", 12) & 0xFFF) | OVERLAY.astype("<i2"),
        TWELVE,
    ),
    "MONOCHROME1": (random_words("<u2"), FROM_WHITE),
    "MONOCHROME1, signed": (random_words("<i2"), FROM_WHITE),
    "MONOCHROME1, rescaled": (
        random_words("<u2", 12),
        {"RescaleSlope": 2, "RescaleIntercept": -1000, **TWELVE, **FROM_WHITE},
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_values_are_those_of_simpleitk(folder, case):
    stack, fields = TABLE[case]
    write_series(folder, stack, **fields)
    np.testing.assert_array_equal(values_of(opened(folder)), by_simpleitk(folder))


def test_each_slice_of_a_pet_has_its_own_slope_and_intercept(folder):
    own = {"RescaleSlope": ["0.731", "12.5", "3.00001"], "RescaleIntercept": [0, -7, "2.5"]}
    stack = random_words("<i2")
    write_series(folder, stack, own, **PET)
    found = values_of(opened(folder))
    np.testing.assert_array_equal(found, by_simpleitk(folder))
    factors = np.array(own["RescaleSlope"], float)[:, None, None]
    offsets = np.array(own["RescaleIntercept"], float)[:, None, None]
    np.testing.assert_allclose(found, stack * factors + offsets, rtol=6e-8)


SYNTAXES = [
    "ImplicitVRLittleEndian", "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian",
    "RLELossless", "JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless",
    "JPEGLSNearLossless", "JPEG2000Lossless", "JPEG2000",
]  # fmt: skip


@pytest.mark.parametrize("kind", [("u1", 8), ("<u2", 12), ("<i2", 12), ("<u2", 16), ("<i2", 16)])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_values_are_the_same_in_every_transfer_syntax(folder, syntax, kind):
    stack = random_words(*kind)
    rescale = {"RescaleSlope": "0.25", "RescaleIntercept": -40}
    write_series(folder, stack, BitsStored=kind[1], **rescale)
    plain = stack.tobytes()
    for path in folder.iterdir():
        encode(path, syntax)
        data = pydicom.dcmread(path)
        assert data.file_meta.TransferSyntaxUID != "1.2.840.10008.1.2.1"
        is_plain = syntax.endswith("LittleEndian") or (kind[0] == "u1" and "Big" in syntax)
        assert (data.PixelData in plain) == is_plain
    found = values_of(opened(folder))
    np.testing.assert_array_equal(found, by_simpleitk(folder))
    np.testing.assert_array_equal(found, 0.25 * stack - 40)


@pytest.mark.parametrize("syntax", ["JPEGBaselineProcess1", "JPEGExtendedProcess2_4"])
def test_lossy_jpeg_is_decoded_as_simpleitk_does(folder, syntax):
    rows, cols = np.mgrid[:16, :12]
    stack = np.stack([100 + z + 4 * rows + 5 * cols for z in range(3)]).astype(np.uint8)
    write_series(folder, stack, RescaleSlope=2, RescaleIntercept=-1000)
    for path in folder.iterdir():
        encode(path, syntax)
    found = values_of(opened(folder))
    np.testing.assert_array_equal(found, by_simpleitk(folder))
    assert np.abs(found - (2.0 * stack - 1000)).max() < 20


def test_a_compression_that_is_not_decoded_is_named(folder):
    write_series(folder, random_words("<u2", 12) // 4, BitsStored=12)
    for path in folder.iterdir():
        encode(path, "JPEGExtendedProcess2_4")  # of 12 bits
    with pytest.raises(InputError, match=r"pixels \(JPEG Extended.*save it uncompressed"):
        values_of(opened(folder))


@pytest.mark.parametrize("uid", ["1.2\\1.3", MRImageStorage, "1.2.3.4711", "Doe^Jane", ""])
def test_a_syntax_that_is_none_is_refused_and_not_repeated(folder, uid):
    write_series(folder, random_words("<u2"))
    for path in folder.iterdir():
        whole, old = path.read_bytes(), b"1.2.840.10008.1.2.1"
        path.write_bytes(whole.replace(old, uid.encode().ljust(len(old), b"\0")[: len(old)], 1))
    with pytest.raises(InputError, match=r"unreadable DICOM (pixels|file)\. Fetch") as caught:
        values_of(opened(folder))
    assert not uid or uid not in str(caught.value)


def test_every_frame_of_an_enhanced_file_has_its_own_rescale(tmp_path):
    """SimpleITK applies the first frame's to all."""
    stack = random_words("<u2", 12)
    rescales = [(2.0, -1000.0), (0.5, -3.0), (1.25, -7.5)]
    write_multiframe(tmp_path / "frames.dcm", [0.0, 2.0, 4.0], stack, rescales)
    data = pydicom.dcmread(tmp_path / "frames.dcm")
    data.RescaleSlope, data.RescaleIntercept = 99, 99  # says nothing of frames
    for frame in data.PerFrameFunctionalGroupsSequence:
        other = Dataset()
        other.RescaleSlope, other.RescaleIntercept = 77, 77
        frame.private_block(0x0009, "MAKER", create=True).add_new(1, "SQ", Sequence([other]))
    data.save_as(tmp_path / "frames.dcm")
    volume = open_volume(tmp_path / "frames.dcm", DEFAULT, tmp_path)
    expected = [plane * slope + low for plane, (slope, low) in zip(stack, rescales, strict=True)]
    np.testing.assert_array_equal(values_of(volume), expected)


def test_frames_without_a_place_are_not_dropped(tmp_path):
    write_multiframe(tmp_path / "frames.dcm", [0.0, 2.0, 4.0], random_words("<u2", 12))
    data = pydicom.dcmread(tmp_path / "frames.dcm")
    del data.PerFrameFunctionalGroupsSequence[2]
    data.save_as(tmp_path / "frames.dcm")
    with pytest.raises(InputError, match="3 frames, places for 2"):
        open_volume(tmp_path / "frames.dcm", DEFAULT, tmp_path)


@pytest.mark.parametrize("type_", [np.float32, np.float64])
def test_floating_point_pixels_are_taken_as_they_are(folder, type_):
    """Neither SimpleITK nor GDCM reads them."""
    stack = (np.random.default_rng(2).normal(0, 1e4, SHAPE)).astype(type_)
    write_series(folder, stack, storage=ParametricMapStorage, RescaleSlope=2, RescaleIntercept=1)
    np.testing.assert_array_equal(values_of(opened(folder)), (2.0 * stack + 1).astype(np.float32))


def test_what_float32_does_not_hold_is_no_padding(folder):
    stack = np.ones(SHAPE)
    stack[:, 1, 1] = -1e300
    write_series(folder, stack, DoubleFloatPixelPaddingValue=0.0, storage=ParametricMapStorage)
    with pytest.raises(InputError, match="1 voxels are NaN or infinite"):
        values_of(opened(folder))


@pytest.mark.parametrize("high_bit", [15, 13, 10])
def test_bits_stored_elsewhere_in_their_word_are_refused(folder, high_bit):
    """SimpleITK takes the lowest, whatever the header says."""
    write_series(folder, random_words("<u2", 12), BitsStored=12, HighBit=high_bit)
    with pytest.raises(InputError, match=f"12 bits stored, the highest is bit {high_bit}"):
        values_of(opened(folder))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"RescaleSlope": 0}, "rescale slope 0"),
        ({"RescaleSlope": "1e400"}, "rescale slope inf"),
        ({"RescaleSlope": [1, 2]}, "unreadable DICOM file"),
    ],
)
def test_a_rescale_that_says_no_value_is_refused(folder, fields, problem):
    write_series(folder, random_words("<u2"), **fields)
    with pytest.raises(InputError, match=problem):
        opened(folder)


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"RescaleIntercept": -1024}, "HU"),
        ({"RescaleIntercept": -1024, "RescaleType": "HU"}, "HU"),
        ({"RescaleIntercept": -1024, "RescaleType": "MGML"}, "raw"),
        ({"RescaleIntercept": -1024, "Modality": "MR"}, "raw"),
        ({"RescaleIntercept": -1024, **FROM_WHITE}, "raw"),
        ({"RescaleType": "HU", "PixelRepresentation": 1}, "HU"),
        ({"RescaleType": "HU"}, "raw"),  # never below water
        ({}, "raw"),
    ],
)
def test_the_unit_is_what_the_rescale_says(folder, fields, unit):
    write_series(folder, random_words("<u2", 11), RescaleSlope=1, **fields)
    assert opened(folder).unit == unit


@pytest.mark.parametrize(("fields", "unit"), [(MR, "raw"), ({"Modality": "CT"}, "HU")])
def test_what_says_that_it_is_no_ct_is_not_taken_for_one(folder, fields, unit):
    """A phase image of MRI runs from -4096 to 4094."""
    stack = np.random.default_rng(0).integers(0, 4096, (3, 32, 32)).astype("<u2")
    write_series(folder, stack, RescaleSlope=2, RescaleIntercept=-4096, **fields)
    assert find_window(opened(folder), DEFAULT, 0.5).unit == unit


def test_a_series_from_white_looks_as_the_same_from_black(tmp_path):
    """Shown, one is the other: stored values are counted from the other end."""
    stack, made = random_words("<u2", 12), []
    for name, planes, fields in (("a", stack, {}), ("b", 4095 - stack, FROM_WHITE)):
        (tmp_path / name).mkdir()
        write_series(tmp_path / name, planes, **MR, BitsStored=12, **fields)
        made.append(opened(tmp_path / name))
    np.testing.assert_array_equal(values_of(made[0]), values_of(made[1]))
    assert "turned over" in str(made[1].geometry.steps)


def test_a_ct_from_white_is_said_to_be_no_hounsfield_units(folder, caplog):
    write_series(folder, random_words("<u2"), RescaleSlope=1, RescaleIntercept=-1024, **FROM_WHITE)
    assert opened(folder).unit == "raw"
    assert "counts from white" in caplog.text


@pytest.mark.parametrize(
    "own",
    [
        {"PhotometricInterpretation": ["MONOCHROME1", "MONOCHROME1", "MONOCHROME2"]},
        {"PhotometricInterpretation": ["MONOCHROME1"] * 3, "RescaleSlope": [1, 2, 1]},
    ],
)
def test_what_would_be_turned_over_about_several_ends_is_refused(folder, own):
    write_series(folder, random_words("<u2"), own, **PET)
    with pytest.raises(InputError, match="counts from white"):
        opened(folder)
