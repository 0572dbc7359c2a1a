import json

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image

from medcolor.color import linear_to_srgb, srgb_to_linear
from medcolor.domain import VolumeGeometry
from medcolor.errors import InputError
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.levels import plan_levels
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import (
    create_store,
    read_levels,
    read_slices,
    write_slab,
)

SETTINGS = StoreSettings(slab_slices=4, chunk=(4, 8, 8), smallest_side=8)


def geometry(shape, spacing):
    return VolumeGeometry(shape, spacing, as_affine(affine_from_code("LPS", spacing)))


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "v.ome.zarr"
    levels = create_store(
        path, geometry((10, 20, 13), (2.0, 1.0, 1.0)), SETTINGS, {"settings": "x"}
    )
    return path, levels


def fill(path, level):
    rgba = np.random.default_rng(2).integers(0, 256, (*level.shape, 4), dtype=np.uint8)
    for number in range(level.slab_count(4)):
        slices = level.slab(number, 4)
        write_slab(path, level.index, slices, rgba[slices.start : slices.stop])
    return rgba


def test_the_volume_is_valid_ome_zarr_0_5(volume):
    path, levels = volume
    image = Image.from_zarr(zarr.open_group(path, mode="r"))
    multiscale = image.attributes.ome.multiscales[0]
    assert [axis.name for axis in multiscale.axes] == ["c", "z", "y", "x"]
    assert len(multiscale.datasets) == len(levels)


def test_one_slab_is_one_shard_file(volume):
    path, (level, *_) = volume
    fill(path, level)
    files = sorted(f.name for f in (path / "0" / "c" / "0").iterdir())
    assert files == ["0", "1", "2"]
    assert all(
        len([f for f in (path / "0" / "c" / "0" / z).rglob("*") if f.is_file()]) == 1 for z in files
    )


def test_what_is_written_is_read(volume):
    path, (level, *_) = volume
    rgba = fill(path, level)
    np.testing.assert_array_equal(read_slices(path, 0, range(3, 9)), rgba[3:9])


def test_levels_are_read_as_planned(volume):
    path, levels = volume
    assert read_levels(path) == levels


def test_coarse_axes_wait_for_the_fine_ones_and_centres_stay_true():
    levels = plan_levels(geometry((10, 64, 64), (5.0, 1.0, 1.0)), SETTINGS)
    assert [level.factor for level in levels[1:]] == [(1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert levels[2].spacing_mm == (5.0, 4.0, 4.0)
    # A pixel of level 2 is the mean of four in a row: its centre lies between the middle two.
    assert levels[2].translation_mm == (0.0, 1.5, 1.5)


def test_a_coarse_voxel_is_the_mean_of_its_voxels_in_linear_light_weighted_by_alpha(volume):
    path, (fine, coarse, *_) = volume
    assert coarse.factor == (1, 2, 2)
    rgba = fill(path, fine)

    slab = coarse_slab(path, coarse, coarse.slab(1, 4))

    z, row, col = 5, 7, 3
    block = rgba[z, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2].reshape(4, 4) / 255.0
    weight = block[:, 3:]
    light = (srgb_to_linear(block[:, :3]) * weight).sum(axis=0) / weight.sum()
    expected = 255 * np.append(linear_to_srgb(light), weight.mean())
    np.testing.assert_allclose(slab[z - 4, row, col], expected, atol=1)


def test_empty_voxels_darken_no_rim(volume):
    path, (fine, coarse, *_) = volume
    rgba = np.zeros((4, *fine.shape[1:], 4), np.uint8)
    rgba[:, ::2] = [200, 100, 50, 255]
    write_slab(path, 0, range(4), rgba)
    slab = coarse_slab(path, coarse, range(4))
    np.testing.assert_allclose(slab[0, 0, 0], [200, 100, 50, 128], atol=1)


def test_metadata_names_no_place_and_no_time(volume):
    path, _ = volume
    metadata = json.loads((path / "zarr.json").read_text())
    assert str(path.parent) not in json.dumps(metadata)
    assert metadata["attributes"]["medcolor"]["provenance"] == {"settings": "x"}


def test_a_folder_without_a_volume_is_refused(tmp_path):
    with pytest.raises(InputError, match="no coloured OME-Zarr"):
        read_levels(tmp_path)


def test_ome_zarr_and_ngff_zarr_read_every_level(volume):
    from ngff_zarr import from_ngff_zarr
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    path, levels = volume
    stored = [fill(path, levels[0])]
    for level in levels[1:]:
        for number in range(level.slab_count(4)):
            slices = level.slab(number, 4)
            write_slab(path, level.index, slices, coarse_slab(path, level, slices))
        stored.append(read_slices(path, level.index, range(level.shape[0])))
    (node,) = Reader(parse_url(str(path)))()
    assert len(node.data) == len(levels)
    images = from_ngff_zarr(str(path)).images
    for level, array, image, rgba in zip(levels, node.data, images, stored, strict=True):
        expected = np.moveaxis(rgba, -1, 0)
        np.testing.assert_array_equal(np.asarray(array), expected)
        np.testing.assert_array_equal(np.asarray(image.data), expected)
        assert [image.scale[axis] for axis in "zyx"] == pytest.approx(level.spacing_mm)
        assert [image.translation[axis] for axis in "zyx"] == pytest.approx(level.translation_mm)


def test_of_two_drivers_that_create_one_volume_neither_fails(tmp_path, monkeypatch):
    """Both see no array, and the other makes it meanwhile."""
    path, spacing = tmp_path / "v.ome.zarr", (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((4, 8, 8), spacing, as_affine(affine_from_code("LPS", spacing)))
    create_store(path, geometry, StoreSettings(), {})
    before = (path / "0" / "zarr.json").read_bytes()
    monkeypatch.setattr(zarr.Group, "__contains__", lambda *_: False)
    create_store(path, geometry, StoreSettings(), {})
    assert (path / "0" / "zarr.json").read_bytes() == before
