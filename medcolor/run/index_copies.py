"""Indexes in buckets: read and changed as local copies, which are kept in the cache.

Others may change the bucket meanwhile. New parts are created under names that are free, changed
ones replaced only if they are still those that were read: nobody's rows are lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medcolor.cache import cache_folder
from medcolor.errors import InputError, RunError
from medcolor.retrieval.index import ReferenceIndex, is_index, read_index, remove_rows
from medcolor.retrieval.parts import (
    is_part_name,
    keep_rows,
    next_number,
    open_part,
    part_path,
    part_paths,
    read_records,
)
from medcolor.storage import ObjectPath, Place, copy_tree
from medcolor.storage.copies import forget_versions, version_of_copy
from medcolor.storage.locks import alone_with

if TYPE_CHECKING:
    from obstore import UpdateVersion


_OURS = ".ours-"
"""How the names of new parts begin while those of others are fetched."""


_ATTEMPTS = 8
"""To change an index in a bucket that others change, too."""


class IndexChangedError(RunError):
    """Another process has changed an index in a bucket since it was read."""


def is_index_place(place: Place) -> bool:
    """Tell an index from a folder of photographs, wherever it lies."""
    if isinstance(place, Path):
        return is_index(place)
    return any(is_part_name(one.name) for one in place.files())


def local_index(place: Place) -> Path:
    """Return an index, or the up-to-date local copy of one in a bucket."""
    if isinstance(place, Path):
        return place
    with _alone_with_copy(place) as copy:
        _follow(place, copy)
    return copy


@contextmanager
def updating(place: Place) -> Iterator[Path]:
    """Yield a local folder with the contents of `place`, and write back what has changed.

    Of several processes of a machine one has the copy of an index in a bucket until it has written
    it back: another would take what is not in the bucket yet for stale.

    Raises:
        IndexChangedError: Another machine has changed a part that was changed here, or has built
            an index where there was none.
        InputError: Another machine has added other photographs of the same names.
    """
    if isinstance(place, Path):
        yield place
        return
    with _alone_with_copy(place) as copy:
        for left in copy.glob(f"{_OURS}*"):  # by one that was cut off
            left.unlink()
        _follow(place, copy)
        before = _times(copy)
        versions = {name: version_of_copy(copy / name) for name in before}
        # Whoever is cut off leaves parts that are not those of the bucket: they are fetched again.
        forget_versions(copy, before)
        yield copy
        after = _times(copy)
        for name in sorted(after.keys() & before.keys()):
            if before[name] != after[name]:
                _replace(place / name, copy / name, versions[name])
        for name in sorted(before.keys() - after.keys()):
            (place / name).unlink()
        _add(place, copy, sorted(after.keys() - before.keys()), is_first=not before)


def remove_references(place: Place, ids: Sequence[str]) -> ReferenceIndex:
    """Remove photographs from an index, wherever it lies, and return what is left.

    If another machine changes it in a bucket meanwhile, what is left to remove is removed of that.

    Raises:
        InputError: An id is not there, or none would be left.
        IndexChangedError: Others change it time and again.
    """
    for attempt in range(_ATTEMPTS):
        try:
            with updating(place) as folder, alone_with(folder):
                index = read_index(folder)
                held = {record.reference_id for record in index.records}
                left = [one for one in ids if one in held] if attempt else ids
                return remove_rows(index, left) if left else index
        except IndexChangedError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _times(copy: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in part_paths(copy)}


def _replace(place: ObjectPath, file: Path, version: UpdateVersion | None) -> None:
    """Write a part over the one that was read."""
    content = file.read_bytes()
    is_replaced = version is not None and place.replace_version(content, version)
    if not is_replaced and place.read_bytes() != content:  # ours, if an answer was lost
        raise IndexChangedError(
            place, "another process has changed it meanwhile", "Run the same command again"
        )


def _add(place: ObjectPath, copy: Path, names: list[str], *, is_first: bool) -> None:
    """Create new parts; if others have added some meanwhile, after theirs."""
    while names:
        content = (copy / names[0]).read_bytes()
        if (place / names[0]).create(content) or (place / names[0]).read_bytes() == content:
            names = names[1:]
        elif is_first:
            raise IndexChangedError(
                place,
                "another process has built an index there meanwhile",
                "Append to that one, or name another place",
            )
        else:
            names = _after_theirs(place, copy, names)


def _after_theirs(place: ObjectPath, copy: Path, names: list[str]) -> list[str]:
    """Fetch what others have added, take from our new parts what theirs hold; return new names."""
    ours = [(copy / name).replace(copy / f"{_OURS}{name}") for name in names]
    _follow(place, copy)
    theirs = read_index(copy)
    held = dict(zip(theirs.digests, theirs.records, strict=True))
    taken = {record.reference_id for record in theirs.records}
    renamed = []
    for path in ours:
        rows = read_records(open_part(path))
        kept = np.array([digest not in held for _, digest in rows], bool)
        for (record, _), is_kept in zip(rows, kept, strict=True):
            if is_kept and record.reference_id in taken:
                raise InputError(
                    record.path,
                    f"{place} holds another photograph of this name by now",
                    "Remove that one first, or rename this one",
                )
        keep_rows(open_part(path), kept)
        if kept.any() or open_part(path).empty:
            renamed.append(path.replace(part_path(copy, next_number(copy))).name)
        else:
            path.unlink()
    return renamed


@contextmanager
def _alone_with_copy(place: ObjectPath) -> Iterator[Path]:
    copy = cache_folder() / "indexes" / place.digest
    with alone_with(copy.with_name(f"{copy.name}.copy")):
        yield copy


def _follow(place: ObjectPath, copy: Path) -> None:
    """Make the copy the same as the bucket."""
    copy_tree(place, copy)
    for stale in {path.name for path in part_paths(copy)} - {one.name for one in place.files()}:
        (copy / stale).unlink()
