"""Anatomical orientation of OME-Zarr axes (RFC-4): as other libraries write it, and read it."""

import json
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import zarr
from ngff_zarr import NgffImage, from_ngff_zarr, to_multiscales, to_ngff_zarr
from ngff_zarr.rfc4 import LPS, AnatomicalOrientation, AnatomicalOrientationValues
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models.v05 import Image

from medcolor.domain import VolumeGeometry
from medcolor.errors import InputError
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import StoreSettings, VolumeSettings
from medcolor.volume.store import create_store, write_slab

SIDES = {"L": "left", "R": "right", "A": "anterior", "P": "posterior", "S": "superior"}
SIDES["I"] = "inferior"
PAIRS = ("LR", "AP", "IS")
CODES = ["".join(one) for order in permutations(PAIRS) for one in product(*order)]
"""All 48 ways in which (x, y, z) can lie along the body."""

STACK = np.random.default_rng(6).integers(0, 200, (4, 5, 6), np.uint8)
DEFAULT = VolumeSettings()


def words_of(letter: str) -> str:
    """Say from where an axis runs that runs to a side: from the other one."""
    (other,) = next(pair for pair in PAIRS if letter in pair).replace(letter, "")
    return f"{SIDES[other]}-to-{SIDES[letter]}"


def write_scan(path, values, version="0.4", **extra):
    """Write a stack (z, y, x) whose axes carry orientations; x, y, z of `values` by name."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if version == "0.5" else 2)
    group.create_array("0", data=STACK, chunks=(3, 5, 6))
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    for axis in axes:
        if axis["name"] in values:
            value = values[axis["name"]]
            axis["orientation"] = {"type": "anatomical", "value": value} | extra if value else None
    steps = [
        {"type": "scale", "scale": [2.0, 1.5, 0.5]},
        {"type": "translation", "translation": [30.0, 20.0, 10.0]},
    ]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    if version == "0.5":
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    else:
        group.attrs["multiscales"] = [image]
    return path


def read(volume):
    return np.stack([read_slice(volume, z, DEFAULT) for z in range(volume.geometry.shape[0])])


@pytest.mark.parametrize("code", CODES)
def test_an_image_is_turned_to_lps_as_its_axes_say(tmp_path, code):
    """Beside nibabel's reorientation; a voxel keeps its coordinates, along the sides named."""
    values = dict(zip("xyz", map(words_of, code), strict=True))
    volume = open_volume(write_scan(tmp_path / "scan.ome.zarr", values), DEFAULT, tmp_path / "s")

    have, want = (nib.orientations.axcodes2ornt(tuple(one)) for one in (code, "LPS"))
    turn = nib.orientations.ornt_transform(have, want)
    expected = nib.orientations.apply_orientation(STACK.transpose(2, 1, 0), turn)
    np.testing.assert_array_equal(read(volume), expected.transpose(2, 1, 0))
    assert volume.intensity.chunks[0] == (1,) * volume.geometry.shape[0]
    assert volume.is_placed
    place = np.argwhere(read(volume) == STACK[3, 1, 2])
    coordinates = dict(zip(code, (10 + 2 * 0.5, 20 + 1 * 1.5, 30 + 3 * 2.0), strict=True))
    ras = [coordinates[side] if side in coordinates else -coordinates[other]
           for side, other in ("RL", "AP", "SI")]  # fmt: skip
    found = [np.array(volume.geometry.affine) @ [x, y, z, 1] for z, y, x in place]
    assert any(np.allclose(one[:3], ras, atol=1e-5) for one in found)


def test_what_ngff_zarr_writes_is_read_as_it_says(tmp_path):
    values = {"x": "left-to-right", "y": "inferior-to-superior", "z": "anterior-to-posterior"}
    image = NgffImage(
        data=STACK,
        dims=("z", "y", "x"),
        scale={"z": 2.0, "y": 1.5, "x": 0.5},
        translation={"z": 30.0, "y": 20.0, "x": 10.0},
        axes_units=dict.fromkeys("zyx", "millimeter"),
        axes_orientations={
            name: AnatomicalOrientation(AnatomicalOrientationValues(value))
            for name, value in values.items()
        },
    )
    to_ngff_zarr(str(tmp_path / "a.ome.zarr"), to_multiscales(image, []), version="0.5")
    ours = write_scan(tmp_path / "b.ome.zarr", values, version="0.5")
    found, expected = (
        open_volume(path, DEFAULT, tmp_path / "s") for path in (tmp_path / "a.ome.zarr", ours)
    )
    assert "orientation" in (tmp_path / "a.ome.zarr" / "zarr.json").read_text()
    np.testing.assert_array_equal(read(found), read(expected))
    np.testing.assert_allclose(found.geometry.affine, expected.geometry.affine, atol=1e-5)


