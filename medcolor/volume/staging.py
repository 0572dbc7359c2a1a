"""What has to be inflated or put together before slices can be read: made once, then mapped."""

from __future__ import annotations

import errno
import hashlib
import math
import os
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from medcolor.storage.durable import replacing
from medcolor.volume.geometry import chunks_of_slices

_PIECE_BYTES = 1 << 20
_MAPPED_BYTES = 1 << 26
_BUFFER = 1 << 16
"""Voxels that are scaled at once."""


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

    Mapped for one read at a time, and a part of the file at a time: pages of a map count as memory
    of the process, and a slice may lie across all of the file.
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
        picks: tuple[int | None, ...] = (None, None, None),
        slope: float = 1.0,
        intercept: float = 0.0,
    ) -> None:
        """Take where the voxels begin, and what makes values of them.

        Args:
            file: Holds them, with nothing between.
            stored: Their type.
            offset: Of the first, in bytes.
            shape: Of all axes.
            picks: For each axis the one index that is read along it; None for the three of space.
            slope: Values are slope * stored + intercept.
            intercept: In the unit of values.
        """
        self._file, self._stored, self._line = file, stored, (slope, intercept)
        self.shape = tuple(side for side, pick in zip(shape, picks, strict=True) if pick is None)
        while picks[-1] is not None:  # a whole volume before others
            offset += picks[-1] * math.prod(shape[:-1]) * stored.itemsize
            shape, picks = shape[:-1], picks[:-1]
        self._offset, self._sides, self._picks = offset, shape, picks

    def __getitem__(self, index: tuple[slice, ...]) -> NDArray[np.float32]:
        """Read what is asked for."""
        wanted = iter(index)
        where = [next(wanted) if pick is None else pick for pick in self._picks[:-1]]
        begin, end, _ = next(wanted).indices(self._sides[-1])
        shape = [len(range(side)[one]) for side, one in zip(self.shape, index, strict=True)]
        values = np.empty(shape, np.float32, "F")
        plane_bytes = math.prod(self._sides[:-1]) * self._stored.itemsize
        step = max(1, _MAPPED_BYTES // plane_bytes)
        for first in range(begin, end, step):
            sides = *self._sides[:-1], min(step, end - first)
            offset = self._offset + first * plane_bytes
            part = np.memmap(self._file, self._stored, "r", offset, sides, "F")
            self._scale(part[(*where, slice(None))], values[..., first - begin :][..., :step])
        return values

    def _scale(self, stored: NDArray[Any], values: NDArray[np.float32]) -> None:
        """Put values of stored voxels where they belong, without a copy of all in between."""
        if self._line == (1.0, 0.0):
            with np.errstate(over="ignore"):  # infinity is an error of who reads a slice
                values[...] = stored
            return
        slope, intercept = map(np.float64, self._line)
        pieces = np.nditer(
            [stored, values],
            ["external_loop", "buffered"],
            [["readonly"], ["writeonly"]],
            [np.dtype(np.float64), np.dtype(np.float32)],
            casting="same_kind",
            buffersize=_BUFFER,
        )
        with pieces, np.errstate(over="ignore"):
            for piece, value in pieces:
                value[...] = piece * slope + intercept


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
