"""Volumes of FreeSurfer, against nibabel, and NIfTI of the same place."""

from __future__ import annotations

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
from dicom_files import values_of

from medcolor.errors import InputError
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

DEFAULT = VolumeSettings()
VOXELS = np.random.default_rng(4).integers(0, 200, (7, 6, 5, 3))
TURNED = np.array([[-1.9, 0.3, 0.1, 12], [0.2, 0.4, 2.4, -20], [0.3, -2.9, 0.5, 31], [0, 0, 0, 1]])
"""Oblique, in the order of FreeSurfer's conformed volumes: LIA."""


def write(path, stored, affine=TURNED):
    nib.save(nib.MGHImage(stored, affine), path)
    return path


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.uint16])
def test_mgh_values_and_places_are_nibabels(tmp_path, suffix, dtype):
    path = write(tmp_path / f"scan{suffix}", VOXELS[..., 0].astype(dtype))
    volume = open_volume(path, DEFAULT, tmp_path / "staging")
    image = nib.load(path)
    to_stored = np.linalg.inv(image.affine)
    stored, found = np.asarray(image.dataobj), values_of(volume)
    affine = np.array(volume.geometry.affine)
    for z, y, x in np.ndindex(*volume.geometry.shape):
        index = to_stored @ affine @ [x, y, z, 1]
        np.testing.assert_allclose(index, np.round(index), atol=1e-3)
        assert found[z, y, x] == stored[tuple(np.round(index[:3]).astype(int))]
    assert nib.aff2axcodes(affine) == ("L", "P", "S")
    assert volume.is_placed
    assert volume.intensity.chunks[0] == (1,) * volume.geometry.shape[0]


def test_mgh_lies_where_the_same_nifti_lies(tmp_path):
    stored = VOXELS[..., 0].astype(np.int16)
    nib.save(nib.Nifti1Image(stored, TURNED), tmp_path / "scan.nii")
    by_nifti = open_volume(tmp_path / "scan.nii", DEFAULT, tmp_path)
    by_mgh = open_volume(write(tmp_path / "scan.mgz", stored), DEFAULT, tmp_path)
    np.testing.assert_allclose(by_mgh.geometry.affine, by_nifti.geometry.affine, atol=1e-4)
    np.testing.assert_array_equal(values_of(by_mgh), values_of(by_nifti))


def test_a_frame_of_several_is_chosen(tmp_path):
    path = write(tmp_path / "scan.mgz", VOXELS.astype(np.float32))
    for settings, problem in (
        (DEFAULT, r"3 time points\. Choose one of 0 to 2: --set volume\.time_point=0"),
        (VolumeSettings(time_point=3), "3 time points, not number 3"),
        (VolumeSettings(time_point=1, channel=1), "1 channel, not number 1"),
    ):
        with pytest.raises(InputError, match=problem):
            open_volume(path, settings, tmp_path)
    alone = write(tmp_path / "one.mgz", VOXELS[..., 2].astype(np.float32))
    found = values_of(open_volume(path, VolumeSettings(time_point=2), tmp_path))
    np.testing.assert_array_equal(found, values_of(open_volume(alone, DEFAULT, tmp_path)))


def test_a_volume_that_says_no_place_lies_as_freesurfer_has_it_and_is_not_trusted(tmp_path):
    """By MGHFormat: without goodRASFlag it is coronal, about the origin."""
    path = write(tmp_path / "scan.mgh", VOXELS[..., 0].astype(np.uint8))
    whole = bytearray(path.read_bytes())
    whole[28:90] = bytes(62)
    path.write_bytes(whole)
    volume = open_volume(path, DEFAULT, tmp_path)
    assert not volume.is_placed
    assert volume.geometry.spacing_mm == (1, 1, 1)
    # x to the left, y down, z forwards: so slices run against y, and rows against z.
    expected = VOXELS[..., 0].transpose(1, 2, 0)[::-1, ::-1]
    np.testing.assert_array_equal(values_of(volume), expected)
    center = np.array(volume.geometry.affine) @ [7 / 2, 5 / 2 - 1, 6 / 2 - 1, 1]
    np.testing.assert_allclose(center[:3], 0, atol=1e-6)


def test_the_users_unit_counts(tmp_path):
    path = write(tmp_path / "scan.mgh", VOXELS[..., 0].astype(np.uint8), np.diag([-2.0, -3, 4, 1]))
    volume = open_volume(path, VolumeSettings(length_unit="um"), tmp_path)
    assert volume.geometry.spacing_mm == pytest.approx((0.004, 0.003, 0.002))


def test_no_more_is_inflated_than_the_header_promises(tmp_path):
    write(tmp_path / "scan.mgh", VOXELS[..., 0].astype(np.uint8))
    whole = (tmp_path / "scan.mgh").read_bytes()[: 284 + 7 * 6 * 5]
    (tmp_path / "bomb.mgz").write_bytes(gzip.compress(whole + bytes(50 << 20)))
    open_volume(tmp_path / "bomb.mgz", DEFAULT, tmp_path / "staging")
    (staged,) = (tmp_path / "staging").iterdir()
    assert staged.stat().st_size == len(whole)


@pytest.mark.parametrize(
    ("at", "content", "problem"),
    [
        (4, struct.pack(">3i", 30000, 30000, 30000), "a slice may have"),
        (4, struct.pack(">i", 700), "truncated"),
        (4, struct.pack(">i", -7), "not a kind of file"),
        (4, struct.pack(">i", 0), "not a kind of file"),
        (20, struct.pack(">i", 2), "not a kind of file"),
        (0, struct.pack(">i", 2), "not a kind of file"),
        (30, struct.pack(">f", float("nan")), "no place in space"),
        (30, struct.pack(">f", 0), "no place in space"),
        (42, bytes(36), "no place in space"),
    ],
)
def test_what_an_mgh_cannot_be_is_refused(tmp_path, at, content, problem):
    path = write(tmp_path / "scan.mgh", VOXELS[..., 0].astype(np.uint8))
    whole = bytearray(path.read_bytes())
    whole[at : at + len(content)] = content
    path.write_bytes(whole)
    with pytest.raises(InputError, match=problem):
        open_volume(path, DEFAULT, tmp_path / "staging")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_mgz_that_is_cut_is_refused(tmp_path, share):
    path = write(tmp_path / "scan.mgz", VOXELS[..., 0].astype(np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"damaged gzip|truncated"):
        open_volume(path, DEFAULT, tmp_path / "staging")
