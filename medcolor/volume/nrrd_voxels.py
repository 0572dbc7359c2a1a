"""Where the voxels of an NRRD header lie: behind it, beside it or below it; plain or inflated."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from pathlib import Path
from typing import Any

from medcolor.errors import InputError
from medcolor.storage import path_below, plain_key
from medcolor.volume.bounds import check_ratio
from medcolor.volume.files import refuse_absent, without_dots
from medcolor.volume.staging import copy_bounded, make_once, version_of

_MOST_SKIPPED_BYTES = 1 << 20


def voxel_file(path: Path, header: dict[str, Any]) -> Path:
    """Return the file that holds the voxels: this one, or one beside or below it."""
    detached = header.get("data file", header.get("datafile"))
    if not detached:
        return path
    name = without_dots(str(detached))
    if "%" in name or re.fullmatch(r"LIST( \d+)?", name):
        raise InputError(path, "voxels in several files", "Save it as one .nrrd file")
    # A link to a file, as git-annex and DataLad lay them, is followed; one to a folder is not.
    file = path_below(path.parent, plain_key(name, path, "Save it as one .nrrd file"), path)
    refuse_absent(file)
    if not file.is_file():
        raise InputError(path, f"no file {name!r} of voxels beside it", "Put it there")
    return file


def flat_file(
    path: Path, header: dict[str, Any], encoding: str, begin: int, expected: int, staging: Path
) -> tuple[Path, int]:
    """Return the file of plain voxels and the byte they begin at."""
    file = voxel_file(path, header)
    begin = begin if file == path else 0
    skip = int(header.get("byte skip", 0))
    if int(header.get("line skip", 0)) or not -1 <= skip <= _MOST_SKIPPED_BYTES:
        raise InputError(path, "lines to skip before its voxels", "Save it as one .nrrd file")
    if encoding == "raw":
        offset = file.stat().st_size - expected if skip == -1 else begin + skip
        return file, max(0, offset)
    openers = {"gzip": gzip.open, "gz": gzip.open, "bzip2": bz2.open, "bz2": bz2.open}
    if encoding not in openers:
        raise InputError(path, f"encoding {encoding}, expected raw, gzip or bzip2", "Convert it")
    check_ratio(path, file.stat().st_size, expected)
    return _inflate(file, openers[encoding], begin, max(0, skip), expected, staging), 0


def _inflate(path: Path, opener: Any, begin: int, skip: int, expected: int, staging: Path) -> Path:
    """Inflate the voxels once, no more of them than the header promises."""

    def inflate(part: Path) -> None:
        try:
            with path.open("rb") as file:
                file.seek(begin)
                with opener(file, "rb") as source:
                    source.read(skip)
                    copy_bounded(source, part, expected)
        except (EOFError, gzip.BadGzipFile, zlib.error, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise InputError(path, "damaged voxels", "Fetch the file again") from error

    return make_once(staging, f"{version_of(path)} {expected}", ".raw", inflate)
