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
    if out is None and kept == box:
        return
    z, y, x = (np.clip(one, 0, 1) for one in _depths(closed, box, kept))
    taken = None if out is None else [np.clip(1 + one, 0, 1) for one in _depths(closed, box, out)]
    for at, part in enumerate(closed):
        left = z[at] * np.outer(y, x)
        if taken is not None:
            left *= 1 - taken[0][at] * np.outer(taken[1], taken[2])
        part[..., 3] = np.rint(part[..., 3] * left)


def _depths(
    closed: UInt8[np.ndarray, "z y x 4"], box: Block, block: Block
) -> list[Float[np.ndarray, " side"]]:
    """Return how deep in a block voxels are along each axis, in widths of the rise; < 0 outside.

    A side on which the block ends where the box does is no cut: all beyond it counts as inside.
    """
    depths = []
    for length, part, whole in zip(closed.shape[:3], block, box, strict=True):
        at = np.arange(length) + 0.5
        depth = np.full(length, np.inf)
        if part.start > whole.start:
            depth = np.minimum(depth, at - part.start)
        if part.stop < whole.stop:
            depth = np.minimum(depth, part.stop - at)
        depths.append((depth / _CUT_VOXELS).astype(np.float32))
    return depths
