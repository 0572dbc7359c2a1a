"""Files as data sets lay them: links into a store, folders below, layouts of converters, and what
was not fetched.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
import zarr
from dicom_files import values_of, write_dicom

from medcolor.errors import InputError
from medcolor.volume.files import version_of_input
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

STACK = np.random.default_rng(2).integers(0, 99, (4, 6, 5)).astype(np.uint8)
SPACED = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))
POINTER = b"/annex/objects/MD5E-s120--d41d8cd98f00b204e9800998ecf8427e.raw\n"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 120\n"


def nhdr(folder: Path, data_file: str) -> Path:
    head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 5 6 4\nencoding: raw\nspacings: 1 1 1\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scan.nhdr").write_text(f"{head}data file: {data_file}\n")
    return folder / "scan.nhdr"


def annexed(path: Path, dataset: Path, content: bytes | None) -> None:
    """Lay a file as git-annex does: a relative link into a store; without content to nothing."""
    store = dataset / ".git" / "annex" / "objects" / "Xq" / "0k" / f"MD5E-{path.name}"
    if content is not None:
        store.mkdir(parents=True)
        (store / store.name).write_bytes(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(store / store.name, path.parent))


@pytest.mark.parametrize("name", ["scan.raw", "./scan.raw", "././scan.raw", "bids/anat/./scan.raw"])
def test_voxels_are_found_beside_a_header_and_below_it(tmp_path, name):
    path = nhdr(tmp_path / "in", name)
    (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
    (path.parent / name).write_bytes(STACK.tobytes())
    np.testing.assert_array_equal(values_of(open_volume(path, SPACED, tmp_path)), STACK)


@pytest.mark.parametrize("is_header_annexed", [False, True])
def test_voxels_in_the_store_of_a_data_set_are_read(tmp_path, is_header_annexed):
    dataset = tmp_path / "data set"
    path = nhdr(dataset / "sub-01" / "anat", "./scan.raw")
    annexed(path.with_name("scan.raw"), dataset, STACK.tobytes())
    if is_header_annexed:
        head = path.read_bytes()
        path.unlink()
        annexed(path, dataset, head)
    np.testing.assert_array_equal(values_of(open_volume(path, SPACED, tmp_path)), STACK)


@pytest.mark.parametrize(
    "name", ["../scan.raw", "a/../../scan.raw", "{root}/scan.raw", "link/scan.raw"]
)
def test_a_header_leads_to_no_voxels_outside_of_its_folder(tmp_path, name):
    path = nhdr(tmp_path / "in", name.format(root=tmp_path))
    (tmp_path / "scan.raw").write_bytes(STACK.tobytes())
    (path.parent / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"no path below it|leads out of the folder"):
        open_volume(path, SPACED, tmp_path / "staging")


def test_voxels_below_a_header_are_part_of_its_version(tmp_path):
    path = nhdr(tmp_path, "./a/scan.raw")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "scan.raw").write_bytes(STACK.tobytes())
    before = version_of_input(path)
    os.utime(tmp_path / "a" / "scan.raw", (1, 1))
    assert version_of_input(path) != before


def scan_file(folder: Path) -> tuple[Path, Path]:
    nib.save(nib.Nifti1Image(STACK, np.eye(4)), folder / "scan.nii.gz")
    return folder / "scan.nii.gz", folder / "scan.nii.gz"


def detached(folder: Path) -> tuple[Path, Path]:
    (folder / "scan.raw").write_bytes(STACK.tobytes())
    return nhdr(folder, "scan.raw"), folder / "scan.raw"


def pair(folder: Path) -> tuple[Path, Path]:
    nib.save(nib.Nifti1Pair(STACK, np.eye(4)), folder / "scan.hdr")
    return folder / "scan.hdr", folder / "scan.img"


def images(folder: Path) -> tuple[Path, Path]:
    for z, plane in enumerate(STACK):
        cv2.imwrite(str(folder / f"{z}.png"), plane)
    return folder, folder / "2.png"


def dicom(folder: Path) -> tuple[Path, Path]:
    (folder / "below").mkdir()
    for z, plane in enumerate(STACK):
        write_dicom(folder / "below" / f"{z}.dcm", float(z), plane.astype(np.uint16))
    return folder, folder / "below" / "2.dcm"


def ome_zarr(folder: Path) -> tuple[Path, Path]:
    write_image(folder / "scan.zarr", STACK)
    return folder / "scan.zarr", folder / "scan.zarr" / "0" / "2.0.0"


def write_image(path: Path, stack: np.ndarray, **changes: object) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=stack, chunks=(1, *stack.shape[1:]))
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [4, 3, 2]}]
    dataset = {"path": "0", "coordinateTransformations": steps}
    image = {"version": "0.4", "axes": axes, "datasets": [dataset], **changes}
    group.attrs["multiscales"] = [{key: one for key, one in image.items() if one is not None}]
    return path


INPUTS = {
    "file": scan_file, "NRRD": detached, "pair": pair, "images": images, "DICOM": dicom,
    "OME-Zarr": ome_zarr,
}  # fmt: skip


@pytest.mark.parametrize("stands", ["link", "pointer", "Git LFS"])
@pytest.mark.parametrize("kind", INPUTS)
def test_what_was_not_fetched_is_named_and_never_left_out(tmp_path, kind, stands):
    """An absent slice would be left out, and an absent chunk read as zeros."""
    (tmp_path / "in").mkdir()
    path, part = INPUTS[kind](tmp_path / "in")
    open_volume(path, SPACED, tmp_path / "staging")
    part.unlink()
    if stands == "link":
        part.symlink_to(tmp_path / "annex" / "absent")
    else:
        part.write_bytes(POINTER if stands == "pointer" else LFS)
    with pytest.raises(InputError, match=r"not here.*git annex get") as caught:
        open_volume(path, SPACED, tmp_path / "staging")
    assert part.name in str(caught.value)


def test_hidden_links_to_nothing_do_not_matter(tmp_path):
    """As editors lay them for locks."""
    images(tmp_path)
    (tmp_path / ".#notes").symlink_to("user@host.1234")
    assert len(values_of(open_volume(tmp_path, SPACED, tmp_path / "staging"))) == len(STACK)


def bioformats2raw(path: Path, *stacks: np.ndarray, is_listed: bool = True) -> Path:
    """Lay images as https://github.com/glencoesoftware/bioformats2raw does, format 3."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    if is_listed:
        names = [str(number) for number in range(len(stacks))]
        group.create_group("OME").attrs["series"] = names
    for number, stack in enumerate(stacks):
        write_image(path / str(number), stack)
    return path


