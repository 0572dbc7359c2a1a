"""DICOM series of true-colour slices: where they lie, what they say, and whom they do not name."""

import subprocess
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_files import dicom_file, write_dicom

import medcolor
from medcolor.domain import VolumeGeometry
from medcolor.errors import InputError
from medcolor.export.options import ExportOptions
from medcolor.export.write import export
from medcolor.progress import Silent
from medcolor.volume.geometry import as_affine
from medcolor.volume.open import open_volume
from medcolor.volume.settings import StoreSettings, VolumeSettings
from medcolor.volume.store import create_store, read_affine, read_slices, write_slab

DICOM = ExportOptions(folder_format="dicom")
IDENTITY = {
    "PatientName": "Doe^Jäne",
    "PatientID": "4711-Z",
    "IssuerOfPatientID": "Charity",
    "PatientBirthDate": "19630102",
    "PatientSex": "F",
    "StudyDate": "20240506",
    "StudyTime": "070809",
    "StudyID": "S17",
    "StudyDescription": "Whole body, follow-up",
    "AccessionNumber": "A0815",
    "ReferringPhysicianName": "House^Gregory",
    "StudyInstanceUID": "1.2.3.4",
    "FrameOfReferenceUID": "1.2.3.5",
}
SECRETS = {
    "PatientAddress": "Main Street 1",
    "PatientComments": "afraid of needles",
    "OperatorsName": "Smith^Oscar",
    "InstitutionName": "General Hospital",
    "StationName": "CT-ROOM-3",
    "ProtocolName": "Jane again",
    "OtherPatientIDs": "0815-X",
}
"""What is never copied."""


def files_of(folder: Path) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def words_of(data: pydicom.Dataset) -> dict[str, str]:
    """Return every element of a file but its pixels, its meta information included."""
    return {
        f"{one.tag} {one.keyword}": str(one.value)
        for part in (data.file_meta, data)
        for one in part.iterall()
        if one.keyword != "PixelData"
    }


def scan_with_identity(folder: Path, **fields: object) -> Path:
    """Write a scan that names a person wherever it can."""
    folder.mkdir()
    pixels = np.random.default_rng(3).integers(0, 2000, (4, 12, 10))
    for z, plane in enumerate(pixels):
        named = {"SpecificCharacterSet": "ISO_IR 100"} | IDENTITY | SECRETS | fields
        write_dicom(folder / f"{z}.dcm", 2.0 * z, plane, **named)
    return folder


def colored(scan: Path, path: Path) -> Path:
    """Return a coloured volume that lies where a scan does."""
    found = open_volume(scan, VolumeSettings(), path.parent / "staging")
    settings = StoreSettings(slab_slices=4, chunk=(4, 8, 8), smallest_side=32)
    create_store(path, found.geometry, settings, {}, credit="Photographs: somebody")
    rgba = np.random.default_rng(5).integers(0, 256, (*found.geometry.shape, 4), np.uint8)
    write_slab(path, 0, range(found.geometry.shape[0]), rgba)
    return path


def test_pydicom_reads_the_colours_of_every_slice_in_its_place(volume, tmp_path, level):
    folder = export(volume, tmp_path / "series", Silent(), DICOM, level=level)
    files, affine = files_of(folder), np.array(read_affine(volume, level))
    rgba = read_slices(volume, level, range(100))
    assert len(files) == len(rgba)
    for z, (data, expected) in enumerate(zip(files, rgba, strict=True)):
        np.testing.assert_array_equal(data.pixel_array, expected[..., :3])
        directions = np.array(data.ImageOrientationPatient).reshape(2, 3)
        row_mm, col_mm = data.PixelSpacing
        for row, col in ((0, 0), (5, 0), (0, 6), (3, 4)):
            lps = data.ImagePositionPatient + directions.T @ [col * col_mm, row * row_mm]
            ras = affine @ [col, row, z, 1]
            np.testing.assert_allclose(lps * [-1, -1, 1], ras[:3], atol=1e-3)


def test_simpleitk_reads_the_series_as_one_volume_in_its_place(volume, tmp_path, level):
    folder = export(volume, tmp_path / "series", Silent(), DICOM, level=level)
    (series,) = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
    image = sitk.ReadImage(names)
    expected = read_slices(volume, level, range(100))[..., :3]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), expected)
    for index in ((0, 0, 0), (3, 2, 5), (6, 5, 1)):
        lps = image.TransformIndexToPhysicalPoint(index)
        ras = np.array(read_affine(volume, level)) @ [*index, 1]
        # Its direction from slice to slice is the normal of the slices, found from positions.
        np.testing.assert_allclose(np.array(lps) * [-1, -1, 1], ras[:3], atol=1e-2)


