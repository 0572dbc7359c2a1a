"""Which image of an OME-Zarr folder is read, and what its metadata say: versions 0.1 to 0.5.

https://ngff.openmicroscopy.org. Also the layout of bioformats2raw: a folder of several images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from medcolor.errors import InputError
from medcolor.storage import plain_key
from medcolor.storage.zarr_stores import reading_store
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.zarr_bounds import check_metadata

_METADATA = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
_LAYOUT = "bioformats2raw.layout"
_FIRST_AXES = "tczyx"
"""Of versions 0.1 and 0.2, which do not name them."""

_REMEDY = "Give an OME-Zarr image, 0.1 to 0.5"


@dataclass(frozen=True)
class ZarrImage:
    """One image: some levels of one picture."""

    folder: Path
    group: zarr.Group
    attributes: dict[str, Any]
    """Of its group."""

    multiscale: dict[str, Any]
    """What they say of the image."""

    @property
    def axes(self) -> list[dict[str, Any]]:
        """Axes as versions from 0.4 on write them."""
        stated = self.multiscale.get("axes", _FIRST_AXES)
        return [{"name": axis} if isinstance(axis, str) else axis for axis in stated]


def is_zarr(folder: Path) -> bool:
    """Tell a Zarr group or array by its metadata."""
    return any((folder / name).is_file() for name in _METADATA)


def find_image(folder: Path, settings: VolumeSettings) -> ZarrImage:
    """Return the only image of a folder, or the chosen one.

    Args:
        folder: Of an image, or of several in the layout of bioformats2raw.
        settings: `series` chooses among several.

    Raises:
        InputError: None, or several and none chosen; whatever Zarr raises.
    """
    check_metadata(folder)
    if (folder / ".zarray").is_file():
        raise InputError(folder, "a Zarr array without the metadata of an image", _REMEDY)
    node = zarr.open(str(folder), mode="r")
    if isinstance(node, zarr.Array):
        raise InputError(folder, "a Zarr array without the metadata of an image", _REMEDY)
    about = _about(node)
    if "multiscales" not in about and _LAYOUT in about:
        names = _series(folder, node)
        name = plain_key(names[_chosen(folder, names, settings)], folder, "Mend its metadata")
        if not is_zarr(folder / name):
            raise InputError(folder, f"no image {name!r:.40} in it", "Fetch it again")
        folder /= name
        check_metadata(folder)
        node = zarr.open_group(str(folder), mode="r")
        about = _about(node)
        chosen = 0
    else:
        count = len(about.get("multiscales", ()))
        chosen = _chosen(folder, [*map(str, range(count))], settings) if count > 1 else 0
    if not about.get("multiscales"):
        raise InputError(folder, _what(about), _REMEDY)
    attributes = dict(node.attrs)
    if "medcolor" in attributes:  # of ours an absent shard is lost, of others' it is empty
        node = zarr.open_group(reading_store(folder), mode="r")
    return ZarrImage(folder, node, attributes, about["multiscales"][chosen])


def _about(group: zarr.Group) -> dict[str, Any]:
    """Return what a group says of itself; from version 0.5 on under a key of its own."""
    attributes = dict(group.attrs)
    found: Any = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def _series(folder: Path, group: zarr.Group) -> list[str]:
    """Return the names of the images in the layout of bioformats2raw."""
    listed = _about(group["OME"]).get("series") if "OME" in group else None  # type: ignore[arg-type]
    names = listed or sorted((key for key in group.group_keys() if key.isdecimal()), key=int)
    if not names:
        raise InputError(folder, "a layout of bioformats2raw without images", "Convert it again")
    return [str(name) for name in names]


def _chosen(folder: Path, names: list[str], settings: VolumeSettings) -> int:
    """Return the number of the only image, or of the one that is chosen by its name."""
    if settings.series is None and len(names) == 1:
        return 0
    if str(settings.series) in names:
        return names.index(str(settings.series))
    raise InputError(
        folder,
        f"{len(names)} images ({', '.join(names):.100})",
        f"Choose one: --set volume.series={names[0]}",
    )


def _what(about: dict[str, Any]) -> str:
    """Return in words what a group is that is no image."""
    if "plate" in about:
        return "a plate of several wells"
    if "well" in about:
        return "a well of several fields"
    return "a Zarr group without an image (`multiscales`) in its metadata"
