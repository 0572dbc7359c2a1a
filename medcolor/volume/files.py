"""Finding and naming the files of an input."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import overload

from medcolor.errors import InputError
from medcolor.storage import ObjectPath, Place, path_below

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
RAW_SUFFIXES = (".raw", ".raw.z")
_HEADERS = (".hdr", ".hdr.gz", ".nhdr")
_DATA_FILE = re.compile(rb"^data ?file: *([^\r\n]+)", re.MULTILINE)
_MOST_HEADER_BYTES = 1 << 16
_POINTERS = (b"/annex/objects/", b"version https://git-lfs.github.com/spec/")
_MOST_POINTER_BYTES = 1 << 10
_FETCH = "Fetch it (git annex get, datalad get, git lfs pull)"


def natural_key(path: Place) -> tuple[object, ...]:
    """Sort key of a file by its name, under which slice-9 comes before slice-10."""
    return natural_name_key(path.name)


def natural_name_key(name: str) -> tuple[object, ...]:
    """Sort key of a name, under which slice-9 comes before slice-10."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


@overload
def list_files(folder: Path) -> list[Path]: ...
@overload
def list_files(folder: Place) -> list[Place]: ...
def list_files(folder: Place) -> list[Path] | list[Place]:
    """Return the visible files of a folder in natural order."""
    if isinstance(folder, ObjectPath):
        files: list[Place] = [*folder.files()]
    else:
        files = [path for path in folder.iterdir() if path.is_file()]
    return sorted((path for path in files if path.name[0] != "."), key=natural_key)


@overload
def list_images(folder: Path) -> list[Path]: ...
@overload
def list_images(folder: Place) -> list[Place]: ...
def list_images(folder: Place) -> list[Path] | list[Place]:
    """Return the image files of a folder in natural order."""
    return [path for path in list_files(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def is_raw_photograph(name: str) -> bool:
    """Tell a Visible Human cryosection without a header by its name."""
    return name.lower().endswith(RAW_SUFFIXES)


def is_photograph(name: str) -> bool:
    """Tell an image or a raw cryosection by its name."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES or is_raw_photograph(name)


@overload
def list_photographs(folder: Path) -> list[Path]: ...
@overload
def list_photographs(folder: Place) -> list[Place]: ...
def list_photographs(folder: Place) -> list[Path] | list[Place]:
    """Return the image files and raw cryosections of a folder in natural order."""
    return [path for path in list_files(folder) if is_photograph(path.name)]


def photograph_stem(path: Place) -> str:
    """Return the name of a photograph without all that says how it is stored."""
    for suffix in RAW_SUFFIXES[::-1]:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def version_of_input(place: Place) -> str:
    """Name an input by names, sizes and times of change of its files; content is not read.

    Raises:
        InputError: There is nothing.
    """
    return _named(place, [f"{name} {size} {mark}" for name, size, mark in _files_of_input(place)])


def sizes_of_input(place: Place) -> str:
    """Name an input by names and sizes of its files alone: copies on other machines are alike.

    Raises:
        InputError: There is nothing.
    """
    return _named(place, [f"{name} {size}" for name, size, _ in _files_of_input(place)])


def _files_of_input(place: Place) -> list[tuple[str, int, str]]:
    """Return name, size and mark of a file and what may belong to it, or of all of a folder."""
    if isinstance(place, ObjectPath):
        return place.versions()
    if place.is_file():
        # The voxels of a header lie beside it, under any name.
        is_header = place.name.lower().endswith(_HEADERS)
        files = [*place.parent.iterdir(), *_voxels_below(place)] if is_header else [place]
    else:
        files = [*place.rglob("*"), *place.with_name(f"{place.name}Headers").rglob("*")]
    stats = ((path, path.stat()) for path in sorted(files) if path.is_file())
    return [(path.name, status.st_size, str(status.st_mtime_ns)) for path, status in stats]


def _voxels_below(header: Path) -> list[Path]:
    """Return the file of voxels that an NRRD header names in a folder below its own, if it does."""
    with header.open("rb") as file:
        found = _DATA_FILE.search(file.read(_MOST_HEADER_BYTES))
    try:
        name = found[1].decode("utf-8", "surrogateescape").strip() if found else ""
        return [path_below(header.parent, without_dots(name))] if "/" in name else []
    except InputError:  # whoever reads it says so
        return []


def without_dots(key: str) -> str:
    """Return a path without the parts that stand for the folder itself: `./a` is `a`."""
    return "/".join(part for part in key.split("/") if part != ".")


def refuse_absent(path: Path) -> None:
    """Refuse a file that only stands for content elsewhere, which is not here.

    So git-annex and DataLad leave files that were not fetched: links to nothing, or pointers of a
    line of text, and Git LFS likewise.

    Raises:
        InputError: It is one.
    """
    if path.is_symlink() and not path.exists():
        raise InputError(path, "a link to what is not here", f"{_FETCH}, or take the link away")
    if not path.is_file() or not 0 < path.stat().st_size <= _MOST_POINTER_BYTES:
        return
    with path.open("rb") as file:
        if file.read(_MOST_POINTER_BYTES).startswith(_POINTERS):
            raise InputError(path, "a pointer to content that is not here", _FETCH)


def refuse_absent_below(folder: Path) -> None:
    """Refuse a folder in which files stand for content that is not here; of hidden ones Zarr's.

    Raises:
        InputError: There is one.
    """
    for parent, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") or name.startswith(".z"):
                refuse_absent(Path(parent, name))


def _named(place: Place, found: list[str]) -> str:
    if not found:
        raise InputError(place, "no such file or folder", "Check the path")
    return hashlib.blake2b(os.fsencode("\n".join(found)), digest_size=16).hexdigest()


def digest_file(path: Place) -> str:
    """Return a digest of a file's content."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(path, ObjectPath):
        digest.update(path.read_bytes())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_files(files: Iterable[Place]) -> str:
    """Return a digest of the files' contents in order; names do not enter."""
    total = hashlib.blake2b(digest_size=16)
    for path in files:
        total.update(bytes.fromhex(digest_file(path)))
    return total.hexdigest()
