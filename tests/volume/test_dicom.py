import io
import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import PERSON, write_dicom, write_multiframe
from pydicom.datadict import dictionary_has_tag
from pydicom.uid import JPEG2000Lossless, JPEGLossless, JPEGLSLossless, RLELossless

from medcolor.errors import InputError
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()
RESAMPLE = VolumeSettings(uneven="resample")


@pytest.fixture
def voxels():
    return np.random.default_rng(5).integers(0, 2000, (5, 16, 12)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


def ramp(z_mm: float) -> np.ndarray:
    """Pixels linear in z, row and column: what interpolation keeps exactly."""
    rows, cols = np.mgrid[:16, :12]
    return np.round(1000 + 10 * z_mm + 4 * rows + 6 * cols)


def values(volume, settings=DEFAULT):
    return np.stack([read_slice(volume, z, settings) for z in range(volume.geometry.shape[0])])


def assert_as_simpleitk(volume, image):
    """Compare the places of corners and all values with SimpleITK's."""
    affine = np.array(volume.geometry.affine)
    depth, rows, cols = volume.geometry.shape
    stored = sitk.GetArrayFromImage(image)
    for z, y, x in ((0, 0, 0), (depth - 1, rows - 1, cols - 1), (depth // 2, 1, cols - 2)):
        ras = affine @ [x, y, z, 1]
        index = image.TransformPhysicalPointToContinuousIndex(
            (-float(ras[0]), -float(ras[1]), float(ras[2]))
        )
        nearest = np.round(index).astype(int)
        there = image.TransformIndexToPhysicalPoint([int(i) for i in nearest])
        np.testing.assert_allclose(np.array(there) * [-1, -1, 1], ras[:3], atol=1e-4)
        found = read_slice(volume, z, DEFAULT)[y, x]
        assert found == pytest.approx(float(stored[tuple(nearest[::-1])]), abs=1e-3)


@pytest.mark.parametrize(
    "cosines",
    [
        [1, 0, 0, 0, 1, 0],
        [-1, 0, 0, 0, 1, 0],
        [0.995004, 0.0998334, 0, -0.0998334, 0.995004, 0],
        [0, 1, 0, 0, 0, -1],
        [1, 0, 0, 0, 0, -1],
    ],
    ids=["axial", "mirrored", "turned", "sagittal", "coronal"],
)
def test_a_series_of_any_direction_lies_where_simpleitk_puts_it(folder, voxels, cosines, tmp_path):
    normal = np.cross(cosines[:3], cosines[3:])
    for number, pixels in enumerate(voxels):
        place = [float(v) for v in np.array([-20, -30, 5]) + 2.5 * number * normal]
        write_dicom(
            folder / f"{number}.dcm",
            0,
            pixels,
            ImagePositionPatient=place,
            ImageOrientationPatient=cosines,
        )
    volume = open_volume(folder, DEFAULT, tmp_path / "staging")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    assert_as_simpleitk(volume, reader.Execute())
    assert volume.intensity.chunks[0] == (1,) * volume.geometry.shape[0]


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "JPEGLS"])
def test_compressed_series_are_read(folder, voxels, tmp_path, compressor):
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    for number, pixels in enumerate(voxels):
        image = sitk.GetImageFromArray(pixels[None])
        image.SetSpacing((0.9, 0.7, 2.0))
        image.SetOrigin((0.0, 0.0, 2.0 * number))
        about = {"0008|0060": "CT", "0020|000e": "1.2.3", "0028|1052": "0", "0028|1053": "1"}
        for tag, value in about.items():
            image.SetMetaData(tag, value)
        path = folder / f"{number}.dcm"
        writer.SetFileName(str(path))
        writer.Execute(image)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed
    volume = open_volume(folder, DEFAULT, tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.7, 0.9))
    np.testing.assert_array_equal(values(volume), voxels)


def test_run_length_encoded_series_are_read(folder, voxels, tmp_path):
    for number, pixels in enumerate(voxels):
        write_dicom(folder / f"{number}", float(number), pixels)
        data = pydicom.dcmread(folder / f"{number}")
        data.compress(RLELossless)
        data.save_as(folder / f"{number}")
    volume = open_volume(folder, DEFAULT, tmp_path)
    np.testing.assert_array_equal(values(volume), voxels.astype(float) - 1024)


def test_decoders_for_all_usual_syntaxes_are_installed():
    for syntax in (JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless):
        assert pydicom.pixels.get_decoder(syntax).is_available


def test_all_frames_of_an_enhanced_file_are_read(tmp_path, voxels):
    path = tmp_path / "enhanced.dcm"
    write_multiframe(path, [8.0, 6.0, 4.0, 2.0, 0.0], voxels)
    volume = open_volume(path, DEFAULT, tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.7, 0.9))
    np.testing.assert_array_equal(values(volume), 2.0 * voxels[::-1].astype(float) - 1000)
    assert volume.unit == "HU"


