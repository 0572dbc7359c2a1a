"""`medcolor fetch`: pictures and volumes out of object storage; parallel, resumed, verified.

A picture set carries `checksums.json` (SHA-256 by file). What has none is compared with the MD5
that stores give objects put in one piece, else by its size.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medcolor.errors import InputError, RunError, some_of
from medcolor.progress import ProgressReport
from medcolor.storage import ObjectPath, read_object, write_atomic
from medcolor.storage.durable import move_into_place
from medcolor.storage.names import path_below, writing_no_link
from medcolor.storage.object_path import speaking_of

CHECKSUMS = "checksums.json"
_SET = "render.json"
_AT_ONCE = 8
_PIECE_BYTES = 4 << 20
_NAMED = 5
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')

Part = Literal["all", "video", "frames", "sections", "page"]
_PATTERNS: dict[Part, tuple[str, ...]] = {
    "all": ("*",),
    "video": ("*.mp4", "*.webp"),
    "frames": ("*frames/*.png", "*stills/*.png", "*grey/*.png"),
    "sections": ("*sections/*.png",),
    "page": ("*index.html",),
}


PARTS = tuple(_PATTERNS)


@dataclass(frozen=True)
class Listed:
    """An object of a source."""

    key: str
    """Below the source."""

    size: int
    mark: str
    """Changes with its content."""


@dataclass(frozen=True)
class Fetched:
    """What came of it."""

    fetched: int
    kept: int
    unverified: int
    """Of both, those of which the store tells nothing but the size."""

    megabytes: float

    def __str__(self) -> str:
        """Return one line."""
        told = f", {self.unverified} by size alone" if self.unverified else ""
        return f"{self.fetched} fetched, {self.kept} kept, {self.megabytes:.1f} MB; verified{told}"


def list_objects(source: ObjectPath, part: Part = "all") -> list[Listed]:
    """Return the objects below a place, in order.

    Raises:
        InputError: None, or a key that is no path below a folder.
    """
    found = []
    for key, size, mark in source.versions():
        below = key or source.name
        _refuse_streams(source, below)
        if any(fnmatch.fnmatch(below, pattern) for pattern in _PATTERNS[part]):
            found.append(Listed(below, size, mark))
    if not found:
        raise InputError(source, f"no objects ({part})", "Check the address; see --list")
    return found


def latest_set(source: ObjectPath) -> ObjectPath:
    """Return the picture set below a place that was finished last.

    Raises:
        InputError: There is none.
    """
    sets, whole = source.modified(_SET), source.modified(CHECKSUMS)
    # Checksums are written last: a set without them is in the making.
    finished = {key: at for key, at in sets.items() if key.removesuffix(_SET) + CHECKSUMS in whole}
    if not finished:
        raise InputError(source, f"no picture set below it ({_SET})", "Give a folder of them")
    newest = max(finished, key=lambda key: (finished[key], key))
    folder = newest.rpartition("/")[0]
    return source / folder if folder else source


def fetch(
    source: ObjectPath, target: Path, progress: ProgressReport, *, part: Part = "all"
) -> Fetched:
    """Bring objects into a folder; whole ones that are there are kept, cut ones continued.

    Args:
        source: An object, or all below a place.
        target: Folder; nothing is written outside it.
        progress: Told the files.
        part: Which of a picture set.

    Raises:
        InputError: Nothing there, or a key that would lead out of the folder.
        RunError: Some came damaged twice or not at all; the others are kept.
    """
    listed = list_objects(source, part)
    sums = _checksums(source)
    progress.begin("files", len(listed))

    def one(item: Listed) -> tuple[str, str]:
        place = source if item.key == source.name and not source.is_dir() else source / item.key
        try:
            return _have(place, item, path_below(target, item.key, source), sums.get(item.key))
        except RunError as error:
            return "bad", str(error.args[1])
        except OSError as error:
            return "bad", error.strerror or type(error).__name__
        finally:
            progress.advance(1)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(one, listed))
    bad = [
        f"{item.key} ({why})"
        for item, (state, why) in zip(listed, outcomes, strict=True)
        if state == "bad"
    ]
    if bad:
        raise RunError(
            source,
            f"{len(bad)} of {len(listed)} could not be had: {some_of(bad, _NAMED)}",
            "Run the same command again: what is there is kept",
        )
    states = [state for state, _ in outcomes]
    return Fetched(
        states.count("fetched"),
        states.count("kept"),
        sum(why == "size" for _, why in outcomes),
        sum(item.size for item in listed) / 1e6,
    )


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file of a folder beside them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    sums = {path.relative_to(folder).as_posix(): _sha256(path) for path in files}
    write_atomic(folder / CHECKSUMS, (json.dumps(sums, indent=1, sort_keys=True) + "\n").encode())


def _checksums(source: ObjectPath) -> dict[str, str]:
    content = read_object(source / CHECKSUMS) or {}
    return {str(key): str(value) for key, value in content.items()}


def _have(place: ObjectPath, item: Listed, path: Path, sha256: str | None) -> tuple[str, str]:
    """Make sure of one file; wrong bytes are fetched once more from the start."""
    right, how = _judge(item, sha256)
    if path.is_file() and right(path):
        return "kept", how
    part = path.with_name(f".{path.name}.part")
    stamp = path.with_name(f".{path.name}.part.version")
    path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        if not (stamp.is_file() and part.is_file() and stamp.read_text() == item.mark):
            part.unlink(missing_ok=True)
            write_atomic(stamp, item.mark.encode())
        _append(place, item, part)
        if right(part):
            move_into_place(part, path)
            stamp.unlink(missing_ok=True)
            return "fetched", how
        part.unlink(missing_ok=True)
    stamp.unlink(missing_ok=True)
    return "bad", "damaged twice"


def _append(place: ObjectPath, item: Listed, part: Path) -> None:
    """Fetch what is missing, piece by piece."""
    import obstore

    with writing_no_link(part, "ab") as file, speaking_of(place):
        for start in range(file.tell(), item.size, _PIECE_BYTES):
            end = min(start + _PIECE_BYTES, item.size)
            file.write(bytes(obstore.get_range(place.store, place.key, start=start, end=end)))
            file.flush()
    if item.size == 0:
        part.touch()


def _judge(item: Listed, sha256: str | None) -> tuple[Callable[[Path], bool], str]:
    """Return how a file is known to be right, and by what."""
    if sha256 is not None:
        return lambda path: _sha256(path) == sha256, "sha256"
    md5 = _MD5.fullmatch(item.mark)
    if md5 is not None:
        return lambda path: _digest(path, "md5") == md5[1], "md5"
    return lambda path: path.stat().st_size == item.size, "size"


def _refuse_streams(source: ObjectPath, key: str) -> None:
    """Refuse what Windows takes for a second stream of a file: pictures are looked at there."""
    if ":" in key:
        raise InputError(source, f"a key with a colon: {key!r}", "Rename the object")


def _sha256(path: Path) -> str:
    return _digest(path, "sha256")


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
