"""Locks: of the processes that change one thing, on whichever machines, one at a time does."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from medcolor.errors import RunError
from medcolor.storage.durable import make_folders

_log = logging.getLogger(__name__)
_PATIENCE_S = 1.0
"""Waited for before it is said that there is something to wait for."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def alone_with(place: Path) -> Iterator[None]:
    """Hold the lock that lies beside a file or folder, which need not be there.

    The system takes it from a process that dies.

    Raises:
        RunError: The file system has no locks, or the folder cannot be written to.
    """
    there = place.resolve()  # however it is called
    make_folders(there.parent)
    lock = FileLock(there.with_name(f".{there.name}.lock"))
    try:
        try:
            lock.acquire(timeout=_PATIENCE_S)
        except Timeout:
            _log.info("%s: waiting for another process to end with it", place)
            lock.acquire()
    except NotImplementedError as error:
        raise _no_lock(place, str(error)) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise _no_lock(place, str(error.strerror)) from error
    try:
        yield
    finally:
        lock.release()


def _no_lock(place: Path, why: str) -> RunError:
    return RunError(
        place,
        f"cannot be locked against other processes ({why})",
        "Choose a folder that can be written to, on a file system with locks, or a bucket",
    )
