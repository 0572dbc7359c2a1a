"""Local files that outlast a power cut: on the disk, and so is their name, before anything says so.

What is written goes under a temporary name, is flushed to the disk, takes its name, and then the
folder is flushed. A file is therefore whole or absent, and a marker written after it is never there
without it. Temporary names are random: nodes may share the folder, and process ids repeat.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".partial-"
"""How temporary names begin, and are told from all others; their endings stay, by which some
writers know what to write."""

BEING_WRITTEN = rf"{re.escape(UNFINISHED)}[0-9a-f]{{32}}-"
"""The same as a pattern, in front of that of a name."""

Content = bytes | memoryview

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
# As PostgreSQL has it (fsync_fname_ext): some systems open no folder, some flush none.
_FOLDER_NOT_OPENED = (errno.EISDIR, errno.EACCES)
_FOLDER_NOT_FLUSHED = (errno.EBADF, errno.EINVAL, errno.ENOTSUP)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name; what is written there, file or folder, becomes `path` at the end.

    After an error nothing of it is left, and what lay at `path` stays.
    """
    make_folders(path.parent)
    part = temporary_name(path)
    try:
        yield part
        move_into_place(part, path)
    finally:
        delete_local(part)


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that nobody else uses."""
    return path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{path.name}")


def is_unfinished(path: Path) -> bool:
    """Tell a file that is being written, or was when its writer was killed."""
    return path.name.startswith(UNFINISHED)


def move_into_place(part: Path, path: Path) -> None:
    """Flush a file or a folder with all in it, and give it its name."""
    flush(part)
    part.replace(path)
    flush_folder(path.parent)


def delete_local(path: Path) -> None:
    """Delete a folder or a file, of a link the link; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_file(path: Path, content: Content) -> None:
    """Write a file that is whole or absent."""
    with replacing(path) as part:
        part.write_bytes(content)


def create_file(path: Path, content: Content) -> bool:
    """Write a file unless there is one; return whether this call wrote it. Of several one wins."""
    if path.exists():
        return False
    make_folders(path.parent)
    part = temporary_name(path)
    try:
        part.write_bytes(content)
        flush(part)
        is_ours = _link(part, path)
    finally:
        part.unlink(missing_ok=True)
    flush_folder(path.parent)
    return is_ours


def _link(part: Path, path: Path) -> bool:
    """Give a file a second name unless that is taken: it shows the file whole."""
    try:
        os.link(part, path)
    except FileExistsError:
        return path.samefile(part)  # a network file system may have asked twice
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _create_without_links(part, path)
    return True


def _create_without_links(part: Path, path: Path) -> bool:
    """Create a file where the file system has no links: for a moment it may be seen unfinished."""
    try:
        with path.open("xb") as file:
            file.write(part.read_bytes())
            _flush_open(file.fileno())
    except FileExistsError:
        return False
    return True


def make_folders(folder: Path) -> None:
    """Create a folder and those above it, and flush their names."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    flush_folder(folder.parent)


def flush(path: Path) -> None:
    """Flush a file, or a folder and all below."""
    if path.is_dir():
        for below in path.iterdir():
            flush(below)
        flush_folder(path)
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        _flush_open(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _FOLDER_NOT_OPENED:
            return
        raise
    try:
        _flush_open(descriptor)
    except OSError as error:
        if error.errno not in _FOLDER_NOT_FLUSHED:
            raise
    finally:
        os.close(descriptor)


def _flush_open(descriptor: int) -> None:
    os.fsync(descriptor)
