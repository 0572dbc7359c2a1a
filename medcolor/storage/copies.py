"""Copies between buckets and local folders, many objects at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medcolor.errors import InputError
from medcolor.storage.durable import is_unfinished, replacing
from medcolor.storage.names import path_below
from medcolor.storage.object_path import ObjectPath, content_type, needing_bucket, speaking_of
from medcolor.storage.place import Place, read_object, write_json

if TYPE_CHECKING:
    from obstore import GetOptions, UpdateVersion

_AT_ONCE = 16
"""Objects on their way at a time."""

_PIECE_BYTES = 8 << 20
_VERSION = ".version"
_VERSION_KEYS: tuple[Literal["e_tag", "version"], ...] = ("e_tag", "version")
"""What stores name a version by."""


def local_copy(place: Place, folder: Path) -> Path:
    """Return a local path with the contents of `place`; of a bucket, a copy in `folder`.

    What is there already in the same version is kept.

    Raises:
        InputError: Nothing there, or a key that is no path.
    """
    if isinstance(place, Path):
        return place
    copy = path_below(folder, f"{place.digest}/{place.name or place.bucket}", place)
    if place.is_file():
        download(place, copy)
        return copy
    if not place.is_dir():
        raise InputError(place, "no such object or folder", "Check the address")
    copy_tree(place, copy)
    there = {key for key, _ in place.walk()}
    for path in [one for one in copy.rglob("*") if one.is_file()]:
        is_copy = path.suffix != _VERSION and not is_unfinished(path)
        if is_copy and path.relative_to(copy).as_posix() not in there:  # deleted there since
            path.unlink()
    return copy


def copy_tree(source: Place, target: Place) -> int:
    """Copy all files below `source` to the same names below `target`; return how many.

    One of the two is local. What `target` holds under other names stays.

    Raises:
        InputError: A key that is no path below a folder.
    """
    if isinstance(source, ObjectPath) and isinstance(target, Path):
        keys = [key for key, _ in source.walk()]
        return _all(lambda key: download(source / key, path_below(target, key, source)), keys)
    if isinstance(source, Path) and isinstance(target, ObjectPath):
        files = sorted(path for path in source.rglob("*") if path.is_file())
        return _all(lambda path: upload(path, target / path.relative_to(source).as_posix()), files)
    raise ValueError("one side of a copy is local, the other is in a bucket")


def download(source: ObjectPath, target: Path) -> None:
    """Copy an object into a file, whole or not at all; the same version is not fetched twice.

    Raises:
        InputError: No such object; or a link or a folder of this name is in the way.
    """
    import obstore
    from obstore.exceptions import NotModifiedError

    known = (version_of_copy(target) or {}).get("e_tag")
    with speaking_of(source):
        try:
            options: GetOptions = {} if known is None else {"if_none_match": known}
            found = obstore.get(source.store, source.key, options=options)
        except NotModifiedError:
            return
        except FileNotFoundError as error:
            raise InputError(
                source,
                "listed, but not there: gone since, or its key ends in a slash",
                "Look at it",
            ) from error
        with (
            _speaking_of_double_keys(source),
            replacing(target) as part,
            part.open("wb") as file,
        ):
            for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                file.write(piece)
    version = {key: found.meta[key] for key in _VERSION_KEYS if found.meta[key] is not None}
    write_json(_stamp(target), {"bytes": target.stat().st_size, "version": version})


def version_of_copy(target: Path) -> UpdateVersion | None:
    """Return which version of an object a copy is; None if none is known, or it was cut since."""
    stamp = read_object(_stamp(target)) or {}
    if not target.is_file() or stamp.get("bytes") != target.stat().st_size:
        return None
    version: UpdateVersion = stamp["version"]
    return version


@contextmanager
def _speaking_of_double_keys(source: ObjectPath) -> Iterator[None]:
    """A bucket may hold `a` and `a/b`, a folder cannot."""
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InputError(
            source, "its key begins that of another object, or the other way", "Rename one of them"
        ) from error


def forget_versions(folder: Path, names: Iterable[str]) -> None:
    """Let files of a copied folder be fetched again the next time."""
    for name in names:
        _stamp(folder / name).unlink(missing_ok=True)


def _stamp(target: Path) -> Path:
    """Return the file that says which version of an object a copy is."""
    return target.with_name(f".{target.name}{_VERSION}")


def upload(source: Path, target: ObjectPath) -> None:
    """Copy a file into a bucket with the type that browsers expect; large ones in parts."""
    import obstore

    with speaking_of(target), needing_bucket(target):
        obstore.put(
            target.store,
            target.key,
            source,
            attributes={"Content-Type": content_type(source.name)},
        )


def _all(copy: Callable[[Any], None], items: Iterable[Any]) -> int:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return len(list(pool.map(copy, items)))
