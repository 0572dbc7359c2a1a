"""Smooth noise anchored in millimetres, bit for bit the same on every machine.

A lattice of hashed integers is interpolated by cubic B-splines, one axis after another. Hashing
the lattice index, rather than drawing an array, gives a point the same value whatever part of the
body is asked for and at whatever spacing. The integer mixing is Wellons' `lowbias32`
(https://nullprogram.com/blog/2018/07/31/).

Only + - * / floor and integer arithmetic are used, one ufunc at a time: IEEE 754 fixes the result.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.drawing.fields import Field, Number, Profile, Row

UNIT_GAIN = 5.0
"""Brings interpolated white noise in -1..1 to a standard deviation near one."""


def stream_key(seed: int, name: str) -> int:
    """A 32-bit key for the random stream `name` of the person `seed`."""
    return zlib.crc32(f"{seed}/{name}".encode())


def draw(seed: int, name: str) -> float:
    """One number in [0, 1), from the stream `name` of the person `seed`."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return float(np.random.Generator(np.random.PCG64(sequence)).random())


def _mix(value: NDArray[np.uint32]) -> NDArray[np.uint32]:
    value = value ^ (value >> np.uint32(16))
    value = value * np.uint32(0x7FEB352D)
    value = value ^ (value >> np.uint32(15))
    value = value * np.uint32(0x846CA68B)
    return value ^ (value >> np.uint32(16))


def hashed(key: int, *indices: NDArray[np.int64]) -> Field:
    """White noise in [-1, 1) on the grid spanned by integer `indices`, slowest axis first."""
    fold: NDArray[np.uint32] = np.full(1, key, np.uint32)
    for index in indices:
        low_bits = (index & 0xFFFFFFFF).astype(np.uint32)
        fold = _mix(fold[..., None] + low_bits)
    top: Field = (fold[0] >> np.uint32(8)).astype(np.float32)
    return top * (1 / 2**23) - 1


def _spline_axis(position: Profile) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
    """First lattice index and the four cubic B-spline weights of each position."""
    cell = np.floor(position)
    t = position - cell
    s = 1.0 - t
    weights = [
        s * s * s / 6.0,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
        (3.0 * s * s * s - 6.0 * s * s + 4.0) / 6.0,
        t * t * t / 6.0,
    ]
    return cell.astype(np.int64) - 1, [w.astype(np.float32) for w in weights]


def _interpolate(lattice: Field, axis: int, start: NDArray[np.int64], w: list[Field]) -> Field:
    shape = [1] * lattice.ndim
    shape[axis] = -1
    out = np.take(lattice, start, axis=axis) * w[0].reshape(shape)
    for k in (1, 2, 3):
        out = out + np.take(lattice, start + k, axis=axis) * w[k].reshape(shape)
    return out


def smooth_noise(
    key: int, axes_mm: Sequence[Profile], period_mm: Number | Row, *, band: bool = False
) -> Field:
    """Noise of about unit standard deviation on the grid spanned by `axes_mm`.

    Args:
        key: stream, from `stream_key`.
        axes_mm: coordinates along each axis, slowest axis first.
        period_mm: lattice step, one for all axes or one for each. Features are some two to three
            steps long.
        band: take the mean of its neighbours from each lattice value first, which leaves a
            narrow band of wavelengths (about 2.5 steps) instead of everything longer.
    """
    periods = [period_mm] * len(axes_mm) if isinstance(period_mm, Number) else list(period_mm)
    pad = 1 if band else 0
    starts, weights, indices = [], [], []
    for axis_mm, period in zip(axes_mm, periods, strict=True):
        first, w = _spline_axis(axis_mm / period)
        low, high = int(first.min()) - pad, int(first.max()) + 4 + pad
        indices.append(np.arange(low, high, dtype=np.int64))
        starts.append(first - (low + pad))
        weights.append(w)
    field = hashed(key, *indices)
    if band:
        field = _high_pass(field)
    for axis, (start, w) in enumerate(zip(starts, weights, strict=True)):
        field = _interpolate(field, axis, start, w)
    return field * UNIT_GAIN


def _high_pass(lattice: Field) -> Field:
    """Each inner value less the mean of its neighbours along the axes; the rim is dropped."""
    inner = tuple(slice(1, -1) for _ in range(lattice.ndim))
    around = np.zeros_like(lattice[inner])
    for axis in range(lattice.ndim):
        for shift in (slice(0, -2), slice(2, None)):
            around = around + lattice[(*inner[:axis], shift, *inner[axis + 1 :])]
    return lattice[inner] - around / (2 * lattice.ndim)


def packed_cells(key: int, position: Sequence[Field]) -> tuple[Field, Field, NDArray[np.uint32]]:
    """Worley's cellular noise: one jittered point in each unit cell.

    Args:
        key: stream, from `stream_key`.
        position: coordinates in units of cells, any three arrays of one shape.

    Returns:
        Distance to the nearest point, distance to the second nearest, and a random number that
        all voxels nearest to the same point share (doi:10.1145/237170.237267).
    """
    corner = [np.floor(p) for p in position]
    index = [c.astype(np.int64) for c in corner]
    first = np.full(position[0].shape, np.float32(9))
    second = first
    owner = np.zeros(position[0].shape, np.uint32)
    for step in np.ndindex(3, 3, 3):
        code: NDArray[np.uint32] = np.full(1, key, np.uint32)
        for i, s in zip(index, step, strict=True):
            code = _mix(code + ((i + (s - 1)) & 0xFFFFFFFF).astype(np.uint32))
        distance = np.zeros(position[0].shape, np.float32)
        for axis, (p, c, s) in enumerate(zip(position, corner, step, strict=True)):
            bits = (code >> np.uint32(10 * axis)) & np.uint32(1023)
            jitter = bits.astype(np.float32) * (0.8 / 1023) + (s - 0.9)
            off = p - c - jitter
            distance = distance + off * off
        nearer = distance < first
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
        owner = np.where(nearer, code, owner)
    return np.sqrt(first), np.sqrt(second), owner