@pytest.mark.parametrize("is_listed", [True, False])
def test_the_image_that_bioformats2raw_wrote_is_read(tmp_path, is_listed):
    path = bioformats2raw(tmp_path / "scan.zarr", STACK, is_listed=is_listed)
    volume = open_volume(path, VolumeSettings(), tmp_path)
    np.testing.assert_array_equal(values_of(volume), STACK)
    assert volume.geometry.spacing_mm == (4, 3, 2)


@pytest.mark.parametrize("is_listed", [True, False])
def test_one_of_several_images_of_bioformats2raw_is_chosen(tmp_path, is_listed):
    path = bioformats2raw(tmp_path / "scan.zarr", STACK, STACK[:3] + 1, is_listed=is_listed)
    for settings in (VolumeSettings(), VolumeSettings(series=2)):
        with pytest.raises(InputError, match=r"2 images \(0, 1\).*--set volume\.series=0"):
            open_volume(path, settings, tmp_path)
    for series in (1, "1"):
        volume = open_volume(path, VolumeSettings(series=series), tmp_path)
        np.testing.assert_array_equal(values_of(volume), STACK[:3] + 1)
        assert {file.relative_to(path).parts[0] for file in volume.files} == {"1"}


def test_one_of_several_images_of_a_group_is_chosen(tmp_path):
    path = write_image(tmp_path / "scan.zarr", STACK)
    group = zarr.open_group(str(path), mode="r+")
    group.create_array("other", data=STACK + 1)
    (image,) = dict(group.attrs)["multiscales"]
    other = {**image, "datasets": [{**image["datasets"][0], "path": "other"}]}
    group.attrs["multiscales"] = [image, other]
    with pytest.raises(InputError, match=r"2 images.*volume\.series=0"):
        open_volume(path, VolumeSettings(), tmp_path)
    found = values_of(open_volume(path, VolumeSettings(series=1), tmp_path))
    np.testing.assert_array_equal(found, STACK + 1)


@pytest.mark.parametrize("axes", [None, ["t", "c", "z", "y", "x"]], ids=["0.2", "0.3"])
def test_older_versions_say_no_scale_and_are_asked_for_it(tmp_path, axes):
    datasets = [{"path": "0"}]
    path = tmp_path / "scan.zarr"
    write_image(path, STACK, version="0.3", axes=axes, datasets=datasets)
    shutil.rmtree(path / "0")
    zarr.open_group(str(path), mode="r+").create_array("0", data=STACK[None, None])
    with pytest.raises(InputError, match=r"no scale.*volume\.spacing_mm"):
        open_volume(path, VolumeSettings(), tmp_path)
    volume = open_volume(path, VolumeSettings(spacing_mm=(3.0, 2.0, 1.0)), tmp_path)
    np.testing.assert_array_equal(values_of(volume), STACK)
    assert volume.geometry.spacing_mm == (3, 2, 1)


def plate(path: Path) -> Path:
    zarr.open_group(str(path), mode="w", zarr_format=2).attrs["plate"] = {"wells": []}
    return path


def bare_array(path: Path, version: int) -> Path:
    zarr.create_array(str(path), data=STACK, zarr_format=version)
    return path


def no_array(path: Path) -> Path:
    shutil.rmtree(write_image(path, STACK) / "0")
    return path


def empty_layout(path: Path) -> Path:
    return bioformats2raw(path, is_listed=False)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (plate, "a plate of several wells"),
        (lambda path: bare_array(path, 2), "a Zarr array without the metadata of an image"),
        (lambda path: bare_array(path, 3), "a Zarr array without the metadata of an image"),
        (no_array, "no array '0' of this level"),
        (empty_layout, "a layout of bioformats2raw without images"),
        (
            lambda path: write_image(path, STACK, axes=[{"name": "x"}] * 3),
            r"axes \['x', 'x', 'x'\]",
        ),
        (lambda path: write_image(path, STACK, datasets=[]), "0 levels"),
    ],
)
def test_what_an_ome_zarr_lacks_is_named(tmp_path, make, problem):
    with pytest.raises(InputError, match=problem):
        open_volume(make(tmp_path / "scan.zarr"), VolumeSettings(), tmp_path)


@pytest.mark.parametrize("name", ["../other", "/etc", "..", "a/b"])
def test_a_layout_leads_to_no_other_folder(tmp_path, name):
    path = bioformats2raw(tmp_path / "scan.zarr", STACK)
    write_image(tmp_path / "other", STACK)
    zarr.open_group(str(path), mode="r+")["OME"].attrs["series"] = [name]
    with pytest.raises(InputError, match=r"no path below it|no image 'a/b' in it"):
        open_volume(path, VolumeSettings(), tmp_path)
