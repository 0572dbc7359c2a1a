"""What has to be inflated or put together before slices can be read: made once, then mapped."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from medcolor.storage.durable import replacing
from medcolor.volume.geometry import chunks_of_slices

_PIECE_BYTES = 1 << 20


def version_of(path: Path) -> str:
    """Name a file as it is now: another size or time is another version."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def make_once(staging: Path, version: str, suffix: str, make: Callable[[Path], None]) -> Path:
    """Return the file or folder of this version in `staging`; `make` makes it if it is absent.

    It is whole or absent, also if several processes make it at once.
    """
    made = staging / f"{hashlib.blake2b(os.fsencode(version), digest_size=8).hexdigest()}{suffix}"
    if made.exists():
        return made
    try:
        with replacing(made) as part:
            make(part)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not made.exists():
            raise
        # Of two processes that unpack a folder the other was quicker.
    return made


def copy_bounded(source: BufferedIOBase, target: Path, count: int) -> None:
    """Write the first `count` bytes of a stream, or all there are, and never more.

    One byte more is asked for: behind the last one a compressed stream compares its checksum.
    """
    with target.open("wb") as file:
        while count and (piece := source.read(min(_PIECE_BYTES, count))):
            file.write(piece)
            count -= len(piece)
    source.read(1)


class FlatVoxels:
    """Plain voxels in a file, first axis fastest, as dask slices them: float32, scaled.

    Mapped for one read at a time: pages of a lasting map count as memory of the process.
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(
        self,
        file: Path,
        stored: np.dtype[Any],
        offset: int,
        shape: tuple[int, ...],
        *,
        slope: float = 1.0,
        intercept: float = 0.0,
    ) -> None:
        """Take where the voxels of three axes begin, and what makes values of them."""
        self._map = partial(np.memmap, file, stored, "r", offset, shape, "F")
        self._slope, self._intercept = slope, intercept
        self.shape = shape

    def __getitem__(self, index: tuple[slice, ...]) -> NDArray[np.float32]:
        """Read what is asked for."""
        stored = np.array(self._map()[index])
        with np.errstate(over="ignore"):  # infinity is an error of who reads a slice
            if (self._slope, self._intercept) == (1.0, 0.0):
                return stored.astype(np.float32)
            return np.asarray(stored * np.float64(self._slope) + self._intercept, np.float32)


def put_together(
    stored: da.Array, affine: NDArray[np.float64], version: str, staging: Path
) -> da.Array:
    """Write a volume whose stored slices are not axial into one file: an axial one crosses all.

    Args:
        stored: Axes (i, j, k), in chunks of whole slices along k; physical values.
        affine: Index (i, j, k, 1) to mm in RAS.
        version: Says whether a file that was made before is of the same values.
        staging: Folder for it.

    Returns:
        The same, float32, in chunks such that each is one slice of what `to_lps` makes of them.
    """

    def write(part: Path) -> None:
        with part.open("wb") as file:
            for block in stored.blocks.ravel():
                values = block.compute(scheduler="synchronous").astype(np.float32)
                file.write(values.tobytes(order="F"))

    path = make_once(staging, version, ".raw", write)
    voxels = FlatVoxels(path, np.dtype(np.float32), 0, stored.shape)
    chunks = chunks_of_slices(affine, stored.shape)
    name = f"staged-{path.stem}"
    staged: da.Array = da.from_array(voxels, chunks=chunks, name=name, meta=np.empty(0))
    return staged
