"""The coloured volume: a sharded OME-Zarr 0.5 pyramid, axes c, z, y, x.

One slab of slices is one shard and has one writer: several writers in one Zarr
shard silently lose data. A shard is written even if all of it is empty, so that an absent
one is lost; its index and each of its chunks carry a crc32c. Metadata is written before any
pixel. Colours are sRGB with straight alpha; alpha is the fourth channel, which viewers that know
no alpha leave switched off.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from jaxtyping import UInt8

from medcolor.domain import Affine, GreyLevels, VolumeGeometry
from medcolor.errors import InputError
from medcolor.storage import Place, delete_made, plain_key, read_object, write_atomic
from medcolor.storage.durable import BEING_WRITTEN
from medcolor.storage.place import speaking_of_place
from medcolor.storage.zarr_stores import reading_store, writing_store
from medcolor.volume.geometry import as_affine
from medcolor.volume.levels import About, Level, plan_levels, three
from medcolor.volume.metadata import (
    METADATA,
    array_layout,
    volume_attributes,
    volume_metadata,
)
from medcolor.volume.settings import StoreSettings
from medcolor.volume.shards import StoredLevel

_MADE = re.compile(rf"(\d+/)?({BEING_WRITTEN})?zarr\.json|\d+/c(/\d+){{3}}/({BEING_WRITTEN})?\d+")
_UNFINISHED = re.compile(rf"(.*/)?{BEING_WRITTEN}.*")


def create_store(
    path: Place,
    geometry: VolumeGeometry,
    settings: StoreSettings,
    provenance: dict[str, str],
    grey: GreyLevels | None = None,
    credit: str = "",
) -> tuple[Level, ...]:
    """Write the metadata of an empty volume; doing so again changes nothing.

    Args:
        path: Folder to be, *.ome.zarr.
        geometry: Of the scan.
        settings: Layout.
        provenance: Digests of what decides the pixels; nothing that names a person or place.
        grey: What alpha will say of the scan; None if nothing.
        credit: Line that names whose photographs the colours come from.
    """
    levels = plan_levels(geometry, settings)
    about = About(provenance, grey, credit)
    expected = volume_metadata(levels, settings, volume_attributes(geometry, levels, about))
    layouts = _layouts(path, levels, settings)
    stale = {f"{index}/{METADATA}" for index, (found, own) in layouts.items() if found != own}
    for key, content in expected.items():
        if key in stale or (key == METADATA and _content(path / key) != content):
            write_atomic(path / key, content)
    return levels


def levels_laid_out_otherwise(
    path: Place, levels: tuple[Level, ...], settings: StoreSettings
) -> list[int]:
    """Return the levels that lie there in another layout than would be written: by other code."""
    layouts = _layouts(path, levels, settings)
    return [index for index, (found, own) in layouts.items() if found not in (None, own)]


def _layouts(
    path: Place, levels: tuple[Level, ...], settings: StoreSettings
) -> dict[int, tuple[object, object]]:
    """Return the layout of every level as it lies there, None if absent, and as it is to be."""
    expected = volume_metadata(levels, settings, {})
    keys = {level.index: f"{level.index}/{METADATA}" for level in levels}
    return {
        index: (array_layout(_content(path / key)), array_layout(expected[key]))
        for index, key in keys.items()
    }


def metadata_digests(path: Place, levels: tuple[Level, ...]) -> dict[str, str]:
    """Return a digest of the metadata of a volume and of each of its levels, by their keys."""
    keys = [METADATA, *(f"{level.index}/{METADATA}" for level in levels)]
    contents = {key: _content(path / key) for key in keys}
    return {
        key: hashlib.blake2b(content, digest_size=16).hexdigest()
        for key, content in contents.items()
    }


def _content(place: Place) -> bytes:
    """Return a file, or nothing if there is none."""
    try:
        return place.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def delete_unfinished_files(path: Place) -> None:
    """Delete what writers that were killed left beside the shards; in buckets there is nothing."""
    if isinstance(path, Path):
        delete_made(path, _UNFINISHED)


def refuse_foreign_volume(path: Place) -> None:
    """Refuse a file, or a volume that another program wrote, before a volume is deleted.

    Raises:
        InputError: It is one.
    """
    attributes = (read_object(path / METADATA) or {}).get("attributes") or {"medcolor": {}}
    is_ours = isinstance(attributes, dict) and "medcolor" in attributes
    if not is_ours or (isinstance(path, Path) and path.is_file()):
        raise InputError(path, "was not written by medcolor", "Choose another output")


def delete_volume(path: Place) -> None:
    """Delete all files of a volume; what others have put into its folder stays."""
    delete_made(path, _MADE)


def write_slab(path: Place, level: int, slices: range, rgba: UInt8[np.ndarray, "z y x 4"]) -> None:
    """Write the slices of one slab, whole, over whatever lies there."""
    with speaking_of_place(path):
        array = zarr.open_array(writing_store(path), path=str(level), mode="r+")
        if not rgba.any():  # zarr would write nothing, and nothing is what is lost
            array = array.with_config({"write_empty_chunks": True})
        # zarr copies chunk by chunk anyway: a contiguous copy of the slab first costs a third more.
        array[:, slices.start : slices.stop] = np.moveaxis(rgba, -1, 0)


def read_affine(path: Place, level: int) -> Affine:
    """Return voxel index (x, y, z, 1) of a level to mm in RAS.

    Raises:
        InputError: If medcolor did not write the volume.
    """
    chosen = read_levels(path)[level]
    try:
        about = cast(dict[str, Any], _open_group(path).attrs["medcolor"])
        finest = np.array(about["affine_ras_mm"], float)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            path, "does not say where it lies", "Give a volume written by medcolor colorize"
        ) from error
    directions = finest[:3, :3] / np.linalg.norm(finest[:3, :3], axis=0)
    affine = np.eye(4)
    affine[:3, :3] = directions * chosen.spacing_mm[::-1]
    affine[:3, 3] = finest[:3, 3] + directions @ np.array(chosen.translation_mm[::-1])
    return as_affine(affine)


def read_about(path: Place) -> About:
    """Return what a volume tells of itself.

    Raises:
        InputError: It tells it in other words than this version.
    """
    told = _open_group(path).attrs.get("medcolor")
    about = cast(dict[str, Any], told) if isinstance(told, dict) else {}
    try:
        grey = about.get("grey")
        return About(
            provenance={str(key): str(value) for key, value in about.get("provenance", {}).items()},
            grey=None if grey is None else _grey_levels(grey),
            credit=str(about.get("credit", "")),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            path,
            "its `medcolor` attributes are not of this version",
            "Colour it again: what is done is kept, and they are written anew",
        ) from error


def _grey_levels(told: dict[str, Any]) -> GreyLevels:
    levels = GreyLevels(**told)
    if not levels.black < levels.white:
        raise ValueError("no window")
    return levels


def read_slices(path: Place, level: int, slices: range) -> UInt8[np.ndarray, "z y x 4"]:
    """Read slices of one level; those beyond its end are left out.

    Raises:
        LostShardError: Of a shard that holds some of them.
    """
    return np.moveaxis(StoredLevel(path, level)[:, slices.start : slices.stop], 0, -1)


def read_levels(path: Place) -> tuple[Level, ...]:
    """Return the pyramid of a volume written by `create_store`.

    Raises:
        InputError: If there is none.
    """
    try:
        group = _open_group(path)
        metadata = cast(dict[str, Any], group.attrs["ome"])
        datasets = metadata["multiscales"][0]["datasets"]
        found: list[Level] = []
        for index, dataset in enumerate(datasets):
            scale, translation = dataset["coordinateTransformations"]
            array = cast("zarr.Array[Any]", group[plain_key(dataset["path"], path, "Mend it")])
            shape = array.shape
            if len(shape) != 4 or shape[0] != 4 or array.dtype != np.uint8:
                raise ValueError("no RGBA")
            spacing = three(scale["scale"][1:])
            finer = found[-1].spacing_mm if found else spacing
            factor = three(round(s / f) for s, f in zip(spacing, finer, strict=True))
            found.append(
                Level(
                    index,
                    three(shape[1:]),
                    spacing,
                    three(translation["translation"][1:]),
                    factor,
                )
            )
    except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise _no_volume(path) from error
    return tuple(found)


def _open_group(path: Place) -> zarr.Group:
    """Open a volume to see what it tells of itself.

    Raises:
        FileNotFoundError: There is none.
        InputError: Its metadata are damaged.
    """
    with speaking_of_place(path):
        try:
            return zarr.open_group(reading_store(path), mode="r")
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise _no_volume(path) from error


def _no_volume(path: Place) -> InputError:
    return InputError(
        path, "no coloured OME-Zarr volume", "Give a volume written by medcolor colorize"
    )