def test_dcm2niix_makes_a_colour_nifti_of_the_series_in_its_place(volume, tmp_path, level):
    dcm2niix = pytest.importorskip("dcm2niix")
    folder = export(volume, tmp_path / "series", Silent(), DICOM, level=level)
    (tmp_path / "out").mkdir()
    command = [dcm2niix.bin, "-f", "made", "-o", tmp_path / "out", folder]
    subprocess.run(command, check=True, capture_output=True)
    image = nib.load(tmp_path / "out" / "made.nii")
    stored = np.asarray(image.dataobj)
    found = np.stack([stored[channel] for channel in "RGB"], axis=-1)
    expected = read_slices(volume, level, range(100))[..., :3]
    index = np.indices(expected.shape[:3]).reshape(3, -1)[::-1]  # x, y, z
    ras = np.array(read_affine(volume, level)) @ [*index, np.ones(index.shape[1])]
    places = (np.linalg.inv(image.affine) @ ras)[:3]
    assert np.abs(places - np.rint(places)).max() < 0.01
    np.testing.assert_array_equal(
        found[tuple(np.rint(places).astype(int))], expected.reshape(-1, 3)
    )


def test_a_slice_of_an_odd_number_of_bytes_is_whole(tmp_path):
    geometry = VolumeGeometry((2, 3, 5), (1.0, 1.0, 1.0), as_affine(np.eye(4)))
    path = tmp_path / "odd.ome.zarr"
    create_store(path, geometry, StoreSettings(), {})
    rgba = np.random.default_rng(1).integers(0, 256, (2, 3, 5, 4), np.uint8)
    write_slab(path, 0, range(2), rgba)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = files_of(export(path, tmp_path / "series", Silent(), DICOM))
    np.testing.assert_array_equal([one.pixel_array for one in files], rgba[..., :3])


def test_a_series_says_what_it_is_in_new_identifiers(volume, tmp_path):
    files = files_of(export(volume, tmp_path / "one", Silent(), DICOM))
    again = files_of(export(volume, tmp_path / "two", Silent(), DICOM))
    for data in files:
        assert data.SOPClassUID == data.file_meta.MediaStorageSOPClassUID
        assert data.SOPClassUID.name == "Secondary Capture Image Storage"
        assert list(data.ImageType) == ["DERIVED", "SECONDARY"]
        assert "not measured" in data.SeriesDescription
        assert "not measured" in data.DerivationDescription
        assert data.Modality == "OT"
        assert (data.PhotometricInterpretation, data.SamplesPerPixel) == ("RGB", 3)
    assert [one.InstanceNumber for one in files] == [*range(1, 11)]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        (first,), (second,) = ({one[keyword].value for one in some} for some in (files, again))
        assert first != second
    assert len({one.SOPInstanceUID for one in (*files, *again)}) == 20


def test_no_element_of_a_series_names_anybody(tmp_path):
    """Not even where the volume's own name does."""
    scan = scan_with_identity(tmp_path / "scan")
    volume = colored(scan, tmp_path / "Doe^Jäne 4711-Z.ome.zarr")
    folder = export(volume, tmp_path / "series", Silent(), DICOM)
    secrets = {*IDENTITY.values(), *SECRETS.values()} - {"F"}
    for path in folder.iterdir():
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content
            assert secret.encode("latin-1") not in content
    for data in files_of(folder):
        named = {one.keyword: one.value for one in data.iterall() if one.VR in ("PN", "DA", "TM")}
        assert not any(named.values())
        assert not data.PatientID
        assert not data.PatientSex
        assert not any(one.tag.is_private for one in data.iterall())
        for name, words in words_of(data).items():
            assert not any(secret in words for secret in secrets), name


def test_a_named_file_gives_the_person_the_study_and_the_frame_of_reference_and_nothing_else(
    tmp_path,
):
    scan = scan_with_identity(tmp_path / "scan")
    volume = colored(scan, tmp_path / "v.ome.zarr")
    options = ExportOptions(folder_format="dicom", identity_from=scan / "2.dcm")
    folder = export(volume, tmp_path / "series", Silent(), options)
    for data in files_of(folder):
        for keyword, value in IDENTITY.items():
            assert data[keyword].value == value
        assert data.SeriesInstanceUID != "1.2.3"
        for name, words in words_of(data).items():
            assert not any(secret in words for secret in SECRETS.values()), name


