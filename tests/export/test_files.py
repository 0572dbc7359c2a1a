"""Exported files, read again by the libraries of the programs that open them."""

import json

import command
import cv2
import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

import medcolor
from medcolor.errors import InputError
from medcolor.export.options import ExportOptions
from medcolor.export.write import export
from medcolor.progress import Silent
from medcolor.volume.store import read_affine, read_slices

RGB = ExportOptions(rgb=True)


def voxels(volume, level):
    return read_slices(volume, level, range(100))


def assert_placed(image, volume, level):
    """Hold what SimpleITK makes of a file to where the volume says it lies."""
    for index in ((0, 0, 0), (3, 2, 5), (6, 5, 1)):
        ras = np.array(read_affine(volume, level)) @ [*index, 1]
        lps = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(np.array(lps) * [-1, -1, 1], ras[:3], atol=1e-4)


def test_a_coarse_voxel_lies_in_the_middle_of_its_voxels(volume):
    fine, coarse = (np.array(read_affine(volume, level)) for level in (0, 1))
    np.testing.assert_allclose(coarse @ [2, 3, 5, 1], fine @ [4.5, 6.5, 5, 1], atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti(volume, tmp_path, suffix, level):
    path = export(volume, tmp_path / f"scan{suffix}", Silent(), level=level)
    image = nib.load(path)
    assert image.header["datatype"] == 2304
    stored = np.asarray(image.dataobj)
    found = np.stack([stored[channel] for channel in "RGBA"], axis=-1)
    np.testing.assert_array_equal(found.transpose(2, 1, 0, 3), voxels(volume, level))
    np.testing.assert_allclose(image.affine, read_affine(volume, level), atol=1e-4)
    np.testing.assert_allclose(image.header.get_qform(), image.affine, atol=1e-4)


def test_nrrd(volume, tmp_path, level):
    path = export(volume, tmp_path / "scan.nrrd", Silent(), level=level)
    data, header = nrrd.read(str(path))
    np.testing.assert_array_equal(data.transpose(3, 2, 1, 0), voxels(volume, level))
    assert header["kinds"] == ["RGBA-color", "domain", "domain", "domain"]
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), voxels(volume, level))
    assert_placed(image, volume, level)


def test_tiff(volume, tmp_path, level):
    path = export(volume, tmp_path / "scan.tif", Silent(), level=level)
    np.testing.assert_array_equal(tifffile.imread(path), voxels(volume, level))
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        assert file.shaped_metadata[0]["spacing"] == pytest.approx(2.0)


def test_a_folder_of_png(volume, tmp_path, level):
    folder = export(volume, tmp_path / "slices", Silent(), level=level)
    files = sorted(folder.glob("*.png"))
    found = np.stack([cv2.imread(str(f), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]] for f in files])
    np.testing.assert_array_equal(found, voxels(volume, level))
    about = json.loads((folder / "geometry.json").read_text())
    np.testing.assert_allclose(about["affine_ras_mm"], read_affine(volume, level))


def test_what_is_there_stays_unless_forced_and_a_failure_leaves_nothing(
    volume, tmp_path, monkeypatch
):
    path = tmp_path / "scan.nii"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match=r"exists.*--force"):
        export(volume, path, Silent())
    monkeypatch.setattr(
        "medcolor.export.write.read_slices", lambda *_: (_ for _ in ()).throw(OSError("disk"))
    )
    with pytest.raises(OSError, match="disk"):
        export(volume, path, Silent(), force=True)
    assert path.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.nii", "scan.ome.zarr"]
    monkeypatch.undo()
    export(volume, path, Silent(), force=True)
    assert nib.load(path).shape == (15, 13, 10)


@pytest.mark.parametrize(
    ("name", "level", "problem"),
    [("scan.xyz", 0, "not a kind of file that is written"), ("scan.nii", 9, "levels")],
)
def test_what_cannot_be_written_is_refused(volume, tmp_path, name, level, problem):
    with pytest.raises(InputError, match=problem):
        export(volume, tmp_path / name, Silent(), level=level)


