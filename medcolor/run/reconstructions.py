"""Reconstructed slices between the second pass and the third: one small file each."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple

import numpy as np

from medcolor.domain import Box, Reconstruction
from medcolor.errors import RunError
from medcolor.storage import Place, write_atomic
from medcolor.storage.durable import BEING_WRITTEN

RECONSTRUCTION = re.compile(rf"({BEING_WRITTEN})?\d+\.npz")
"""Names of the files, whole or being written."""

_AT_ONCE = 8
_NO_BODY = b"no body"
_STORED = np.float16
"""Steps of at most 0.06 in L*, a* and b*: a quarter of what 8 bit sRGB tells apart."""


class LostReconstructionError(RunError):
    """A slice was matched, and what came of it is not there, or damaged: it has to be again."""


def write_reconstruction(folder: Place, z: int, made: Reconstruction | None) -> int:
    """Write a slice, whole or not at all, a word for one that shows no body; return its bytes."""
    content = _NO_BODY if made is None else _encoded(made)
    write_atomic(_path(folder, z), content)
    return len(content)


def _encoded(made: Reconstruction) -> bytes:
    content = io.BytesIO()
    arrays = {name: getattr(made, name).astype(_STORED) for name in ("grey", "lab", "trust")}
    np.savez(content, allow_pickle=False, box=np.array(astuple(made.box)), **arrays)
    return content.getvalue()


def read_reconstructions(folder: Place, slices: range) -> dict[int, Reconstruction | None]:
    """Read slices, several at once: from a bucket each takes its time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda z: read_reconstruction(folder, z), slices)
        return dict(zip(slices, found, strict=True))


def read_reconstruction(folder: Place, z: int) -> Reconstruction | None:
    """Read a slice; None for one that showed no body.

    Raises:
        LostReconstructionError: Its file is damaged or gone: another run on the same output may
            have ended.
    """
    path = _path(folder, z)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise LostReconstructionError(
            path, "gone: has another run on this output ended?", "Run the same command again"
        ) from None
    if content == _NO_BODY:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            box = Box(*(int(side) for side in stored["box"]))
            grey, lab, trust = (
                stored[name].astype(np.float32) for name in ("grey", "lab", "trust")
            )
    except Exception as error:  # whatever damaged bytes make zipfile raise
        raise LostReconstructionError(path, "damaged", "Run the same command again") from error
    return Reconstruction(z, box, grey, lab, trust)


def _path(folder: Place, z: int) -> Place:
    return folder / reconstruction_name(z)


def reconstruction_name(z: int) -> str:
    """Return the file name of a slice."""
    return f"{z:05d}.npz"
