"""Slices that are read one by one, as one lazy volume."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from medcolor.errors import InputError


def stack_planes(
    place: object,
    read: Callable[[int], NDArray[np.float32]],
    count: int,
    shape: tuple[int, int],
) -> da.Array:
    """Return a volume (x, y, z), a chunk a slice.

    Args:
        place: What errors name.
        read: Returns slice z, (row, col).
        count: Of slices.
        shape: Rows and columns of each.
    """
    planes = _Planes(place, read, (count, *shape))
    name, meta = f"planes-{place}", np.empty(0)
    stacked = da.from_array(planes, chunks=(1, *shape), name=name, meta=meta)
    turned: da.Array = stacked.transpose(2, 1, 0)
    return turned


class _Planes:
    """As dask slices it. A graph with a task of its own for each slice takes dask hours to cull."""

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(
        self,
        place: object,
        read: Callable[[int], NDArray[np.float32]],
        shape: tuple[int, int, int],
    ) -> None:
        self._place, self._read, self.shape = place, read, shape

    def __getitem__(self, index: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        """Read what is asked for, (z, row, col)."""
        found = [self._one(z)[index[1:]] for z in range(self.shape[0])[index[0]]]
        return found[0][None] if len(found) == 1 else np.stack(found)

    def _one(self, z: int) -> NDArray[np.float32]:
        plane = self._read(z)
        if plane.shape != self.shape[1:]:
            raise InputError(
                f"{self._place}, slice {z}",
                f"{plane.shape} pixels, expected {self.shape[1:]}",
                "Fetch the file again",
            )
        return plane
