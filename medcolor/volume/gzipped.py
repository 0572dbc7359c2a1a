"""Files that may be gzip: their first bytes, and all of them, inflated once."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from medcolor.errors import InputError
from medcolor.volume.bounds import check_ratio
from medcolor.volume.staging import copy_bounded, make_once, version_of

_MAGIC = b"\x1f\x8b"


def read_head(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, inflated if it is gzip.

    Raises:
        InputError: Damaged gzip.
    """
    with _reading(path) as file:
        return file.read(count)


def inflated(path: Path, expected: int, staging: Path) -> Path:
    """Return a plain file of at least the bytes that a header promises.

    Args:
        path: The file itself, or a gzip of it; this is inflated once for as long as it does not
            change. No more than is expected is written, however much it would inflate to.
        expected: Bytes of header and voxels.
        staging: Folder for the inflated copy, which is whole or absent.

    Raises:
        InputError: Damaged, shorter, or out of all proportion.
    """

    def inflate(part: Path) -> None:
        with _reading(path) as source:
            copy_bounded(source, part, expected)

    file = path
    if _is_gzip(path):
        check_ratio(path, path.stat().st_size, expected)
        file = make_once(staging, version_of(path), ".raw", inflate)
    size = file.stat().st_size
    if size < expected:
        raise InputError(
            path,
            f"truncated: {size} bytes of voxels and header, expected {expected}",
            "Fetch the file again",
        )
    return file


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _MAGIC


@contextmanager
def _reading(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, inflating it if it is gzip."""
    opener = gzip.open if _is_gzip(path) else open
    try:
        with opener(path, "rb") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(path, f"damaged gzip file ({error})", "Fetch the file again") from error
