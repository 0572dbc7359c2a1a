"""DICOM files without preamble, place or image: read, or named for what they are."""

import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import (
    PERSON,
    SHAPE,
    encode,
    random_words,
    values_of,
    write_multiframe,
    write_words,
)
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medcolor.errors import InputError
from medcolor.volume.dicom_head import HEAD_BYTES, is_dicom
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    for z, plane in enumerate(random_words("<u2")):
        write_words(made / f"{z}.dcm", 2.0 * z, plane)
    return made


def strip(path: Path, keep_meta: bool) -> None:
    """Take the preamble off a file, and perhaps what says how it is written."""
    content = path.read_bytes()
    assert content[128:132] == b"DICM"
    if keep_meta:
        path.write_bytes(content[132:])
        return
    length = int.from_bytes(content[140:144], "little")  # of the group (0002,0000)
    path.write_bytes(content[144 + length :])


@pytest.mark.parametrize("keep_meta", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_files_without_preamble_are_read(folder, tmp_path, syntax, keep_meta):
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        words = data.pixel_array
        data.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            data.PixelData = words.astype(">u2").tobytes()
        pydicom.dcmwrite(
            path,
            data,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
            force_encoding=True,
        )
        strip(path, keep_meta)
        assert is_dicom(path.read_bytes()[:HEAD_BYTES])
    expected = random_words("<u2")
    np.testing.assert_array_equal(values_of(open_volume(folder, DEFAULT, tmp_path)), expected)


def test_compressed_and_multi_frame_files_without_preamble_are_read(folder, tmp_path):
    for path in folder.iterdir():
        encode(path, "JPEGLSLossless")
        strip(path, keep_meta=True)
    words = random_words("<u2")
    np.testing.assert_array_equal(values_of(open_volume(folder, DEFAULT, tmp_path)), words)
    write_multiframe(tmp_path / "many.dcm", [0.0, 1.0, 2.0], words)
    strip(tmp_path / "many.dcm", keep_meta=False)
    found = values_of(open_volume(tmp_path / "many.dcm", DEFAULT, tmp_path))
    np.testing.assert_array_equal(found, 2.0 * words - 1000)


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES))
def test_any_bytes_are_no_dicom_file(content):
    assert is_dicom(content) == (content[128:132] == b"DICM")


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x00\x05\x00" * 200,
        b"\x08\x00" + bytes(600),
        b"\x02\x00\x00\x00UL\x04\x00" * 100,
        bytes(HEAD_BYTES),
        b"Doe, Jane: a report\n" * 60,
    ],
)
def test_what_looks_a_little_like_dicom_is_none(folder, tmp_path, content):
    (folder / "other.bin").write_bytes(content)
    np.testing.assert_array_equal(
        values_of(open_volume(folder, DEFAULT, tmp_path)), random_words("<u2")
    )
    with pytest.raises(InputError, match="not a kind of file that is read"):
        open_volume(folder / "other.bin", DEFAULT, tmp_path)


def without(path: Path, *keywords: str) -> None:
    data = pydicom.dcmread(path)
    for keyword in keywords:
        delattr(data, keyword)
    data.save_as(path)


PLACE = {
    "ImagePositionPatient": "0020,0032",
    "ImageOrientationPatient": "0020,0037",
    "PixelSpacing": "0028,0030",
}


@pytest.mark.parametrize("gone", [(one,) for one in PLACE] + [tuple(PLACE), tuple(PLACE)[:2]])
def test_what_places_lack_is_named(folder, tmp_path, gone):
    for path in folder.iterdir():
        without(path, *gone)
    for place, count in ((folder, "3 DICOM images"), (folder / "1.dcm", "1 DICOM image")):
        with pytest.raises(InputError) as caught:
            open_volume(place, DEFAULT, tmp_path)
        assert f"{count} without" in str(caught.value)
        for keyword, tag in PLACE.items():
            assert (keyword in str(caught.value)) == (keyword in gone)
            assert (tag in str(caught.value)) == (keyword in gone)


def test_an_empty_field_of_a_place_is_missing(folder, tmp_path):
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        data.ImagePositionPatient = None
        data.save_as(path)
    with pytest.raises(InputError, match=r"without ImagePositionPatient \(0020,0032\)\. "):
        open_volume(folder, DEFAULT, tmp_path)


def test_images_without_a_place_beside_a_series_are_left_out_and_told(folder, tmp_path, caplog):
    for name in ("report", "screen"):
        write_words(folder / name, 0, random_words("<u2")[0])
        without(folder / name, "ImagePositionPatient")
    with caplog.at_level(logging.WARNING):
        volume = open_volume(folder, DEFAULT, tmp_path)
    np.testing.assert_array_equal(values_of(volume), random_words("<u2"))
    told = "2 DICOM images without ImagePositionPatient (0020,0032) left out"
    assert told in caplog.text
    assert told in volume.geometry.steps


def test_a_film_of_frames_without_places_is_named(tmp_path):
    words = random_words("<u2")
    write_words(tmp_path / "film.dcm", 0, words[0])
    data = pydicom.dcmread(tmp_path / "film.dcm")
    data.NumberOfFrames, data.PixelData = len(words), words.tobytes()
    data.save_as(tmp_path / "film.dcm")
    with pytest.raises(InputError, match="1 DICOM film without places frame by frame"):
        open_volume(tmp_path / "film.dcm", DEFAULT, tmp_path)


def test_each_cause_of_an_unread_folder_is_named(folder, tmp_path):
    without(folder / "0.dcm", "ImagePositionPatient")
    without(folder / "1.dcm", "Rows", "Columns", "PixelData")
    (folder / "2.dcm").write_bytes(PERSON.encode())
    with pytest.raises(InputError) as caught:
        open_volume(folder, DEFAULT, tmp_path)
    for part in (
        "1 DICOM image without ImagePositionPatient",
        "1 DICOM file that hold",
        "1 file of other kinds",
    ):
        assert part in str(caught.value)
    (folder / "0.dcm").unlink()
    with pytest.raises(InputError, match=r"no images: 1 DICOM file.*Give the folder that"):
        open_volume(folder, DEFAULT, tmp_path)
    (folder / "1.dcm").unlink()
    with pytest.raises(InputError, match="no images and no DICOM slices: 1 file of other kinds"):
        open_volume(folder, DEFAULT, tmp_path)
    (folder / "2.dcm").unlink()
    with pytest.raises(InputError, match="no images and no DICOM slices: an empty folder"):
        open_volume(folder, DEFAULT, tmp_path)


def test_a_picture_beside_files_without_preamble_makes_no_image_stack(folder, tmp_path):
    for path in folder.iterdir():
        strip(path, keep_meta=False)
    (folder / "preview.png").write_bytes(b"a picture")
    found = values_of(open_volume(folder, DEFAULT, tmp_path))
    assert found.shape == SHAPE
