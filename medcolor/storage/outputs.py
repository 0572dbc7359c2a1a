"""Names of folders that are to be written: ones that promise a file, or are too long, are refused.

A folder named `t1.nii.gz` would be opened as NIfTI by whoever finds it.
"""

from __future__ import annotations

import os
from pathlib import Path

from medcolor.errors import InputError
from medcolor.storage.names import MOST_BYTES
from medcolor.storage.place import Place, place_of

_FILES = (
    ".nii.gz", ".nii", ".img", ".hdr", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm",
    ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".svg", ".pdf", ".mp4",
    ".webm", ".avi", ".mov", ".vti", ".vtk", ".stl", ".ply", ".obj", ".glb", ".gltf", ".usdz",
    ".h5", ".hdf5", ".npy", ".npz", ".zip", ".tar", ".gz", ".html", ".json", ".yaml", ".csv",
    ".parquet", ".txt",
)  # fmt: skip
"""Endings by which programs and people know files, longer ones before their ends."""

_EXPORTED = (".nii.gz", ".nii", ".nrrd", ".tif", ".tiff")
"""What `medcolor export` writes."""


def volume_to_write(text: str | os.PathLike[str] | Place) -> Place:
    """Return the place of a coloured volume, a folder.

    Raises:
        InputError: Its name promises a file, or is too long; or as `place_of`.
    """
    place = place_of(text)
    ending = _promised(place)
    stem = str(place)[: len(str(place)) - len(ending)]
    written = f"{stem}.ome.zarr"
    is_exported = ending in _EXPORTED
    then = f"; `medcolor export {written} {place}` then makes the file" if is_exported else ""
    return _checked(place, ending, "a coloured volume", f"Name it {written}{then}")


def folder_to_write(text: str | os.PathLike[str] | Place, what: str) -> Place:
    """Return the place of a folder.

    Args:
        text: Its path or address.
        what: It is to hold, for errors.

    Raises:
        InputError: Its name promises a file, or is too long; or as `place_of`.
    """
    place = place_of(text)
    ending = _promised(place)
    stem = str(place)[: len(str(place)) - len(ending)]
    return _checked(place, ending, what, f"Name a folder, as {stem}")


def _promised(place: Place) -> str:
    """Return the ending of a name by which it is taken for a file; or ''."""
    name = place.name
    return next((one for one in _FILES if name.lower().endswith(one)), "")


def _checked(place: Place, ending: str, what: str, remedy: str) -> Place:
    size = len(os.fsencode(place.name))
    if isinstance(place, Path) and size > MOST_BYTES:
        raise InputError(
            place,
            f"a name of {size} bytes, expected at most {MOST_BYTES}, as other names are made of it",
            "Give a shorter name",
        )
    is_folder = isinstance(place, Path) and place.is_dir()  # begun under this name before
    if ending and not is_folder:
        raise InputError(place, f"promises a {ending} file, and {what} is a folder", remedy)
    return place
