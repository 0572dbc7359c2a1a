"""Properties of the binary readers, on files that Hypothesis makes up and damages.

Whatever is written is read again as the format's own library reads it, and whatever is damaged
is read or refused in one line.
"""

from __future__ import annotations

import gzip
import json
import struct
import tempfile
from pathlib import Path

import ncompress
import nibabel as nib
import nrrd
import numpy as np
import pytest
import tifffile
import zarr
from dicom_files import write_dicom, write_multiframe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from volume.test_visible_human import genesis_file

from medcolor.errors import InputError
from medcolor.volume.lzw import read_inflated
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

SETTINGS = VolumeSettings(
    spacing_mm=(1.0, 1.0, 1.0), uneven="resample", time_point=0, nonfinite_value=0.0
)
examples = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
damaged = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

sides = st.tuples(*(st.integers(2, 6) for _ in range(3)))
types = st.sampled_from(["u1", "<i2", ">i2", "<u2", ">i4", "<f4", ">f8"])
arrays = st.tuples(sides, types).flatmap(
    lambda chosen: hnp.arrays(chosen[1], chosen[0], elements=st.integers(0, 99))
)


def read_whole(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return values (z, y, x) and the affine."""
    with tempfile.TemporaryDirectory() as staging:
        volume = open_volume(path, SETTINGS, Path(staging))
        stack = [read_slice(volume, z, SETTINGS) for z in range(volume.geometry.shape[0])]
        return np.stack(stack), np.array(volume.geometry.affine)


def values_by_place(stack: np.ndarray, affine: np.ndarray) -> dict[tuple[float, ...], float]:
    """Return every voxel's value by its place in mm."""
    index = np.indices(stack.shape).reshape(3, -1)[::-1]
    places = affine[:3, :3] @ index + affine[:3, 3:]
    keys = map(tuple, np.round(places.T, 2) + 0.0)
    return dict(zip(keys, stack.ravel().tolist(), strict=True))


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Return axes permuted, flipped and scaled; one origin."""
    order = draw(st.permutations(range(3)))
    affine = np.zeros((4, 4))
    for axis, to in enumerate(order):
        affine[to, axis] = draw(st.sampled_from([-1, 1])) * draw(st.sampled_from([0.5, 1.0, 2.5]))
    affine[:3, 3] = [draw(st.integers(-50, 50)) for _ in range(3)]
    affine[3, 3] = 1
    return affine


@examples
@given(arrays, affines(), st.booleans(), st.booleans(), st.sampled_from([(1, 0), (0.5, -3)]))
def test_every_nifti_is_read_where_nibabel_reads_it(array, affine, is_first, is_gzip, scaling):
    kind = nib.Nifti1Image if is_first else nib.Nifti2Image
    image = kind(array, affine, dtype=array.dtype)
    image.header.set_slope_inter(*scaling)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.nii.gz" if is_gzip else "scan.nii")
        nib.save(image, path)
        expected = nib.load(path)
        truth = values_by_place(
            np.asarray(expected.get_fdata()).transpose(2, 1, 0), np.asarray(expected.affine)
        )
        found = values_by_place(*read_whole(path))
    assert found.keys() == truth.keys()
    assert all(found[place] == pytest.approx(truth[place], rel=1e-5) for place in truth)


@examples
@given(arrays, st.sampled_from(["raw", "gzip", "bzip2"]), st.sampled_from([(1, 1), (-1, -1)]))
def test_every_nrrd_is_read_as_pynrrd_reads_it(array, encoding, signs):
    """In the spaces of left-posterior and of right-anterior coordinates."""
    space = "left-posterior-superior" if signs == (1, 1) else "right-anterior-superior"
    header = {
        "space": space,
        "space directions": np.diag([0.5, 2.0, 3.0]),
        "space origin": np.array([3.0, -4.0, 5.0]),
        "encoding": encoding,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.nrrd")
        nrrd.write(str(path), array, header)
        stored, _ = nrrd.read(str(path))
        found = values_by_place(*read_whole(path))
    to_ras = np.diag([-1, -1, 1, 1]) if space.startswith("left") else np.eye(4)
    affine = to_ras @ [[0.5, 0, 0, 3], [0, 2, 0, -4], [0, 0, 3, 5], [0, 0, 0, 1]]
    assert found == values_by_place(np.asarray(stored, float).transpose(2, 1, 0), affine)


@examples
@given(arrays.filter(lambda one: one.dtype.str[1:] != "f8"), st.sampled_from([None, "zlib", "lzw"]))
def test_every_tiff_is_read_as_tifffile_reads_it(array, compression):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scan.tif")
        tifffile.imwrite(
            path, array, photometric="minisblack", compression=compression, metadata=None
        )
        np.testing.assert_array_equal(read_whole(path)[0], tifffile.imread(path))


@examples
@given(st.binary(max_size=5000), st.integers(0, 400))
def test_every_compressed_file_is_inflated_as_it_was(content, repeats):
    whole = content * repeats
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.Z")
        path.write_bytes(ncompress.compress(whole))
        assert read_inflated(path, len(whole)) == whole
        if whole:
            with pytest.raises(InputError, match="more than"):
                read_inflated(path, len(whole) - 1)


def seeds() -> dict[str, tuple[str, bytes]]:
    """Return a sound file of each kind, by the name it must have."""
    voxels = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
    plain = nib.Nifti1Image(voxels, np.eye(4)).to_bytes()
    with tempfile.TemporaryDirectory() as folder:
        write_dicom(Path(folder, "a"), 1.0, voxels[0])
        write_multiframe(Path(folder, "b"), [0.0, 1.0], voxels[:2], [(2, -9), (0.5, -1)])
        nrrd.write(f"{folder}/a.nrrd", voxels, {"spacings": [1.0, 1.0, 1.0]})
        tifffile.imwrite(f"{folder}/a.tif", voxels, photometric="minisblack")
        grey = {"photometric": "minisblack"}
        several = np.stack([voxels, voxels])
        about = {"axes": "TZYX", "unit": "um", "spacing": 2.0}
        tifffile.imwrite(f"{folder}/b.tif", several, imagej=True, metadata=about)
        tifffile.imwrite(f"{folder}/c.tif", several, ome=True, **grey, metadata={"axes": "TZYX"})
        volumetric = {"volumetric": True, "tile": (16, 16, 16), **grey}
        tifffile.imwrite(f"{folder}/d.tif", np.zeros((16, 16, 16), np.uint8), **volumetric)
        names = ("a", "b", "a.nrrd", "a.tif", "b.tif", "c.tif", "d.tif")
        dicom, frames, by_nrrd, *tiffs = (Path(folder, name).read_bytes() for name in names)
    slice_ = genesis_file(np.arange(64, dtype=np.int16).reshape(8, 8), 100.0)
    return {
        "NIfTI": ("scan.nii", plain),
        "NIfTI, gzip": ("scan.nii.gz", gzip.compress(plain)),
        "NIfTI-2": ("scan.nii", nib.Nifti2Image(voxels, np.eye(4)).to_bytes()),
        "MGH": ("scan.mgh", nib.MGHImage(voxels, np.eye(4)).to_bytes()),
        "NRRD": ("scan.nrrd", by_nrrd),
        "TIFF": ("scan.tif", tiffs[0]),
        "TIFF, ImageJ": ("scan.tif", tiffs[1]),
        "TIFF, OME": ("scan.tif", tiffs[2]),
        "TIFF, volumetric": ("scan.tif", tiffs[3]),
        "DICOM": ("scan.dcm", dicom),
        "DICOM, frames": ("scan.dcm", frames),
        "Genesis": ("c_vm1001.t1", slice_),
        "Genesis, .Z": ("c_vm1001.t1.Z", ncompress.compress(slice_)),
    }


SEEDS = seeds()


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """Return places (as a share of the file) and what is written there."""
    numbers = st.one_of(
        st.binary(min_size=1, max_size=4),
        st.integers(-(2**31), 2**31 - 1).map(lambda n: struct.pack("<i", n)),
        st.sampled_from([struct.pack("<f", x) for x in (np.nan, np.inf, -1e30, 1e30)]),
    )
    return draw(st.lists(st.tuples(st.floats(0, 0.999), numbers), min_size=1, max_size=4))


@pytest.mark.parametrize("kind", SEEDS)
@damaged
@given(damages(), st.one_of(st.just(1.0), st.floats(0, 1)))
def test_a_damaged_file_is_read_or_refused_in_one_line(kind, changes, share):
    name, sound = SEEDS[kind]
    content = bytearray(sound)
    for at, piece in changes:
        begin = int(at * len(content))
        content[begin : begin + len(piece)] = piece[: len(content) - begin]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content[: int(share * len(content))])
        target = path.parent if kind.startswith("Genesis") else path
        with tempfile.TemporaryDirectory() as staging:
            refusal = ""
            try:
                volume = open_volume(target, SETTINGS, Path(staging))
                if np.prod(volume.geometry.shape) < 1 << 20:
                    read_slice(volume, 0, SETTINGS)
            except InputError as error:
                refusal = str(error)
            assert "\n" not in refusal
            assert not list(Path(staging).glob("*.part*"))


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 1 << 40), st.floats(), st.text(max_size=3),
    st.just([]), st.just({}), st.lists(st.integers(-1, 9), max_size=4),
    st.sampled_from(["..", "/", "0", "micrometer", "x", "channel", "<i2", "zstd", "gzip", [["a"]]]),
)  # fmt: skip


def image_of_zarr(path: Path, version: int) -> list[Path]:
    """Write an OME-Zarr image and return its files of metadata."""
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    group.create_array("0", data=np.zeros((2, 3, 4, 5), np.int16), chunks=(1, 2, 4, 5))
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [1, 1, 1, 1]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    group.attrs.update(
        {"ome": {"multiscales": [image]}} if version == 3 else {"multiscales": [image]}
    )
    names = ("zarr.json", "0/zarr.json", ".zattrs", "0/.zarray")
    return [path / name for name in names if (path / name).is_file()]


def places(value: object) -> list[tuple[object, object]]:
    """Return every container of a JSON value with every key of it."""
    if isinstance(value, dict):
        keys: list[object] = [*value]
    else:
        keys = [*range(len(value))] if isinstance(value, list) else []
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in places(value[key])]  # type: ignore[index]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("channel", [0, None])
@damaged
@given(st.data())
def test_an_ome_zarr_of_any_metadata_is_read_or_refused_in_one_line(version, channel, data):
    chosen = VolumeSettings(channel=channel, spacing_mm=(1.0, 1.0, 1.0))
    with tempfile.TemporaryDirectory() as folder:
        files = image_of_zarr(Path(folder, "scan.zarr"), version)
        for _ in range(data.draw(st.integers(1, 3))):
            file = data.draw(st.sampled_from(files))
            about = json.loads(file.read_text())
            if not places(about):
                continue
            container, key = data.draw(st.sampled_from(places(about)))
            if data.draw(st.booleans()):
                container[key] = data.draw(ANYTHING)
            else:
                del container[key]
            file.write_text(json.dumps(about))
        refusal = ""
        try:
            volume = open_volume(Path(folder, "scan.zarr"), chosen, Path(folder, "staging"))
            read_slice(volume, 0, SETTINGS)
        except InputError as error:
            refusal = str(error)
        assert "\n" not in refusal
        assert refusal.isprintable()
