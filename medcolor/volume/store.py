"""The coloured volume: a sharded OME-Zarr 0.5 pyramid, axes c, z, y, x.

One slab of slices is one shard and has one writer: several writers in one Zarr
shard silently lose data. Metadata is written once, before any pixel. Colours are
sRGB with straight alpha; alpha is the fourth channel, which viewers that know no
alpha leave switched off.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.codecs import ZstdCodec
from zarr.errors import ContainsArrayError

from medcolor.domain import Affine, GreyLevels, VolumeGeometry
from medcolor.errors import InputError
from medcolor.storage import Place, delete_made, plain_key, read_object, zarr_store
from medcolor.storage.place import speaking_of_place
from medcolor.volume.geometry import as_affine
from medcolor.volume.settings import StoreSettings

_CHANNELS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"), ("alpha", "FFFFFF"))
_AXES = ("c", "z", "y", "x")
_PARTIAL = r"\.[0-9a-f]+\.partial"
"""How zarr ends the name of a file that it is writing."""

_MADE = re.compile(rf"(\d+/)?zarr(\.json|{_PARTIAL})|\d+/c(/\d+){{4}}({_PARTIAL})?")
_UNFINISHED = re.compile(rf".*{_PARTIAL}")


@dataclass(frozen=True)
class Level:
    """One resolution of the pyramid; level 0 is the scan's own."""

    index: int
    shape: tuple[int, int, int]
    """Voxels along (z, y, x)."""

    spacing_mm: tuple[float, float, float]
    translation_mm: tuple[float, float, float]
    """Centre of the first voxel, along (z, y, x), against that of level 0."""

    factor: tuple[int, int, int]
    """Voxels of the next finer level that make one of this, along (z, y, x)."""

    def slab_count(self, slab_slices: int) -> int:
        """Number of slabs, the last one possibly short."""
        return -(-self.shape[0] // slab_slices)

    def slab(self, number: int, slab_slices: int) -> range:
        """Slices of one slab."""
        start = number * slab_slices
        return range(start, min(start + slab_slices, self.shape[0]))


@dataclass(frozen=True)
class About:
    """What a volume tells of itself beside where it lies."""

    provenance: dict[str, str]
    """Digests of what decided the pixels."""

    grey: GreyLevels | None
    """What alpha says of the scan; None if the volume does not tell."""

    credit: str
    """Whose photographs the colours come from; empty if nobody said."""


def plan_levels(geometry: VolumeGeometry, settings: StoreSettings) -> tuple[Level, ...]:
    """Halve until no side is longer than `smallest_side`; coarse axes wait for the fine ones."""
    level = Level(0, geometry.shape, geometry.spacing_mm, (0.0, 0.0, 0.0), (1, 1, 1))
    levels = [level]
    while max(level.shape) > settings.smallest_side:
        finest = min(s for s, n in zip(level.spacing_mm, level.shape, strict=True) if n > 1)
        factor = tuple(
            2 if n > 1 and s < 1.5 * finest else 1
            for s, n in zip(level.spacing_mm, level.shape, strict=True)
        )
        level = Level(
            index=level.index + 1,
            shape=_three(-(-n // f) for n, f in zip(level.shape, factor, strict=True)),
            spacing_mm=_three(s * f for s, f in zip(level.spacing_mm, factor, strict=True)),
            translation_mm=_three(
                t + s * (f - 1) / 2
                for t, s, f in zip(level.translation_mm, level.spacing_mm, factor, strict=True)
            ),
            factor=_three(factor),
        )
        levels.append(level)
    return tuple(levels)


def _three(values: Any) -> Any:
    first, second, third = values
    return first, second, third


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
    with speaking_of_place(path):
        _create(path, levels, settings)
        group = zarr.open_group(zarr_store(path), mode="a")
        group.attrs.update(_attributes(geometry, levels, About(provenance, grey, credit)))
    return levels


def _create(
    path: Place,
    levels: tuple[Level, ...],
    settings: StoreSettings,
) -> None:
    group = zarr.open_group(zarr_store(path), mode="a")
    for level in levels:
        if str(level.index) in group:
            continue
        _, *inner = chunk = (4, *settings.chunk)
        covered = (settings.slab_slices, *level.shape[1:])
        shard = [-(-side // part) * part for side, part in zip(covered, inner, strict=True)]
        with suppress(ContainsArrayError):  # of two drivers the other was quicker: it is the same
            group.create_array(
                str(level.index),
                shape=(4, *level.shape),
                dtype="uint8",
                chunks=chunk,
                shards=(4, *shard),
                dimension_names=_AXES,
                compressors=ZstdCodec(level=settings.compression_level),
                fill_value=0,
            )


def _attributes(
    geometry: VolumeGeometry,
    levels: tuple[Level, ...],
    about: About,
) -> dict[str, Any]:
    """Return OME-NGFF 0.5 metadata and ours beside it."""
    datasets = [
        {
            "path": str(level.index),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, *level.spacing_mm]},
                {"type": "translation", "translation": [0.0, *level.translation_mm]},
            ],
        }
        for level in levels
    ]
    channels = [
        {
            "label": name,
            "color": color,
            "active": name != "alpha",
            "window": {"min": 0, "max": 255, "start": 0, "end": 255},
        }
        for name, color in _CHANNELS
    ]
    axes = [
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"),
    ]
    return {
        "ome": {
            "version": "0.5",
            "multiscales": [
                {
                    "name": "color",
                    "axes": axes,
                    "datasets": datasets,
                    "type": "mean in linear light, weighted by alpha",
                }
            ],
            "omero": {"channels": channels, "rdefs": {"model": "color"}},
        },
        "medcolor": {
            "alpha": "straight",
            "color_space": "sRGB",
            "orientation": "LPS",
            "affine_ras_mm": [list(row) for row in geometry.affine],
            "orientation_steps": list(geometry.steps),
            **asdict(about),
        },
    }


def has_level(path: Place, index: int) -> bool:
    """Tell whether a level has its metadata."""
    return (path / str(index) / "zarr.json").is_file()


def delete_unfinished_files(path: Place) -> None:
    """Delete what writers that were killed left beside the shards; in buckets there is nothing."""
    if isinstance(path, Path):
        delete_made(path, _UNFINISHED)


def refuse_foreign_volume(path: Place) -> None:
    """Refuse a file, or a volume that another program wrote, before a volume is deleted.

    Raises:
        InputError: It is one.
    """
    attributes = (read_object(path / "zarr.json") or {}).get("attributes") or {"medcolor": {}}
    is_ours = isinstance(attributes, dict) and "medcolor" in attributes
    if not is_ours or (isinstance(path, Path) and path.is_file()):
        raise InputError(path, "was not written by medcolor", "Choose another output")


def delete_volume(path: Place) -> None:
    """Delete all files of a volume; what others have put into its folder stays."""
    delete_made(path, _MADE)


def write_slab(path: Place, level: int, slices: range, rgba: UInt8[np.ndarray, "z y x 4"]) -> None:
    """Write the slices of one slab, whole."""
    with speaking_of_place(path):
        array = zarr.open_array(zarr_store(path), path=str(level), mode="r+")
        # zarr copies chunk by chunk anyway: a contiguous copy of the slab first costs a third more.
        array[:, slices.start : slices.stop] = np.moveaxis(rgba, -1, 0)


def read_affine(path: Place, level: int) -> Affine:
    """Return voxel index (x, y, z, 1) of a level to mm in RAS.

    Raises:
        InputError: If medcolor did not write the volume.
    """
    chosen = read_levels(path)[level]
    try:
        with speaking_of_place(path):
            group = zarr.open_group(zarr_store(path), mode="r")
        about = cast(dict[str, Any], group.attrs["medcolor"])
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
    with speaking_of_place(path):
        group = zarr.open_group(zarr_store(path), mode="r")
    told = group.attrs.get("medcolor")
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
    """Read slices of one level; those beyond its end are left out."""
    with speaking_of_place(path):
        array = open_level(path, level)
        return np.moveaxis(np.asarray(array[:, slices.start : slices.stop]), 0, -1)


def open_level(path: Place, level: int) -> zarr.Array[Any]:
    """Open the array (c, z, y, x) of one level for reading."""
    return zarr.open_array(zarr_store(path), path=str(level), mode="r")


def read_levels(path: Place) -> tuple[Level, ...]:
    """Return the pyramid of a volume written by `create_store`.

    Raises:
        InputError: If there is none.
    """
    try:
        with speaking_of_place(path):
            group = zarr.open_group(zarr_store(path), mode="r")
        metadata = cast(dict[str, Any], group.attrs["ome"])
        datasets = metadata["multiscales"][0]["datasets"]
        found: list[Level] = []
        for index, dataset in enumerate(datasets):
            scale, translation = dataset["coordinateTransformations"]
            array = cast("zarr.Array[Any]", group[plain_key(dataset["path"], path, "Mend it")])
            shape = array.shape
            if len(shape) != 4 or shape[0] != 4 or array.dtype != np.uint8:
                raise ValueError("no RGBA")
            spacing = _three(scale["scale"][1:])
            finer = found[-1].spacing_mm if found else spacing
            factor = _three(round(s / f) for s, f in zip(spacing, finer, strict=True))
            found.append(
                Level(
                    index,
                    _three(shape[1:]),
                    spacing,
                    _three(translation["translation"][1:]),
                    factor,
                )
            )
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError(
            path,
            "no coloured OME-Zarr volume",
            "Give a volume written by medcolor colorize",
        ) from error
    return tuple(found)
