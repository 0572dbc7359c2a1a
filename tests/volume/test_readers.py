import gzip
import shutil
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_files import write_dicom

from medcolor.errors import InputError
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

STACK = VolumeSettings(spacing_mm=(2.0, 1.5, 1.25))


@pytest.fixture
def voxels():
    return np.random.default_rng(5).integers(0, 2000, (4, 6, 5)).astype(np.uint16)


@pytest.fixture
def series(tmp_path, voxels):
    folder = tmp_path / "series"
    folder.mkdir()
    for z, name in zip(range(4), ("d", "a", "c", "b"), strict=True):
        write_dicom(folder / f"{name}.dcm", 3.0 * z, voxels[z])
    (folder / "notes.txt").write_text("not a slice")
    return folder


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PIR", "SLA"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_of_any_orientation_is_brought_to_lps_with_true_geometry(
    tmp_path, voxels, codes, suffix
):
    spacing = dict(zip("LRPASI", (0.9, 0.9, 0.7, 0.7, 3.0, 3.0), strict=True))
    lps = nib.Nifti1Image(voxels.transpose(2, 1, 0), np.diag([-0.9, -0.7, 3.0, 1.0]))
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("LPS"), nib.orientations.axcodes2ornt(codes)
    )
    stored = lps.as_reoriented(change)
    assert stored.header.get_zooms() == pytest.approx([spacing[c] for c in codes])
    path = tmp_path / f"scan{suffix}"
    nib.save(stored, path)

    volume = open_volume(path, VolumeSettings(), tmp_path)

    assert volume.geometry.spacing_mm == pytest.approx((3.0, 0.7, 0.9))
    np.testing.assert_allclose(volume.geometry.affine, lps.affine, atol=1e-4)
    assert volume.intensity.chunks[0] == (1, 1, 1, 1)
    for z in range(4):
        np.testing.assert_array_equal(read_slice(volume, z, VolumeSettings()), voxels[z])


def test_nifti_scaling_is_applied(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([-1, -1, 1, 1]))
    image.header.set_slope_inter(2.0, -5.0)
    nib.save(image, tmp_path / "scan.nii")
    volume = open_volume(tmp_path / "scan.nii", VolumeSettings(), tmp_path)
    loaded = nib.load(tmp_path / "scan.nii").get_fdata()
    np.testing.assert_allclose(read_slice(volume, 3, VolumeSettings()), loaded[:, :, 3].T)


def test_a_dicom_series_is_sorted_by_position_in_hounsfield_units(series, voxels, tmp_path):
    volume = open_volume(series, VolumeSettings(), tmp_path)

    assert volume.unit == "HU"
    assert volume.geometry.spacing_mm == pytest.approx((3.0, 0.7, 0.9))
    # First voxel: DICOM's LPS position in RAS.
    assert np.array(volume.geometry.affine)[:3, 3].tolist() == pytest.approx([20, 30, 0])
    for z in range(4):
        np.testing.assert_array_equal(
            read_slice(volume, z, VolumeSettings()), voxels[z].astype(float) - 1024
        )


def test_images_come_in_natural_order_and_any_orientation(tmp_path, voxels):
    folder = tmp_path / "stack"
    folder.mkdir()
    for z, name in enumerate(["s2.png", "s9.png", "s10.png", "s11.png"]):
        cv2.imwrite(str(folder / name), voxels[z])

    straight = open_volume(folder, STACK, tmp_path)
    turned = open_volume(
        folder, VolumeSettings(spacing_mm=(2.0, 1.5, 1.25), orientation="RAI"), tmp_path
    )

    for z in range(4):
        np.testing.assert_array_equal(read_slice(straight, z, STACK), voxels[z])
        np.testing.assert_array_equal(read_slice(turned, z, STACK), voxels[3 - z, ::-1, ::-1])
    assert straight.geometry.spacing_mm == (2.0, 1.5, 1.25)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_other_image_formats_are_read(tmp_path, suffix):
    folder = tmp_path / "stack"
    folder.mkdir()
    image = np.full((9, 7), 90, np.uint8)
    cv2.imwrite(str(folder / f"1{suffix}"), image)
    cv2.imwrite(str(folder / f"2{suffix}"), np.dstack([image] * 3))
    volume = open_volume(folder, STACK, tmp_path)
    for z in range(2):
        np.testing.assert_allclose(read_slice(volume, z, STACK), 90, atol=1)


def damage_gzip(folder: Path) -> Path:
    path = folder / "scan.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((20, 20, 20), np.int16), np.eye(4)), path)
    whole = gzip.compress(gzip.decompress(path.read_bytes()), 0)
    path.write_bytes(whole[:5000])
    return path


def truncated_nifti(folder: Path) -> Path:
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image(np.zeros((20, 20, 20), np.int16), np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def complex_nifti(folder: Path) -> Path:
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.complex64), np.eye(4)), path)
    return path


def four_dimensions(folder: Path) -> Path:
    path = folder / "scan.nii"
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.int16), np.eye(4)), path)
    return path


def mixed_sizes(folder: Path) -> Path:
    for index, side in enumerate((8, 9)):
        cv2.imwrite(str(folder / f"{index}.png"), np.zeros((8, side), np.uint8))
    return folder


def no_image(folder: Path) -> Path:
    (folder / "1.png").write_bytes(b"no picture")
    return folder


