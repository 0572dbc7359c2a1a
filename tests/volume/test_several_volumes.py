"""Channels and time points: every reader asks for them, in the same words and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
import tifffile
import zarr
from dicom_files import values_of
from volume.test_visible_human import genesis_file

from medcolor.errors import InputError
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings

TIMES, CHANNELS, SHAPE = 2, 3, (4, 6, 5)
SPACING = (1.0, 1.0, 1.0)
VOXELS = np.random.default_rng(3).integers(0, 250, (TIMES, CHANNELS, *SHAPE)).astype(np.uint8)
"""(time, channel, z, y, x), and no two volumes alike."""

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
Writer = Callable[[Path, np.ndarray], Path]


def nifti(kind: type) -> Writer:
    def write(folder: Path, voxels: np.ndarray) -> Path:
        stored = voxels.transpose(4, 3, 2, 0, 1)  # x, y, z, time, channel
        while stored.ndim > 3 and stored.shape[-1] == 1:
            stored = stored[..., 0]
        nib.save(kind(stored, LPS), folder / "scan.nii.gz")
        return folder / "scan.nii.gz"

    return write


def nrrd(vectors: str, volumes: str) -> Writer:
    """Interleave components as ITK does, and list volumes as Slicer does."""

    def write(folder: Path, voxels: np.ndarray) -> Path:
        times, channels, depth, rows, cols = voxels.shape
        kinds = ["domain"] * 3
        where = ["(1,0,0)", "(0,1,0)", "(0,0,1)"]
        sizes = [cols, rows, depth]
        if channels > 1:
            kinds, where, sizes = [vectors, *kinds], ["none", *where], [channels, *sizes]
        if times > 1:
            kinds, where, sizes = [*kinds, volumes], [*where, "none"], [*sizes, times]
        lines = [
            "NRRD0005", "type: uint8", f"dimension: {len(sizes)}", "space: left-posterior-superior",
            f"sizes: {' '.join(map(str, sizes))}", f"space directions: {' '.join(where)}",
            f"kinds: {' '.join(kinds)}", "encoding: raw", "", "",
        ]  # fmt: skip
        stored = voxels.transpose(0, 2, 3, 4, 1)
        (folder / "scan.nrrd").write_bytes("\n".join(lines).encode() + stored.tobytes())
        return folder / "scan.nrrd"

    return write


def ome_zarr(version: str) -> Writer:
    def write(folder: Path, voxels: np.ndarray) -> Path:
        path, is_new = folder / "scan.ome.zarr", version == "0.5"
        group = zarr.open_group(str(path), mode="w", zarr_format=3 if is_new else 2)
        group.create_array("0", data=voxels)
        types = {"t": "time", "c": "channel"}
        axes = [{"name": name, "type": types.get(name, "space")} for name in "tczyx"]
        steps = [{"type": "scale", "scale": [1] * 5}]
        image = {
            "axes": axes,
            "datasets": [{"path": "0", "coordinateTransformations": steps}],
        }
        group.attrs.update(
            {"ome": {"multiscales": [image]}} if is_new else {"multiscales": [image]}
        )
        return path

    return write


def tiff(axes: str, **how: object) -> Writer:
    """Write axes in the order that they are named."""

    def write(folder: Path, voxels: np.ndarray) -> Path:
        stored = voxels.transpose(["TCZYX".index(axis) for axis in axes.replace("S", "C")])
        described = {"photometric": "minisblack", "metadata": {"axes": axes}, **how}
        if "S" in axes and voxels.shape[1] == 1:  # of one sample a pixel there is no axis
            stored = stored.squeeze(axes.index("S"))
            described = {"photometric": "minisblack", "metadata": {"axes": axes.replace("S", "")}}
        tifffile.imwrite(folder / "scan.tif", stored, **described)
        return folder / "scan.tif"

    return write


def slices(name: str, suffix: str) -> Writer:
    """Write a file a plane."""

    def write(folder: Path, voxels: np.ndarray) -> Path:
        for t, c, z in np.ndindex(*voxels.shape[:3]):
            plane = voxels[t, c, z]
            cv2.imwrite(str(folder / (name.format(t=t + 1, c=c, z=z + 8) + suffix)), plane)
        return folder

    return write


def tiff_files(**how: object) -> Writer:
    """Write a file a slice, channels as samples of its pixels."""

    def write(folder: Path, voxels: np.ndarray) -> Path:
        for z in range(voxels.shape[2]):
            plane = voxels[0, :, z]
            stored = plane if how["planarconfig"] == "separate" else plane.transpose(1, 2, 0)
            described = {"photometric": "minisblack", **how} if len(plane) > 1 else {}
            tifffile.imwrite(folder / f"{z}.tif", stored.squeeze(), **described)
        return folder

    return write


BOTH: dict[str, Writer] = {
    "NIfTI": nifti(nib.Nifti1Image),
    "NIfTI-2": nifti(nib.Nifti2Image),
    "NRRD": nrrd("vector", "list"),
    "NRRD, kinds of colours and time": nrrd("RGB-color", "time"),
    "NRRD, kinds unsaid": nrrd("???", "???"),
    "OME-Zarr 0.4": ome_zarr("0.4"),
    "OME-Zarr 0.5": ome_zarr("0.5"),
    "ImageJ": tiff("TZCYX", imagej=True),
    "ImageJ, one block": tiff("TZCYX", imagej=True, truncate=True),
    "OME-TIFF": tiff("TCZYX", ome=True),
    "OME-TIFF, other order": tiff("CZTYX", ome=True),
    "TIFF, axes named": tiff("CTZYX"),
    "TIFF, one block": tiff("CTZYX", truncate=True),
    "TIFF, samples": tiff("TZYXS", planarconfig="contig"),
    "TIFF, planar samples": tiff("TZSYX", planarconfig="separate"),
    "names as ImageJ has them": slices("scan_t{t:04}_z{z:04}_c{c:04}", ".png"),
    "names as Bio-Formats has them": slices("scan_Z{z}_C{c}_T{t}", ".tif"),
    "names as Micro-Manager has them": slices("img_channel00{c}_time0{t}_z{z:03}", ".png"),
}
CHANNEL_ALONE: dict[str, Writer] = {
    "TIFF files, samples": tiff_files(planarconfig="contig"),
    "TIFF files, planar samples": tiff_files(planarconfig="separate"),
}


def read(path: Path, staging: Path, **chosen: int) -> np.ndarray:
    return values_of(open_volume(path, VolumeSettings(spacing_mm=SPACING, **chosen), staging))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("name", BOTH)
def test_every_reader_asks_which_channel_and_which_time_point(name, folder, tmp_path):
    path, staging = BOTH[name](folder, VOXELS), tmp_path / "staging"
    for chosen, said in (
        ({}, r"3 channels\. Choose one of 0 to 2: --set volume\.channel=0"),
        ({"time_point": 1}, r"3 channels\. Choose"),
        ({"channel": 3}, "3 channels, not number 3. Choose one of 0 to 2"),
        ({"channel": 2}, r"2 time points\. Choose one of 0 to 1: --set volume\.time_point=0"),
        ({"channel": 2, "time_point": 2}, "2 time points, not number 2. Choose one of 0 to 1"),
    ):
        with pytest.raises(InputError, match=said):
            read(path, staging, **chosen)
    for time, channel in np.ndindex(TIMES, CHANNELS):
        found = read(path, staging, channel=channel, time_point=time)
        np.testing.assert_array_equal(found, VOXELS[time, channel])


@pytest.mark.parametrize("name", BOTH)
def test_every_reader_asks_for_time_points_of_one_channel(name, folder, tmp_path):
    path = BOTH[name](folder, VOXELS[:, :1])
    with pytest.raises(InputError, match="2 time points"):
        read(path, tmp_path / "staging")
    np.testing.assert_array_equal(read(path, tmp_path / "staging", time_point=1), VOXELS[1, 0])


@pytest.mark.parametrize("name", {**BOTH, **CHANNEL_ALONE})
def test_every_reader_asks_for_channels_of_one_time_point(name, folder, tmp_path):
    path = {**BOTH, **CHANNEL_ALONE}[name](folder, VOXELS[:1])
    with pytest.raises(InputError, match="3 channels"):
        read(path, tmp_path / "staging")
    with pytest.raises(InputError, match=r"1 time point, not number 1\. Leave volume\.time_point"):
        read(path, tmp_path / "staging", channel=1, time_point=1)
    np.testing.assert_array_equal(read(path, tmp_path / "staging", channel=1), VOXELS[0, 1])


def genesis(folder: Path, voxels: np.ndarray) -> Path:
    for z, plane in enumerate(voxels[0, 0]):
        content = genesis_file(plane.astype(np.int16), 100.0 + z)
        (folder / f"c_vm{1000 + z}.t1").write_bytes(content)
    return folder


@pytest.mark.parametrize("name", [*BOTH, *CHANNEL_ALONE, "Genesis", "numbered"])
def test_no_reader_takes_a_choice_where_there_is_none(name, folder, tmp_path):
    writers = {**BOTH, **CHANNEL_ALONE, "Genesis": genesis, "numbered": slices("{z}", ".png")}
    path = writers[name](folder, VOXELS[:1, :1])
    for key, what in (("channel", "channel"), ("time_point", "time point")):
        with pytest.raises(InputError, match=f"1 {what}, not number 1. Leave volume.{key} unset"):
            read(path, tmp_path / "staging", **{key: 1})
    if name != "Genesis":  # whose slices have places
        found = read(path, tmp_path / "staging", channel=0, time_point=0)
        np.testing.assert_array_equal(found, VOXELS[0, 0])


@pytest.mark.parametrize(
    "name", ["c{z:03}", "ct{z}", "T1_{z}", "patient-c3_{z}", "t{z}_1", "abct{z}c", "z{z}t"]
)
def test_letters_in_names_of_one_stack_are_no_channels(name, folder, tmp_path):
    path = slices(name, ".png")(folder, VOXELS[:1, :1])
    np.testing.assert_array_equal(read(path, tmp_path), VOXELS[0, 0])


@pytest.mark.parametrize(
    ("axes", "how", "problem"),
    [
        ("TYX", {"imagej": True}, r"axes TYX of 2 x 6 x 5, expected slices"),
        ("CYX", {"ome": True}, r"axes CYX of 3 x 6 x 5, expected slices"),
        ("TCYX", {"imagej": True}, r"axes TCYX of 2 x 3 x 6 x 5, expected slices"),
        ("CZYX", {"metadata": None}, None),
    ],
)
def test_planes_that_are_no_slices_are_refused(axes, how, problem, folder, tmp_path):
    """Of a file that says nothing of its pages nothing is known: they are slices."""
    voxels = VOXELS[tuple(slice(None) if axis in axes else slice(1) for axis in "TCZYX")]
    stored = voxels.squeeze()
    described = {"photometric": "minisblack", "metadata": {"axes": axes}, **how}
    tifffile.imwrite(folder / "scan.tif", stored, **described)
    if problem is None:
        assert len(read(folder / "scan.tif", tmp_path)) == CHANNELS * SHAPE[0]
        return
    with pytest.raises(InputError, match=problem):
        read(folder / "scan.tif", tmp_path)


def test_two_axes_without_names_are_refused(folder, tmp_path):
    """As tifffile writes an array of four axes by default."""
    tifffile.imwrite(folder / "scan.tif", VOXELS[0], photometric="minisblack")
    with pytest.raises(InputError, match="axes QQYX of 3 x 4 x 6 x 5"):
        read(folder / "scan.tif", tmp_path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("is_series", [False, True])
def test_a_volumetric_page_is_its_slices(folder, tmp_path, compression, byteorder, is_series):
    """SGI's ImageDepth: one page holds a volume, in tiles of three sides."""
    stored = np.random.default_rng(1).integers(0, 60000, (2, 16, 32, 48), np.uint16)
    tifffile.imwrite(
        folder / "scan.tif",
        stored if is_series else stored[0],
        volumetric=True,
        tile=(16, 16, 16),
        compression=compression,
        byteorder=byteorder,
        photometric="minisblack",
        metadata={"axes": "TZYX" if is_series else "ZYX"},
    )
    staging = tmp_path / "staging"
    if is_series:
        with pytest.raises(InputError, match="2 time points"):
            read(folder / "scan.tif", staging)
    time = {"time_point": 1} if is_series else {}
    found = read(folder / "scan.tif", staging, **time)
    np.testing.assert_array_equal(found, stored[int(is_series)])