def test_an_enhanced_file_of_one_frame_has_its_place(folder, voxels, tmp_path):
    for number in range(3):
        write_multiframe(folder / f"{number}", [2.0 * number], voxels[number : number + 1])
    volume = open_volume(folder, DEFAULT, tmp_path)
    np.testing.assert_array_equal(values(volume), 2.0 * voxels[:3].astype(float) - 1000)


def test_a_picture_among_the_slices_makes_no_image_stack(folder, voxels, tmp_path):
    for number, pixels in enumerate(voxels):
        write_dicom(folder / f"{number}", float(number), pixels)
    (folder / "preview.jpg").write_bytes(b"a picture of it")
    volume = open_volume(folder, DEFAULT, tmp_path)
    np.testing.assert_array_equal(values(volume), voxels.astype(float) - 1024)


def test_one_of_several_series_is_chosen_by_number_or_uid(folder, voxels, tmp_path):
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(4):
        write_dicom(folder / f"a{number}", number, voxels[0], SeriesInstanceUID="1.2")
        write_dicom(
            folder / "deep" / "er" / f"b{number}", number, voxels[number], SeriesInstanceUID="1.3"
        )
    with pytest.raises(InputError, match=r"2 series.*volume\.series=1"):
        open_volume(folder, DEFAULT, tmp_path)
    for chosen in (2, "2", "1.3"):
        volume = open_volume(folder, VolumeSettings(series=chosen), tmp_path)
        np.testing.assert_array_equal(values(volume), voxels[:4].astype(float) - 1024)
    with pytest.raises(InputError, match="not the chosen one"):
        open_volume(folder, VolumeSettings(series=3), tmp_path)


def test_a_zip_of_a_series_is_read_like_its_folder(folder, voxels, tmp_path):
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for number, pixels in enumerate(voxels):
            write_dicom(folder / "one.dcm", float(number), pixels)
            archive.write(folder / "one.dcm", f"../{PERSON}/../../{number}.dcm")
    volume = open_volume(tmp_path / "series.zip", DEFAULT, tmp_path / "staging")
    np.testing.assert_array_equal(values(volume), voxels.astype(float) - 1024)
    assert all(tmp_path / "staging" in file.parents for file in volume.files)
    assert PERSON not in str(volume.files)


@pytest.mark.parametrize("at", [[0, 1, 2, 4, 5], [0, 1, 2, 5, 10], [0, 0.5, 1, 4]])
def test_gaps_and_mixed_spacing_are_interpolated_where_that_is_asked_for(folder, tmp_path, at):
    for number, z in enumerate(at):
        write_dicom(folder / f"{number}", z, ramp(z))
    with pytest.raises(InputError, match=r"uneven slices.*volume\.uneven=resample"):
        open_volume(folder, DEFAULT, tmp_path)
    volume = open_volume(folder, RESAMPLE, tmp_path)
    step = volume.geometry.spacing_mm[0]
    assert step == pytest.approx(min(np.diff(at)))
    expected = np.stack([ramp(z * step) for z in range(volume.geometry.shape[0])]) - 1024
    np.testing.assert_allclose(values(volume), expected, atol=1e-2)
    assert any("interpolated" in one for one in volume.geometry.steps)


def test_doubled_slices_are_left_out_if_they_are_alike(folder, tmp_path):
    for number, z in enumerate((0, 1, 1, 2)):
        write_dicom(folder / f"{number}", z, ramp(z))
    volume = open_volume(folder, RESAMPLE, tmp_path)
    assert volume.geometry.shape[0] == 3
    assert "1 doubled slices left out" in volume.geometry.steps
    write_dicom(folder / "2", 1, ramp(9))
    with pytest.raises(InputError, match="two different slices at one position"):
        open_volume(folder, RESAMPLE, tmp_path)


def test_a_tilted_gantry_is_set_upright(folder, tmp_path):
    """Slices shifted by half a row each: a field linear in space must be found where it is."""
    for number in range(6):
        shift_mm = 0.35 * number
        rows, cols = np.mgrid[:16, :12]
        y_mm, x_mm = 0.7 * rows + shift_mm, 0.9 * cols
        write_dicom(
            folder / f"{number}",
            0,
            np.round(1000 + 100 * y_mm + 50 * x_mm + 30 * number),
            ImagePositionPatient=[0, shift_mm, 2.0 * number],
        )
    volume = open_volume(folder, RESAMPLE, tmp_path)
    affine = np.array(volume.geometry.affine)
    assert affine[1, 2] == pytest.approx(0)
    found = values(volume)
    depth, rows, cols = found.shape
    assert rows == 16 + 3
    z, y, x = np.meshgrid(np.arange(depth), np.arange(rows), np.arange(cols), indexing="ij")
    place = np.einsum("ij,j...->i...", affine, np.stack([x, y, z, np.ones_like(x)]))
    expected = 1000 - 100 * place[1] - 50 * place[0] + 15 * place[2] - 1024
    inside = found > -24
    assert inside.mean() > 0.7
    core = (slice(None), slice(4, 15), slice(1, -1))
    np.testing.assert_allclose(found[core], expected[core], atol=1.5)


