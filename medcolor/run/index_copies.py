"""Indexes in buckets: read and changed as local copies, which are kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from medcolor.cache import cache_folder
from medcolor.retrieval.index import is_index
from medcolor.retrieval.parts import is_part_name, part_paths
from medcolor.storage import ObjectPath, Place, copy_tree
from medcolor.storage.copies import forget_versions, upload


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
    """
    if isinstance(place, Path):
        yield place
        return
    with _alone_with_copy(place) as copy:
        _follow(place, copy)
        before = {path.name: path.stat().st_mtime_ns for path in part_paths(copy)}
        # Whoever is cut off leaves parts that are not those of the bucket: they are fetched again.
        forget_versions(copy, before)
        yield copy
        after = {path.name: path.stat().st_mtime_ns for path in part_paths(copy)}
        for name in sorted(after):
            if before.get(name) != after[name]:
                upload(copy / name, place / name)
        for name in sorted(set(before) - set(after)):
            (place / name).unlink()


@contextmanager
def _alone_with_copy(place: ObjectPath) -> Iterator[Path]:
    copy = cache_folder() / "indexes" / place.digest
    copy.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(copy.with_name(f"{copy.name}.copy.lock")):
        yield copy


def _follow(place: ObjectPath, copy: Path) -> None:
    """Make the copy the same as the bucket."""
    copy_tree(place, copy)
    for stale in {path.name for path in part_paths(copy)} - {one.name for one in place.files()}:
        (copy / stale).unlink()
