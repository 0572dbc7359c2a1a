"""Volume operations that IEEE 754 fixes to the last bit, shared by the modalities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medcolor.phantom.drawing.fields import Field, Number, Row
from medcolor.phantom.drawing.noise import hashed, stream_key
from medcolor.phantom.phantom import Phantom


def per_tissue(phantom: Phantom, values: Row) -> Field:
    """A value for each label, gathered over the volume."""
    return np.asarray(values, np.float32)[phantom.labels]


def soften(volume: Field, axes: Sequence[int], weight: Number) -> Field:
    """Mix each voxel with its neighbours along each axis: (weight, 1 - 2 weight, weight)."""
    for axis in axes:
        n = volume.shape[axis]
        ahead = np.take(volume, np.minimum(np.arange(1, n + 1), n - 1), axis)
        behind = np.take(volume, np.maximum(np.arange(-1, n - 1), 0), axis)
        volume = volume * (1 - 2 * weight) + (ahead + behind) * weight
    return volume


def grain(phantom: Phantom, name: str) -> Field:
    """White noise of unit standard deviation, bell-shaped, fixed to each voxel's place."""
    keys = [stream_key(phantom.seed, f"{name}/{k}") for k in range(3)]
    first, second, third = (hashed(key, *phantom.lattice.indices()) for key in keys)
    return first + second + third


def rounded(volume: Field, low: int, high: int) -> Field:
    """Nearest whole numbers within low..high."""
    whole: Field = np.minimum(np.maximum(np.floor(volume + 0.5), low), high)
    return whole