def test_one_of_several_images_in_a_file_is_chosen(folder, tmp_path):
    path = folder / "scan.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(VOXELS[0, 0], photometric="minisblack", metadata={"axes": "ZYX"})
        writer.write(VOXELS[1, 1, :, :4], photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(
        InputError, match=r"2 images \(0: 4 x 6 x 5, 1: 4 x 4 x 5\).*volume.series=0"
    ):
        read(path, tmp_path)
    np.testing.assert_array_equal(read(path, tmp_path, series=0), VOXELS[0, 0])
    np.testing.assert_array_equal(read(path, tmp_path, series=1), VOXELS[1, 1, :, :4])


@pytest.mark.parametrize("is_alpha", [True, False])
def test_a_second_sample_is_alpha_only_if_it_says_so(folder, tmp_path, is_alpha):
    stored = VOXELS[0, :2].transpose(1, 2, 3, 0)
    extra = ["unassalpha"] if is_alpha else None
    tifffile.imwrite(
        folder / "scan.tif", stored, photometric="minisblack", planarconfig="contig",
        extrasamples=extra, metadata=None,
    )  # fmt: skip
    if is_alpha:
        np.testing.assert_array_equal(read(folder / "scan.tif", tmp_path), VOXELS[0, 0])
        return
    with pytest.raises(InputError, match="2 channels"):
        read(folder / "scan.tif", tmp_path)
    np.testing.assert_array_equal(read(folder / "scan.tif", tmp_path, channel=1), VOXELS[0, 1])


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (("sizes: 2 3 5 6 4", "kinds: vector list list space space"), "kinds vector list list"),
        (("sizes: 2 5 6 4", "kinds: space space space space"), "expected 3 of space"),
        (("sizes: 2 5 6 4",), r"axes of kinds \? \? \? \?, expected 3 of space"),
        (("sizes: 2 5 6 4", "kinds: list space"), "2 kinds, expected 4"),
        (("sizes: 2 5 6 4", "kinds: list wurst space space"), "list wurst space space"),
    ],
)
def test_an_nrrd_whose_axes_are_not_known_is_refused(folder, tmp_path, lines, problem):
    dimension = len(lines[0].split()) - 1
    head = ["NRRD0005", "type: uint8", f"dimension: {dimension}", "encoding: raw", *lines, "", ""]
    (folder / "scan.nrrd").write_bytes("\n".join(head).encode() + bytes(9999))
    with pytest.raises(InputError, match=problem):
        read(folder / "scan.nrrd", tmp_path)