def test_an_unfinished_volume_is_refused(volume, tmp_path):
    run = tmp_path / "scan.ome.zarr.run"
    run.mkdir()
    (run / "plan.json").write_text("{}")
    with pytest.raises(InputError, match="not come to its end"):
        medcolor.export_volume(volume, tmp_path / "scan.nii")
    (run / "run.json").write_text('{"complete": true}')
    assert medcolor.export_volume(volume, tmp_path / "scan.nii").is_file()


def test_force_replaces_an_earlier_export_and_nothing_else(volume, tmp_path):
    folder = tmp_path / "slices"
    for force in (False, True):
        export(volume, folder, Silent(), force=force)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("mine")
    (folder / "precious.txt").write_text("mine")
    (tmp_path / "link").symlink_to(folder)
    for target in ("mine", "slices", "link", "scan.ome.zarr", "scan.ome.zarr/in", "."):
        with pytest.raises(InputError, match=r"no earlier export|is the volume, holds it"):
            export(volume, tmp_path / target, Silent(), force=True)
    assert (tmp_path / "mine" / "precious.txt").read_text() == "mine"
    assert (folder / "precious.txt").read_text() == "mine"
    assert voxels(volume, 0).any()


def test_files_are_not_exported_into_buckets(volume):
    with pytest.raises(InputError, match="local places"):
        medcolor.export_volume(volume, "s3://bucket/scan.nrrd")


def test_a_command_line_writes_what_its_options_say(volume, tmp_path):
    done = command.medcolor("export", volume, tmp_path / "series", "--as", "dicom", "--level", 1)
    assert done.returncode == 0, done.stderr
    assert len([*(tmp_path / "series").glob("*.dcm")]) == len(voxels(volume, 1))
    wrong = command.medcolor("export", volume, tmp_path / "else", "--as", "jpeg")
    assert wrong.returncode == 2
    assert "--as jpeg: not a kind of slices that is written. Give png, dicom." in wrong.stderr


def test_rgb24_nifti_holds_the_colours_alone(volume, tmp_path, level):
    path = export(volume, tmp_path / "scan.nii.gz", Silent(), RGB, level=level)
    image = nib.load(path)
    assert image.header["datatype"] == 128
    stored = np.asarray(image.dataobj)
    found = np.stack([stored[channel] for channel in "RGB"], axis=-1)
    expected = voxels(volume, level)[..., :3]
    np.testing.assert_array_equal(found.transpose(2, 1, 0, 3), expected)
    by_itk = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk), expected)
    assert_placed(by_itk, volume, level)


def test_rgb_nrrd_is_opaque(volume, tmp_path, level):
    path = export(volume, tmp_path / "scan.nrrd", Silent(), RGB, level=level)
    data, header = nrrd.read(str(path))
    expected = voxels(volume, level)[..., :3]
    np.testing.assert_array_equal(data.transpose(3, 2, 1, 0), expected)
    assert header["kinds"] == ["RGB-color", "domain", "domain", "domain"]
    by_itk = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk), expected)
    assert_placed(by_itk, volume, level)


def test_rgb_tiff_and_png_have_no_alpha(volume, tmp_path):
    expected = voxels(volume, 0)[..., :3]
    pages = tifffile.imread(export(volume, tmp_path / "scan.tif", Silent(), RGB))
    np.testing.assert_array_equal(pages, expected)
    folder = export(volume, tmp_path / "slices", Silent(), RGB)
    files = sorted(folder.glob("*.png"))
    found = [cv2.imread(str(one), cv2.IMREAD_UNCHANGED)[..., ::-1] for one in files]
    np.testing.assert_array_equal(found, expected)
    assert json.loads((folder / "geometry.json").read_text())["alpha"] == "none"


def test_the_command_leaves_alpha_out_where_it_is_asked_to(volume, tmp_path):
    done = command.medcolor("export", volume, tmp_path / "scan.nii", "--rgb")
    assert done.returncode == 0, done.stderr
    assert nib.load(tmp_path / "scan.nii").header["datatype"] == 128