def empty_file(folder: Path) -> Path:
    (folder / "1.png").write_bytes(b"")
    return folder


def empty_folder(folder: Path) -> Path:
    return folder


def strange_file(folder: Path) -> Path:
    path = folder / "scan.xyz"
    path.write_bytes(b"?")
    return path


def absent(folder: Path) -> Path:
    return folder / "absent.nii"


def gap_in_series(folder: Path) -> Path:
    for z in (0, 1, 2, 4):
        write_dicom(folder / f"{z}.dcm", z, np.zeros((4, 4)))
    return folder


def doubled_slice(folder: Path) -> Path:
    for index, z in enumerate((0, 1, 1)):
        write_dicom(folder / f"{index}.dcm", z, np.zeros((4, 4)))
    return folder


def two_series(folder: Path) -> Path:
    for z in range(4):
        write_dicom(folder / f"{z}.dcm", z, np.zeros((4, 4)), SeriesInstanceUID=f"1.{z % 2 + 1}")
    return folder


def mixed_dicom(folder: Path) -> Path:
    for z in range(3):
        write_dicom(folder / f"{z}.dcm", z, np.zeros((4, 4 + z)))
    return folder


def tilted_gantry(folder: Path) -> Path:
    for z in range(3):
        write_dicom(folder / f"{z}.dcm", z, np.zeros((4, 4)), ImagePositionPatient=[0, z / 3, z])
    return folder


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (absent, "no such file"),
        (strange_file, "not a kind of file"),
        (empty_folder, "no images and no DICOM"),
        (damage_gzip, "damaged gzip"),
        (truncated_nifti, "truncated"),
        (complex_nifti, "type complex64"),
        (four_dimensions, "2 time points"),
        (mixed_sizes, "slices differ"),
        (no_image, "no readable image"),
        (empty_file, "no readable image"),
        (gap_in_series, "uneven slices: 2 mm"),
        (doubled_slice, "two slices at one position"),
        (two_series, r"2 series \(1: CT, 2 slices of 4 x 4; 2: CT, 2 slices"),
        (mixed_dicom, "5 x 4 pixels"),
        (tilted_gantry, "gantry tilted by 18.4"),
    ],
)
def test_bad_input_is_named_in_one_line(tmp_path, make, problem):
    folder = tmp_path / "input"
    folder.mkdir()
    with pytest.raises(InputError, match=problem) as caught:
        open_volume(make(folder), STACK, tmp_path / "staging")
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)


def test_images_without_spacing_are_refused_with_the_option_to_give(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"volume\.spacing_mm"):
        open_volume(tmp_path, VolumeSettings(), tmp_path)


def test_nan_is_refused_unless_a_value_is_named(tmp_path):
    voxels = np.ones((3, 3, 3), np.float32)
    voxels[1, 1, 2] = np.nan
    nib.save(nib.Nifti1Image(voxels, np.diag([-1, -1, 1, 1])), tmp_path / "scan.nii")
    volume = open_volume(tmp_path / "scan.nii", VolumeSettings(), tmp_path)

    with pytest.raises(InputError, match=r"slice 2: 1 voxels are NaN"):
        read_slice(volume, 2, VolumeSettings())
    replaced = read_slice(volume, 2, VolumeSettings(nonfinite_value=-7.0))
    assert replaced[1, 1] == -7


def test_a_truncated_dicom_slice_is_named_when_it_is_read(series, tmp_path):
    path = series / "a.dcm"
    path.write_bytes(path.read_bytes()[:-20])
    volume = open_volume(series, VolumeSettings(), tmp_path)
    with pytest.raises(InputError, match=r"a\.dcm: unreadable DICOM pixels"):
        read_slice(volume, 1, VolumeSettings())


def test_a_changed_scan_is_inflated_anew(tmp_path):
    path = tmp_path / "scan.nii.gz"
    for value in (1, 2):
        nib.save(nib.Nifti1Image(np.full((3, 3, 3), value, np.int16), np.eye(4)), path)
        shutil.copystat(__file__, path) if value == 1 else None
        volume = open_volume(path, VolumeSettings(), tmp_path / "staging")
        assert read_slice(volume, 0, VolumeSettings()).max() == value


def test_the_real_scans_agree_with_their_own_libraries(shared, tmp_path):
    t1 = open_volume(shared / "mri-head" / "t1.nii.gz", VolumeSettings(), tmp_path)
    canonical = nib.as_closest_canonical(nib.load(shared / "mri-head" / "t1.nii.gz"))
    expected = np.asarray(canonical.dataobj)[::-1, ::-1, 100].T
    np.testing.assert_array_equal(read_slice(t1, 100, VolumeSettings()), expected)

    head = open_volume(shared / "dicom-head", VolumeSettings(), tmp_path)
    assert head.geometry.shape == (93, 64, 64)
    assert head.geometry.spacing_mm == pytest.approx((1.5, 3.2, 3.2))
    files = [pydicom.dcmread(path) for path in (shared / "dicom-head").glob("*.dcm")]
    lowest = min(files, key=lambda data: data.ImagePositionPatient[2])
    np.testing.assert_array_equal(read_slice(head, 0, VolumeSettings()), lowest.pixel_array)

    ct = open_volume(shared / "ct-head", STACK, tmp_path)
    assert ct.geometry.shape == (234, 512, 512)
