"""Descriptors of an index as one matrix: decoded once a machine, then mapped by every process."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from medcolor.errors import InputError
from medcolor.retrieval.parts import Part, read_descriptors
from medcolor.storage.durable import replacing

SHARED_FROM_BYTES = 64 * 2**20
"""Matrices from this size on are kept decoded in a file beside the parts, which the system's page
cache shares among processes; smaller ones are decoded in a fraction of a second."""


def decode(
    parts: Sequence[Part],
    places: Int[np.ndarray, " row"],
    matrix: Float[np.ndarray, "reference descriptor"],
) -> None:
    """Decode the parts into a matrix, a row group at a time.

    Args:
        parts: Of one index, in order.
        places: For every row, counted through the parts, where in the matrix it belongs.
        matrix: Float32, to fill.
    """
    begin = 0
    for part in parts:
        for block in read_descriptors(part):
            matrix[places[begin : begin + len(block)]] = block
            begin += len(block)


def decode_shared(
    folder: Path, key: str, parts: Sequence[Part], places: Int[np.ndarray, " row"]
) -> Float[np.ndarray, "reference descriptor"]:
    """Return the matrix as a read-only map of a file in `folder`, which the first process writes.

    Several processes may do so at once: each writes a file of its own and moves it into place,
    and all are alike. Files of earlier contents are deleted; who has them open keeps them.

    Args:
        folder: Of the index.
        key: Digest of what decides the matrix.
        parts: Of the index, in order.
        places: For every row where in the matrix it belongs.

    Raises:
        InputError: If the file is damaged.
        OSError: If none can be written.
    """
    path = folder / f".descriptors-{key}.npy"
    shape = len(places), parts[0].descriptor_size
    if not path.is_file():
        _write_decoded(path, shape, parts, places)
        for other in folder.glob(".descriptors-*.npy"):
            if other != path:
                other.unlink(missing_ok=True)
    try:
        mapped = np.load(path, mmap_mode="r")
        if mapped.shape != shape or mapped.dtype != np.float32:
            raise ValueError(f"{mapped.dtype} {mapped.shape}, expected float32 {shape}")
    except ValueError as error:
        raise InputError(path, f"damaged ({error})", "Delete this file") from error
    return np.asarray(mapped)


def _write_decoded(
    path: Path, shape: tuple[int, int], parts: Sequence[Part], places: Int[np.ndarray, " row"]
) -> None:
    """Decode straight into a mapped file, then move it into place."""
    if shutil.disk_usage(path.parent).free < 4 * shape[0] * shape[1]:
        # Writing through a map to a full disk would end the process without a word.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    with replacing(path) as part:
        matrix = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=shape)
        decode(parts, places, matrix)
        matrix.flush()
