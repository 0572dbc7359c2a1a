"""NRRD, NIfTI of several volumes, multi-page TIFF, OME-Zarr: against their own libraries."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
import zarr

from medcolor.errors import InputError
from medcolor.volume.nifti import open_nifti
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()


@pytest.fixture
def voxels():
    return np.random.default_rng(7).integers(-500, 2000, (5, 7, 6)).astype(np.int16)


def values(volume):
    return np.stack([read_slice(volume, z, DEFAULT) for z in range(volume.geometry.shape[0])])


def place_in_lps(volume, z, y, x):
    return (np.array(volume.geometry.affine) @ [x, y, z, 1])[:3] * [-1, -1, 1]


def assert_same_places_and_values(volume, image):
    """Every voxel of the volume lies where SimpleITK has one, with the same value."""
    stored = sitk.GetArrayFromImage(image)
    found = values(volume)
    for z, y, x in np.ndindex(*volume.geometry.shape):
        lps = place_in_lps(volume, z, y, x)
        index = image.TransformPhysicalPointToContinuousIndex([float(v) for v in lps])
        nearest = [round(i) for i in index]
        there = image.TransformIndexToPhysicalPoint(nearest)
        np.testing.assert_allclose(there, lps, atol=1e-4)
        assert found[z, y, x] == stored[tuple(nearest[::-1])]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".nii", ".nii.gz"])
def test_nrrd_and_nifti_lie_where_simpleitk_puts_them(tmp_path, voxels, suffix, compress):
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-11.0, 12.0, 13.5))
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, -0.05, 0.2).GetMatrix()
    image.SetDirection(turn)
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image, str(path), useCompression=compress)
    volume = open_volume(path, DEFAULT, tmp_path / "staging")
    assert_same_places_and_values(volume, sitk.ReadImage(str(path)))
    assert volume.intensity.chunks[0] == (1,) * 5


def test_an_nrrd_without_a_space_needs_its_spacing(tmp_path, voxels):
    path = tmp_path / "scan.nrrd"
    head = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 6 7 5\nendian: big\nencoding: raw\n\n"
    path.write_bytes(head.encode() + voxels.astype(">i2").tobytes())
    with pytest.raises(InputError, match=r"volume\.spacing_mm"):
        open_volume(path, DEFAULT, tmp_path)
    volume = open_volume(path, VolumeSettings(spacing_mm=(2.0, 1.0, 1.0)), tmp_path)
    np.testing.assert_array_equal(values(volume), voxels)
    assert volume.geometry.spacing_mm == (2.0, 1.0, 1.0)


def test_an_nrrd_takes_no_voxels_from_other_folders(tmp_path):
    (tmp_path / "secret.raw").write_bytes(bytes(1000))
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "scan.nhdr"
    head = "NRRD0004\ntype: int16\ndimension: 3\nsizes: 5 5 5\nencoding: raw\nendian: little\n"
    for name in ("../secret.raw", str(tmp_path / "secret.raw"), "LIST", "%03d.raw 1 5 1"):
        path.write_text(f"{head}data file: {name}\n")
        with pytest.raises(InputError, match=r"no path below it|several files|NRRD header"):
            open_volume(path, VolumeSettings(spacing_mm=(1.0, 1.0, 1.0)), tmp_path)


def test_an_nrrd_takes_voxels_beside_it_also_through_a_link(tmp_path, voxels):
    """As git-annex and DataLad lay files: under their names are links into a store."""
    (tmp_path / "annex").write_bytes(voxels.astype("<i2").tobytes(order="F"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "voxels.raw").symlink_to(tmp_path / "annex")
    sizes = " ".join(map(str, voxels.shape))
    head = f"NRRD0004\ntype: int16\ndimension: 3\nsizes: {sizes}\nencoding: raw\nendian: little\n"
    for name in ("voxels.raw", "./voxels.raw"):
        path = tmp_path / "in" / "scan.nhdr"
        path.write_text(f"{head}data file: {name}\n")
        volume = open_volume(path, VolumeSettings(spacing_mm=(1.0, 1.0, 1.0)), tmp_path)
        np.testing.assert_array_equal(values(volume), voxels.astype("<i2").T)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_volume_of_several_is_chosen(tmp_path, voxels, kind):
    series = np.stack([voxels + 10 * t for t in range(4)], axis=-1)
    nib.save(kind(series, np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match=r"4 time points.*volume\.time_point"):
        open_volume(tmp_path / "scan.nii.gz", DEFAULT, tmp_path)
    chosen = VolumeSettings(time_point=2)
    volume = open_volume(tmp_path / "scan.nii.gz", chosen, tmp_path)
    expected = nib.as_closest_canonical(nib.load(tmp_path / "scan.nii.gz")).dataobj[..., 2]
    np.testing.assert_array_equal(values(volume), expected[::-1, ::-1].transpose(2, 1, 0))
    with pytest.raises(InputError, match="not number 4"):
        open_volume(tmp_path / "scan.nii.gz", VolumeSettings(time_point=4), tmp_path)


def test_big_endian_scaled_nifti(tmp_path, voxels):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    image = nib.Nifti1Image(voxels, np.diag([-1, -1, 1, 1]), header)
    image.header.set_slope_inter(0.5, 3.0)
    nib.save(image, tmp_path / "scan.nii")
    expected = nib.load(tmp_path / "scan.nii").get_fdata().transpose(2, 1, 0)
    found = values(open_volume(tmp_path / "scan.nii", DEFAULT, tmp_path))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_no_more_is_inflated_than_the_header_promises(tmp_path, voxels):
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "scan.nii")
    whole = (tmp_path / "scan.nii").read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(whole + bytes(50 << 20)))
    open_nifti(tmp_path / "bomb.nii.gz", DEFAULT, tmp_path / "staging")
    (staged,) = (tmp_path / "staging").iterdir()
    assert staged.stat().st_size == len(whole)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_pair_of_header_and_voxels_is_read_by_its_header(tmp_path, voxels, kind, suffix):
    image = kind(voxels, np.diag([2.0, 3.0, 4.0, 1.0]))
    nib.save(image, tmp_path / f"scan.hdr{suffix}")
    volume = open_volume(tmp_path / f"scan.hdr{suffix}", DEFAULT, tmp_path / "staging")
    expected = nib.as_closest_canonical(image).get_fdata()
    np.testing.assert_array_equal(values(volume), expected[::-1, ::-1].transpose(2, 1, 0))
    assert [path.name for path in volume.files] == [f"scan.hdr{suffix}", f"scan.img{suffix}"]


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (0, 2), (0, 0)])
def test_what_placed_a_nifti_is_told(tmp_path, voxels, sform, qform):
    image = nib.Nifti1Image(voxels, np.diag([-2.0, -3.0, 4.0, 1.0]))
    image.set_sform(np.diag([-2.0, -3.0, 4.0, 1.0]) + np.eye(4, k=3), sform)
    image.set_qform(np.diag([-2.0, -3.0, 4.0, 1.0]), qform)
    nib.save(image, tmp_path / "scan.nii")
    volume = open_volume(tmp_path / "scan.nii", DEFAULT, tmp_path)
    word = "sform" if sform else "qform" if qform else "spacing alone"
    assert f"placed by its {word}" in volume.geometry.steps[0]


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1.0), ("micron", 1e-3), ("\\u00B5m", 1e-3)])
def test_spacing_that_fiji_wrote_is_taken(tmp_path, unit, mm):
    pages = np.random.default_rng(3).integers(0, 255, (4, 9, 7)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "scan.tif",
        pages,
        imagej=True,
        resolution=(1 / 0.5, 1 / 0.25),
        metadata={"spacing": 3.0, "unit": unit, "axes": "ZYX"},
    )
    volume = open_volume(tmp_path / "scan.tif", DEFAULT, tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx((3 * mm, 0.25 * mm, 0.5 * mm))
    np.testing.assert_array_equal(values(volume), pages)
    said = open_volume(tmp_path / "scan.tif", VolumeSettings(spacing_mm=(1.0, 1.0, 1.0)), tmp_path)
    assert said.geometry.spacing_mm == (1.0, 1.0, 1.0)


def test_pages_that_count_from_white_are_turned(tmp_path):
    pages = np.random.default_rng(3).integers(0, 255, (4, 9, 7)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", pages, photometric="miniswhite")
    volume = open_volume(
        tmp_path / "scan.tif", VolumeSettings(spacing_mm=(1.0, 1.0, 1.0)), tmp_path
    )
    np.testing.assert_array_equal(values(volume), 255 - pages.astype(float))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pages_of_a_tiff_are_slices(tmp_path, dtype):
    pages = np.random.default_rng(3).integers(0, 255, (4, 9, 7)).astype(dtype)
    tifffile.imwrite(tmp_path / "scan.tif", pages, photometric="minisblack", compression="zlib")
    with pytest.raises(InputError, match=r"4 slices.*volume\.spacing_mm"):
        open_volume(tmp_path / "scan.tif", DEFAULT, tmp_path)
    volume = open_volume(
        tmp_path / "scan.tif", VolumeSettings(spacing_mm=(2.0, 1.0, 1.0)), tmp_path
    )
    np.testing.assert_array_equal(values(volume), pages)


def write_ome_zarr(path, array, axes, scale, translation, version):
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]
    for level in range(2):
        group.create_array(str(level), data=array[..., :: 1 + level, :: 1 + level])
    image = {
        "axes": axes,
        "datasets": [{"path": str(n), "coordinateTransformations": steps} for n in range(2)],
    }
    if version == "0.5":
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    else:
        group.attrs["multiscales"] = [image]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_channel_of_an_ome_zarr_level_is_read_in_millimetres(tmp_path, voxels, version):
    axes = [
        {"name": "t", "type": "time"},
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
    ]
    array = np.stack([voxels, voxels + 1])[None]
    path = tmp_path / "scan.ome.zarr"
    write_ome_zarr(path, array, axes, [1, 1, 2000, 700, 800], [0, 0, 5000, 6000, 7000], version)
    with pytest.raises(InputError, match=r"2 channels.*volume\.channel"):
        open_volume(path, DEFAULT, tmp_path)
    volume = open_volume(path, VolumeSettings(channel=1), tmp_path)
    np.testing.assert_array_equal(values(volume), voxels + 1)
    assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.7, 0.8))
    np.testing.assert_allclose(place_in_lps(volume, 0, 0, 0), [7, 6, 5], atol=1e-4)
    coarse = open_volume(path, VolumeSettings(channel=1, level=1), tmp_path)
    assert coarse.geometry.shape == (5, 4, 3)
    with pytest.raises(InputError, match="2 levels"):
        open_volume(path, VolumeSettings(channel=1, level=2), tmp_path)
