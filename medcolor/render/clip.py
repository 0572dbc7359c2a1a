"""Clipping: what of the visible box is kept, and a block that is taken out of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

_CUT_VOXELS = 2.0
"""Behind a cut, over which opacity rises."""

Block = tuple[slice, slice, slice]


def part_of(box: Block, parts: tuple[tuple[float, float], ...]) -> Block:
    """Return parts of a box, one voxel at least along each axis."""
    block = []
    for side, (low, high) in zip(box, parts, strict=True):
        length = side.stop - side.start
        start = min(side.start + round(low * length), side.stop - 1)
        block.append(slice(start, max(start + 1, side.start + round(high * length))))
    z, y, x = block
    return z, y, x


def clear(closed: UInt8[np.ndarray, "z y x 4"], box: Block, kept: Block, out: Block | None) -> None:
    """Clear what of a box is not kept, and a block that is taken out.

    Opacity rises over some voxels behind a cut: one that set in at once would be drawn with stairs.
    """
    inside = [
        _ramp(length, side, whole)
        for length, side, whole in zip(closed.shape[:3], kept, box, strict=True)
    ]
    taken = [np.zeros(length, np.float32) for length in closed.shape[:3]]
    if out is not None:
        taken = [
            1 - _ramp(len(one), side, whole, is_hole=True)
            for one, side, whole in zip(taken, out, box, strict=True)
        ]
    if out is None and kept == box:
        return
    z, y, x = inside
    for at, part in enumerate(closed):
        left = z[at] * np.outer(y, x) * (1 - taken[0][at] * np.outer(taken[1], taken[2]))
        part[..., 3] = np.rint(part[..., 3] * left)


def _ramp(
    length: int, part: slice, whole: slice, *, is_hole: bool = False
) -> Float[np.ndarray, " length"]:
    """Return 1 within a part of a side and 0 without, rising behind a cut; the reverse of a hole.

    A part that ends where the whole does is not cut there.
    """
    at = np.arange(length) + 0.5
    depth = np.full(length, np.inf)
    if part.start > whole.start:
        depth = np.minimum(depth, at - part.start)
    if part.stop < whole.stop:
        depth = np.minimum(depth, part.stop - at)
    if is_hole:
        return np.asarray(np.clip(-depth / _CUT_VOXELS, 0, 1), np.float32)
    return np.asarray(np.clip(depth / _CUT_VOXELS, 0, 1), np.float32)