def test_an_image_that_says_nothing_lies_as_the_settings_say(tmp_path):
    path = write_scan(tmp_path / "scan.ome.zarr", dict.fromkeys("xyz"))
    volume = open_volume(path, VolumeSettings(orientation="RAI"), tmp_path / "s")
    np.testing.assert_array_equal(read(volume), STACK[::-1, ::-1, ::-1])
    assert not volume.is_placed


def test_what_one_axis_says_must_agree_with_the_settings(tmp_path):
    path = write_scan(tmp_path / "scan.ome.zarr", {"x": "left-to-right"})
    with pytest.raises(InputError, match=r"x runs to R.*volume\.orientation is LPS"):
        open_volume(path, DEFAULT, tmp_path / "s")
    volume = open_volume(path, VolumeSettings(orientation="RPS"), tmp_path / "s")
    np.testing.assert_array_equal(read(volume), STACK[:, :, ::-1])


def test_two_axes_along_one_of_the_body_are_refused(tmp_path):
    values = {"x": "left-to-right", "y": "right-to-left", "z": "inferior-to-superior"}
    path = write_scan(tmp_path / "scan.ome.zarr", values)
    with pytest.raises(InputError, match="two of its axes run along the same axis"):
        open_volume(path, DEFAULT, tmp_path / "s")


@pytest.mark.parametrize("value", ["dorsal-to-ventral", "apex-to-base", ["x"], 7])
def test_words_that_mean_no_direction_in_a_human_are_a_warning(tmp_path, value, caplog):
    values = {"x": "right-to-left", "y": value, "z": "inferior-to-superior"}
    volume = open_volume(write_scan(tmp_path / "v.ome.zarr", values), DEFAULT, tmp_path / "s")
    np.testing.assert_array_equal(read(volume), STACK)
    assert "no certain direction" in caplog.text


def store(path, affine):
    spacing = tuple(float(one) for one in np.linalg.norm(affine[:3, :3], axis=0)[::-1])
    geometry = VolumeGeometry((4, 6, 7), spacing, as_affine(affine))
    create_store(path, geometry, StoreSettings(), {})
    rgba = np.random.default_rng(1).integers(0, 256, (4, 6, 7, 4), np.uint8)
    write_slab(path, 0, range(4), rgba)
    return rgba


def turned(degrees: float) -> np.ndarray:
    affine = affine_from_code("LPS", (2.0, 1.0, 1.0))
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def test_a_coloured_volume_says_where_its_axes_run_and_other_libraries_open_it(tmp_path):
    path = tmp_path / "v.ome.zarr"
    rgba = store(path, turned(20))
    image = from_ngff_zarr(str(path)).images[0]
    assert image.axes_orientations == LPS
    np.testing.assert_array_equal(np.asarray(image.data), np.moveaxis(rgba, -1, 0))
    (node,) = Reader(parse_url(str(path)))()
    np.testing.assert_array_equal(np.asarray(node.data[0]), np.moveaxis(rgba, -1, 0))
    model = Image.from_zarr(zarr.open_group(path, mode="r"))
    assert [axis.name for axis in model.attributes.ome.multiscales[0].axes] == [*"czyx"]
    axes = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    assert "orientation" not in axes["axes"][0]


def test_a_volume_that_lies_strongly_aslant_says_nothing_of_its_axes(tmp_path):
    store(tmp_path / "v.ome.zarr", turned(40))
    assert from_ngff_zarr(str(tmp_path / "v.ome.zarr")).images[0].axes_orientations is None


def test_a_coloured_volume_is_read_again_where_it_lay(tmp_path):
    """Its own affine says more than the words on its axes."""
    path, affine = tmp_path / "v.ome.zarr", turned(20)
    store(path, affine)
    volume = open_volume(path, VolumeSettings(channel=0, orientation="RAI"), tmp_path / "s")
    np.testing.assert_allclose(volume.geometry.affine, affine, atol=1e-6)
    assert volume.is_placed
