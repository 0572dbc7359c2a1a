"""Reconstructed slices between the second pass and the third: one small file each."""

from __future__ import annotations

import io
from dataclasses import astuple

import numpy as np

from medcolor.domain import Box, Reconstruction
from medcolor.errors import RunError
from medcolor.storage import Place, write_whole

_STORED = np.float16
"""Steps of at most 0.06 in L*, a* and b*: a quarter of what 8 bit sRGB tells apart."""


def write_reconstruction(folder: Place, made: Reconstruction) -> None:
    """Write a slice, whole or not at all."""
    content = io.BytesIO()
    arrays = {name: getattr(made, name).astype(_STORED) for name in ("grey", "lab", "trust")}
    np.savez(content, allow_pickle=False, box=np.array(astuple(made.box)), **arrays)
    write_whole(_path(folder, made.z), content.getvalue())


def read_reconstruction(folder: Place, z: int) -> Reconstruction | None:
    """Read a slice; None for one that showed no body.

    Raises:
        RunError: If its file is damaged.
    """
    path = _path(folder, z)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            box = Box(*(int(side) for side in stored["box"]))
            grey, lab, trust = (
                stored[name].astype(np.float32) for name in ("grey", "lab", "trust")
            )
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            path, f"damaged ({error})", f"Delete {folder} and run the same command again"
        ) from error
    return Reconstruction(z, box, grey, lab, trust)


def _path(folder: Place, z: int) -> Place:
    return folder / f"{z:05d}.npz"
