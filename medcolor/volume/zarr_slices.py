"""Slices of a Zarr array, read as they are asked for, with few chunks in memory at once."""

from __future__ import annotations

import math
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from medcolor.errors import InputError
from medcolor.storage.zarr_stores import AbsentShardError
from medcolor.volume.bounds import MOST_CHUNK_BYTES

_SMALL_BYTES = MOST_CHUNK_BYTES // 16
"""Of a chunk, of which Zarr may hold ten."""

_one_large_chunk = Lock()
"""Threads read slices side by side."""


class ZarrSlices:
    """The chosen volume as dask slices it."""

    ndim = 3

    def __init__(self, folder: Path, stored: zarr.Array[Any], index: tuple[int, ...]) -> None:
        self._folder, self._stored, self._index = folder, stored, index
        self.shape, self.dtype = stored.shape[-3:], stored.dtype

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[Any]:
        try:
            return self._read(where)
        except OSError:
            raise
        except AbsentShardError as error:
            raise InputError(
                self._folder, f"{error.key} is gone or empty", "Fetch the image again"
            ) from None
        except Exception as error:  # codecs raise what they like
            raise InputError(
                self._folder, "a chunk of it is damaged", "Fetch the image again"
            ) from error

    def _read(self, where: tuple[slice, ...]) -> NDArray[Any]:
        """Read all at once, or where chunks are large one after the other: Zarr reads ten."""
        rows, cols = self._stored.chunks[-2:]
        is_small = math.prod(self._stored.chunks) * self.dtype.itemsize <= _SMALL_BYTES
        planes, height, width = (range(n)[i] for n, i in zip(self.shape, where, strict=True))
        if is_small:
            index: Any = (*self._index, *where)
            return np.asarray(self._stored[index])
        found = np.empty((len(planes), len(height), len(width)), self.dtype)
        for row in range(0, len(height), rows):
            for col in range(0, len(width), cols):
                block = slice(row, row + rows), slice(col, col + cols)
                index = (*self._index, where[0], *block)
                with _one_large_chunk:
                    found[:, block[0], block[1]] = self._stored[index]
        return found
