"""A zip archive of slices, unpacked once into the staging folder.

Names in an archive are not trusted: files are written under running numbers in the natural order
of their names. What it inflates to is bounded before and while it is read.
"""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path

from medcolor.errors import InputError
from medcolor.volume.files import natural_name_key
from medcolor.volume.staging import make_once, version_of

MAGIC = b"PK\x03\x04"
_MOST_TIMES = 200
"""Slices shrink to a twentieth at best; a bomb to a thousandth."""

_SLACK_BYTES = 64 << 20
_MOST_MEMBERS = 1_000_000


def unpack(path: Path, staging: Path) -> Path:
    """Unpack an archive and return the folder; it is kept as long as the archive does not change.

    Raises:
        InputError: Damaged, encrypted, empty, or out of all proportion.
    """

    def write(part: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _members(path, archive, path.stat().st_size)
                part.mkdir()
                for number, member in enumerate(members):
                    _unpack_one(archive, member, part / f"{number:06d}{_suffix(member.filename)}")
        except (OSError, InputError):
            raise
        except Exception as error:  # whatever a damaged archive makes zipfile raise
            raise InputError(path, "damaged zip archive", "Fetch the file again") from error

    return make_once(staging, version_of(path), "", write)


def _members(path: Path, archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    """Return the files of an archive in natural order: no folders, links, hidden or empty files."""
    members = [one for one in archive.infolist() if not one.is_dir() and one.file_size]
    members = [one for one in members if not stat.S_ISLNK(one.external_attr >> 16)]
    members = [one for one in members if not Path(one.filename).name.startswith(".")]
    if not members:
        raise InputError(path, "an archive without files", "Give a zip of one series")
    if any(one.flag_bits & 1 for one in members):
        raise InputError(path, "an encrypted archive", "Unpack it first")
    total = sum(one.file_size for one in members)
    if total > _MOST_TIMES * size + _SLACK_BYTES or len(members) > _MOST_MEMBERS:
        raise InputError(
            path,
            f"{size} bytes that would unpack to {total} in {len(members)} files",
            "Unpack it first if you trust it",
        )
    return sorted(members, key=lambda one: natural_name_key(one.filename))


def _unpack_one(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write a file; not a byte more than its entry promises."""
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as file:
        while piece := source.read(1 << 20):
            left -= len(piece)
            if left < 0:
                raise zipfile.BadZipFile
            file.write(piece)
    if left:
        raise zipfile.BadZipFile


def _suffix(name: str) -> str:
    """Return the harmless end of a name."""
    found = re.search(r"\.[A-Za-z0-9]{1,6}$", name)
    return found[0].lower() if found else ""
