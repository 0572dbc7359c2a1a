"""What is lost of a volume is never read as empty space."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from medcolor.domain import VolumeGeometry
from medcolor.errors import InputError
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.levels import plan_levels
from medcolor.volume.ome_zarr import open_ome_zarr
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings, VolumeSettings
from medcolor.volume.shards import LostShardError, StoredLevel, shard_key
from medcolor.volume.store import (
    create_store,
    levels_laid_out_otherwise,
    read_levels,
    read_slices,
    write_slab,
)

SETTINGS = StoreSettings(slab_slices=4, chunk=(4, 8, 8), smallest_side=8)
SPACING = (2.0, 1.0, 1.0)
GEOMETRY = VolumeGeometry((10, 12, 13), SPACING, as_affine(affine_from_code("LPS", SPACING)))


@pytest.fixture
def volume(tmp_path):
    """Random voxels, in all levels."""
    path = tmp_path / "v.ome.zarr"
    fine, *coarse = create_store(path, GEOMETRY, SETTINGS, {})
    rgba = np.random.default_rng(2).integers(0, 256, (*fine.shape, 4), dtype=np.uint8)
    for number in range(fine.slab_count(4)):
        slices = fine.slab(number, 4)
        write_slab(path, 0, slices, rgba[slices.start : slices.stop])
    for level in coarse:
        for number in range(level.slab_count(4)):
            slices = level.slab(number, 4)
            write_slab(path, level.index, slices, coarse_slab(path, level, slices))
    return path


def test_every_level_has_checksums_for_its_chunks_and_for_the_index_of_its_shards(volume):
    for metadata in volume.glob("*/zarr.json"):
        (codec,) = json.loads(metadata.read_text())["codecs"]
        assert codec["name"] == "sharding_indexed"
        for codecs in (codec["configuration"]["codecs"], codec["configuration"]["index_codecs"]):
            assert codecs[-1]["name"] == "crc32c", "of what lies on the disk, so the last to encode"


def test_no_flipped_bit_is_read_as_voxels(volume):
    """Whatever it says, in its chunks or in its index: here one in every fifth byte, and in all of
    the index."""
    whole = read_slices(volume, 0, range(4, 8))
    shard = volume / shard_key(0, 1)
    content = shard.read_bytes()
    generator = np.random.default_rng(5)
    for place in [*range(0, len(content), 5), *range(len(content) - 70, len(content))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(generator.integers(8))
        shard.write_bytes(flipped)
        with pytest.raises(LostShardError, match="level 0, slices 4 to 8: a shard is damaged"):
            read_slices(volume, 0, range(4, 8))
    shard.write_bytes(content)
    np.testing.assert_array_equal(read_slices(volume, 0, range(4, 8)), whole)


@pytest.mark.parametrize("length", [1, 20, 500])
def test_a_shard_that_is_cut_is_damaged(volume, length):
    shard = volume / shard_key(0, 2)
    shard.write_bytes(shard.read_bytes()[:length])
    with pytest.raises(LostShardError, match="slices 8 to 10"):
        read_slices(volume, 0, range(8, 10))


@pytest.mark.parametrize("lose", ["unlink", "empty"])
@pytest.mark.parametrize(
    "where", [np.s_[:, 4:8], np.s_[:, 5], np.s_[:, :, 3], np.s_[:, 6:9, 3:4, 2]]
)
def test_an_absent_or_empty_shard_is_named_however_it_is_read(volume, lose, where):
    shard = volume / shard_key(0, 1)
    shard.unlink() if lose == "unlink" else shard.write_bytes(b"")
    with pytest.raises(LostShardError, match=r"level 0, slices 4 to 8 .*0/c/0/1/0/0.*colorize"):
        StoredLevel(volume, 0)[where]
    StoredLevel(volume, 0)[:, 0:4]


def test_a_slab_without_a_body_is_a_shard_too(volume):
    nothing = np.zeros((4, *GEOMETRY.shape[1:], 4), np.uint8)
    write_slab(volume, 0, range(4, 8), nothing)
    np.testing.assert_array_equal(read_slices(volume, 0, range(4, 8)), nothing)
    (volume / shard_key(0, 1)).unlink()
    with pytest.raises(LostShardError):
        read_slices(volume, 0, range(4, 8))


def test_a_damaged_shard_is_written_over(volume):
    whole = read_slices(volume, 0, range(8, 10))
    shard = volume / shard_key(0, 2)
    content = shard.read_bytes()
    for damage in (content[:100], content[:-1] + b"?", b"", b"?" + content[1:]):
        shard.write_bytes(damage)
        write_slab(volume, 0, range(8, 10), whole)
        assert shard.read_bytes() == content


def test_no_coarse_slab_is_made_of_what_is_lost(volume):
    level = create_store(volume, GEOMETRY, SETTINGS, {})[1]
    (volume / shard_key(0, 0)).unlink()
    with pytest.raises(LostShardError, match="0/c/0/0/0/0 is gone"):
        coarse_slab(volume, level, range(4))


def test_a_lost_shard_of_a_volume_that_is_coloured_again_is_no_air(volume, tmp_path):
    scan = open_ome_zarr(volume, VolumeSettings(channel=3), tmp_path)
    (volume / shard_key(0, 1)).unlink()
    scan.intensity[0].compute()
    with pytest.raises(InputError, match=r"0/c/0/1/0/0"):
        scan.intensity[5].compute()


@pytest.mark.parametrize("name", ["zarr.json", "0/zarr.json", "1/zarr.json"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.95])
def test_metadata_that_are_cut_are_one_line_and_written_again(volume, name, kept):
    metadata = volume / name
    before = metadata.read_bytes()
    metadata.write_bytes(before[: int(kept * len(before))])
    with pytest.raises(InputError) as caught:
        read_levels(volume)
    assert "\n" not in str(caught.value)
    levels = plan_levels(GEOMETRY, SETTINGS)
    assert levels_laid_out_otherwise(volume, levels, SETTINGS) == [], "its shards are still good"
    create_store(volume, GEOMETRY, SETTINGS, {})
    assert metadata.read_bytes() == before


def test_metadata_of_another_layout_are_told_from_damaged_ones(volume):
    other = dataclasses.replace(SETTINGS, compression_level=6)
    levels = plan_levels(GEOMETRY, other)
    assert levels_laid_out_otherwise(volume, levels, other) == [0, 1, 2]
