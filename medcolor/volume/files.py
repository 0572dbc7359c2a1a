"""Finding and naming the files of an input."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import overload

from medcolor.errors import InputError
from medcolor.storage import ObjectPath, Place

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
RAW_SUFFIXES = (".raw", ".raw.z")


def natural_key(path: Place) -> tuple[object, ...]:
    """Sort key of a file by its name, under which slice-9 comes before slice-10."""
    return natural_name_key(path.name)


def natural_name_key(name: str) -> tuple[object, ...]:
    """Sort key of a name, under which slice-9 comes before slice-10."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


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


@overload
def list_photographs(folder: Path) -> list[Path]: ...
@overload
def list_photographs(folder: Place) -> list[Place]: ...
def list_photographs(folder: Place) -> list[Path] | list[Place]:
    """Return the image files and raw cryosections of a folder in natural order."""
    return [
        path
        for path in list_files(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES or is_raw_photograph(path.name)
    ]


def photograph_stem(path: Place) -> str:
    """Return the name of a photograph without all that says how it is stored."""
    for suffix in RAW_SUFFIXES[::-1]:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def version_of_input(place: Place) -> str:
    """Name a file, or all files of a folder, by names, sizes and times of change.

    Raises:
        InputError: There is nothing.
    """
    if isinstance(place, ObjectPath):
        found = [f"{key} {size} {version}" for key, size, version in place.versions()]
    else:
        files = [place] if place.is_file() else sorted(place.rglob("*"))
        stats = ((path, path.stat()) for path in files if path.is_file())
        found = [f"{path.relative_to(place)} {s.st_size} {s.st_mtime_ns}" for path, s in stats]
    if not found:
        raise InputError(place, "no such file or folder", "Check the path")
    return hashlib.blake2b("\n".join(found).encode(), digest_size=16).hexdigest()


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
