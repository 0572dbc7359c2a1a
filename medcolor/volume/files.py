"""Finding and naming the files of an input."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def natural_key(path: Path) -> tuple[object, ...]:
    """Sort key of a file by its name, under which slice-9 comes before slice-10."""
    return natural_name_key(path.name)


def natural_name_key(name: str) -> tuple[object, ...]:
    """Sort key of a name, under which slice-9 comes before slice-10."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def list_files(folder: Path) -> list[Path]:
    """Return the visible files of a folder in natural order."""
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    return sorted(files, key=natural_key)


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order."""
    return [path for path in list_files(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def digest_file(path: Path) -> str:
    """Return a digest of a file's content."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest_files(files: Iterable[Path]) -> str:
    """Return a digest of the files' contents in order; names do not enter."""
    total = hashlib.blake2b(digest_size=16)
    for path in files:
        total.update(bytes.fromhex(digest_file(path)))
    return total.hexdigest()
