"""The metadata of a coloured volume: OME-NGFF 0.5, one Zarr array a level, and ours beside it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import Buffer, cpu
from zarr.storage import MemoryStore

from medcolor.domain import VolumeGeometry
from medcolor.volume.anatomical import orientations_of
from medcolor.volume.levels import About, Level
from medcolor.volume.settings import StoreSettings

METADATA = "zarr.json"
"""Name of the metadata of a volume, and of each level."""

_CHANNELS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"), ("alpha", "FFFFFF"))
_AXES = ("c", "z", "y", "x")


def array_layout(content: bytes) -> object:
    """Return what the metadata of an array say, however they are written; None if damaged."""
    files: dict[str, Any] = {METADATA: cpu.Buffer.from_bytes(content)}
    try:
        return zarr.open_array(MemoryStore(files), mode="r").metadata
    except Exception:  # there is nothing here but this content
        return None


def volume_metadata(
    levels: tuple[Level, ...], settings: StoreSettings, attributes: dict[str, Any]
) -> dict[str, bytes]:
    """Return the metadata of a volume by their keys."""
    files: dict[str, Buffer] = {}
    group = zarr.create_group(MemoryStore(files), attributes=attributes)
    for level in levels:
        _, *inner = chunk = (4, *settings.chunk)
        covered = (settings.slab_slices, *level.shape[1:])
        shard = [-(-side // part) * part for side, part in zip(covered, inner, strict=True)]
        group.create_array(
            str(level.index),
            shape=(4, *level.shape),
            dtype="uint8",
            chunks=chunk,
            shards=(4, *shard),
            dimension_names=_AXES,
            # The index of a shard has a checksum by itself, chunks have none.
            compressors=(ZstdCodec(level=settings.compression_level), Crc32cCodec()),
            fill_value=0,
        )
    return {key: content.to_bytes() for key, content in files.items()}


def volume_attributes(
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
    stated = orientations_of(geometry.affine)
    axes = [
        {"name": "c", "type": "channel"},
        *(
            {"name": name, "type": "space", "unit": "millimeter"}
            | ({"orientation": stated[name]} if stated else {})
            for name in "zyx"
        ),
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