def test_a_slice_shifted_in_its_plane_is_noticed(folder, tmp_path):
    for number in range(5):
        x_mm = 1.8 if number == 2 else 0.0  # two columns to the left of the others
        write_dicom(
            folder / f"{number}", number, ramp(number), ImagePositionPatient=[x_mm, 0, number]
        )
    with pytest.raises(InputError, match=r"sorted slice 2 by 1\.8 mm.*volume\.uneven=resample"):
        open_volume(folder, DEFAULT, tmp_path)
    found = values(open_volume(folder, RESAMPLE, tmp_path))
    np.testing.assert_allclose(found[1, :, :12], ramp(1) - 1024)
    np.testing.assert_allclose(found[2, :, 2:14], ramp(2) - 1024)


def test_of_a_file_of_many_frames_one_alone_is_read(tmp_path, monkeypatch):
    """A slice of them costs its own bytes, not the file's."""
    count = 60
    pixels = np.random.default_rng(1).integers(0, 2000, (count, 64, 64)).astype(np.uint16)
    path = tmp_path / "many.dcm"
    write_multiframe(path, [float(z) for z in range(count)], pixels)
    volume = open_volume(path, DEFAULT, tmp_path)
    read = 0
    original = io.BufferedReader.read

    def counted(self, *arguments):
        nonlocal read
        piece = original(self, *arguments)
        read += len(piece)
        return piece

    class Counting(io.BufferedReader):
        read = counted

    monkeypatch.setattr("builtins.open", lambda file, *_a, **_k: Counting(io.FileIO(file)))
    monkeypatch.setattr(Path, "open", lambda self, *_a, **_k: Counting(io.FileIO(self)))
    found = read_slice(volume, 30, DEFAULT)
    monkeypatch.undo()
    np.testing.assert_array_equal(found, 2.0 * pixels[30] - 1000)
    assert 64 * 64 * 2 <= read < path.stat().st_size / 4


def test_nothing_that_names_a_person_leaves_the_reader(folder, voxels, tmp_path, caplog):
    texts = {
        "LO", "LT", "PN", "SH", "ST", "UC", "UT", "AE",
    }  # fmt: skip
    secret = "Müller^Wörnér-4711"
    changes = {}
    for keyword in (
        *("PatientName", "PatientID", "PatientComments", "InstitutionName", "StudyDescription"),
        *("SeriesDescription", "ProtocolName", "ReferringPhysicianName", "ImageComments"),
        *("DeviceSerialNumber", "StationName", "AccessionNumber", "OtherPatientIDs"),
        *("ConvolutionKernel", "ManufacturerModelName", "PatientAddress", "RequestedProcedureID"),
    ):
        assert dictionary_has_tag(keyword)
        assert pydicom.datadict.dictionary_VR(keyword) in texts
        changes[keyword] = secret if pydicom.datadict.dictionary_VR(keyword) != "SH" else "W4711"
    changes["SpecificCharacterSet"] = "ISO_IR 192"
    changes["BurnedInAnnotation"] = "YES"
    changes["KVP"] = "120"
    for number in range(3):
        path = folder / f"{secret}-{number}"
        write_dicom(path, number, voxels[number], **changes)
        data = pydicom.dcmread(path)
        block = data.private_block(0x0009, secret, create=True)
        block.add_new(1, "LO", secret)
        data.add_new(0x00180050, "DS", "")  # slice thickness without a value
        data.save_as(path)
    with caplog.at_level(logging.DEBUG):
        volume = open_volume(folder, DEFAULT, tmp_path)
        values(volume)
    assert volume.facts == {"format": "DICOM", "modality": "CT", "tube_voltage_kv": 120.0}
    assert "text is painted into its pixels" in caplog.text
    told = caplog.text + json.dumps(volume.facts) + str(volume.geometry)
    for part in ("ller", "4711", "rnér"):
        assert part not in told


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"PixelSpacing": [0, 0]}, "unreadable DICOM file"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "unreadable DICOM file"),
        ({"ImagePositionPatient": [0, 0, "1e400"]}, "unreadable DICOM file"),
        ({"Rows": 60000, "Columns": 60000}, "a slice may have"),
        ({"PhotometricInterpretation": "RGB"}, "one grey image|unreadable DICOM pixels"),
    ],
)
def test_headers_that_lie_are_named(folder, voxels, tmp_path, changes, problem):
    for number in range(3):
        write_dicom(folder / f"{number}", number, voxels[number], **changes)
        data = folder / f"{number}"
        assert data.exists()
    with pytest.raises(InputError, match=problem) as caught:
        values(open_volume(folder, DEFAULT, tmp_path))
    assert PERSON not in str(caught.value)
