"""Coarser levels: means in linear light, weighted by alpha."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from medcolor.color import linear_to_srgb, srgb_to_linear
from medcolor.storage import Place
from medcolor.volume.levels import Level
from medcolor.volume.store import read_slices

_LINEAR = srgb_to_linear(np.arange(256, dtype=np.float32) / 255)
"""Linear light of each 8-bit sRGB value."""


def coarse_slab(path: Place, level: Level, slices: range) -> UInt8[np.ndarray, "z y x 4"]:
    """Return `slices` of `level` as means of the next finer level.

    Colours count by their alpha, so that empty background darkens no rim; alpha is
    the plain mean.
    """
    depth = level.factor[0]
    finer = read_slices(path, level.index - 1, range(slices.start * depth, slices.stop * depth))
    # One coarse slice at a time: in floating point the slab would be twelve times as large.
    parts = [_coarser(finer[z * depth : (z + 1) * depth], level.factor) for z in range(len(slices))]
    return np.concatenate(parts)


def _coarser(
    finer: UInt8[np.ndarray, "z y x 4"], factor: tuple[int, int, int]
) -> UInt8[np.ndarray, "z2 y2 x2 4"]:
    """Average blocks of colours and alpha."""
    alpha = finer[..., 3:].astype(np.float32) / 255
    light = _mean(_LINEAR[finer[..., :3]] * alpha, factor)
    alpha = _mean(alpha, factor)
    color = linear_to_srgb(np.where(alpha > 0, light / np.maximum(alpha, 1e-9), 0))
    return np.asarray(np.rint(255 * np.concatenate([color, alpha], axis=-1)), np.uint8)


def _mean(
    values: Float[np.ndarray, "z y x channel"], factor: tuple[int, int, int]
) -> Float[np.ndarray, "z2 y2 x2 channel"]:
    """Average blocks; odd ends repeat their last voxel."""
    for axis, size in enumerate(factor):
        if size == 1:
            continue
        if values.shape[axis] % 2:
            values = np.concatenate([values, values.take([-1], axis=axis)], axis=axis)
        even = values.take(range(0, values.shape[axis], 2), axis=axis)
        odd = values.take(range(1, values.shape[axis], 2), axis=axis)
        values = (even + odd) / 2
    return values