def test_an_nrrd_in_space_and_time_is_asked_for_its_time(folder, tmp_path):
    head = (
        "NRRD0005\ntype: uint8\ndimension: 4\nspace: left-posterior-superior-time\n"
        "sizes: 5 6 4 2\nspace directions: (2,0,0,0) (0,3,0,0) (0,0,4,0) (0,0,0,1)\n"
        "space origin: (1,2,3,0)\nencoding: raw\n\n"
    )
    path = folder / "scan.nrrd"
    path.write_bytes(head.encode() + VOXELS[:, 0].tobytes())
    with pytest.raises(InputError, match="2 time points"):
        read(path, tmp_path)
    volume = open_volume(path, VolumeSettings(time_point=1), tmp_path)
    np.testing.assert_array_equal(values_of(volume), VOXELS[1, 0])
    assert volume.geometry.spacing_mm == (4, 3, 2)
    np.testing.assert_allclose(np.array(volume.geometry.affine)[:3, 3], [-1, -2, 3])


def test_axes_of_a_nifti_beyond_the_fifth_are_refused(folder, tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((5, 6, 4, 1, 1, 2), np.uint8), LPS), folder / "scan.nii")
    with pytest.raises(InputError, match="at most 5 are read"):
        read(folder / "scan.nii", tmp_path)


@pytest.mark.parametrize("name", ["angle", "p"])
def test_an_axis_of_an_ome_zarr_that_is_neither_is_refused(folder, tmp_path, name):
    path = ome_zarr("0.4")(folder, VOXELS)
    group = zarr.open_group(str(path), mode="r+")
    image = dict(group.attrs)["multiscales"][0]
    image["axes"][0] = {"name": name, "type": name}
    group.attrs["multiscales"] = [image]
    with pytest.raises(InputError, match=f"an axis '{name}' of 2"):
        read(path, tmp_path, channel=0)