def test_the_series_lies_on_the_scan_it_names(tmp_path):
    """Whatever a viewer overlays by the frame of reference is at the same millimetre."""
    scan = scan_with_identity(tmp_path / "scan")
    volume = colored(scan, tmp_path / "v.ome.zarr")
    options = ExportOptions(folder_format="dicom", identity_from=scan / "0.dcm")
    files = files_of(export(volume, tmp_path / "series", Silent(), options))
    for data, scanned in zip(files, files_of(scan), strict=True):
        assert data.FrameOfReferenceUID == scanned.FrameOfReferenceUID
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            np.testing.assert_allclose(data[keyword].value, scanned[keyword].value, atol=1e-5)


def test_whom_a_file_of_another_place_names_is_not_taken(tmp_path):
    volume = colored(scan_with_identity(tmp_path / "scan"), tmp_path / "v.ome.zarr")
    other = tmp_path / "other.dcm"
    write_dicom(other, 40.0, np.zeros((12, 10)), **IDENTITY)
    placeless = dicom_file(tmp_path / "placeless.dcm")
    placeless.save_as(tmp_path / "placeless.dcm", enforce_file_format=True)
    studyless = scan_with_identity(tmp_path / "studyless", StudyInstanceUID=None) / "1.dcm"
    (tmp_path / "text.dcm").write_text("Doe^Jane")
    for path, problem in (
        (other, "not inside the coloured volume"),
        (tmp_path / "placeless.dcm", "no DICOM slice with a place"),
        (tmp_path / "text.dcm", "no DICOM slice with a place"),
        (tmp_path / "absent.dcm", "no DICOM slice with a place"),
        (tmp_path, "no DICOM slice with a place"),
        (studyless, "no StudyInstanceUID"),
    ):
        options = ExportOptions(folder_format="dicom", identity_from=path)
        with pytest.raises(InputError, match=problem) as caught:
            export(volume, tmp_path / "series", Silent(), options)
        assert "Doe" not in str(caught.value)
    assert not (tmp_path / "series").exists()


def test_axes_that_are_not_at_right_angles_are_refused_where_it_shows(tmp_path):
    def made(shear: float) -> Path:
        affine = np.eye(4)
        affine[:3, :3] = np.diag([-1.0, -1.0, 1.0])
        affine[0, 1] = shear
        geometry = VolumeGeometry((2, 40, 40), (1.0, 1.0, 1.0), as_affine(affine))
        path = tmp_path / f"{shear}.ome.zarr"
        create_store(path, geometry, StoreSettings(), {})
        write_slab(path, 0, range(2), np.full((2, 40, 40, 4), 9, np.uint8))
        return path

    export(made(0.01), tmp_path / "near", Silent(), DICOM)
    with pytest.raises(InputError, match=r"not at right angles.*Export NIfTI or NRRD"):
        export(made(0.1), tmp_path / "far", Silent(), DICOM)
    assert not (tmp_path / "far").exists()


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("scan.nii", DICOM, "--as says dicom"),
        ("scan.nrrd", ExportOptions(folder_format="png"), "--as says png"),
        ("slices", ExportOptions(identity_from=Path("x.dcm")), "for DICOM alone"),
    ],
)
def test_options_that_do_not_suit_the_file_are_refused(volume, tmp_path, name, options, problem):
    with pytest.raises(InputError, match=problem):
        export(volume, tmp_path / name, Silent(), options)
    assert not (tmp_path / name).exists()


def test_force_replaces_an_exported_series_and_no_other(volume, tmp_path):
    folder = tmp_path / "series"
    for _ in range(2):
        export(volume, folder, Silent(), DICOM, force=True)
    assert len(files_of(folder)) == 10
    scan = scan_with_identity(tmp_path / "00000")
    before = {path: path.read_bytes() for path in scan.iterdir()}
    with pytest.raises(InputError, match="no earlier export"):
        export(volume, scan, Silent(), DICOM, force=True)
    assert {path: path.read_bytes() for path in scan.iterdir()} == before


def test_without_the_extra_the_error_names_it(volume, tmp_path, monkeypatch):
    monkeypatch.setattr("medcolor.extras.missing_modules", lambda _: ["pydicom"])
    with pytest.raises(InputError, match=r"pip install 'medcolor\[dicom\]'"):
        medcolor.export_volume(volume, tmp_path / "series", options=DICOM)
