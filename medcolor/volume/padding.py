"""Constant fills: one value put where nothing was scanned, which no header names.

Padded circles of CT scanners (-2000, -2048, -3024, or 0), masks and warped volumes (-1024,
-32768). What is scanned has noise: an area of one exact value at the border, far from all others
or in the range of tissue, is none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medcolor.body import border_of
from medcolor.domain import OUTSIDE

Slice = Float[np.ndarray, "_row _col"]

_LEAST_SHARE = 0.002
"""Of all voxels. Less is a damaged detector, or a clipped value."""

_LEAST_GAP = 0.2
"""Of the range of what was scanned, from the fill to it."""

_MIXED = 2.0
"""Percentile of other values from which on they are no mixtures with the fill."""

_MIXED_SHARE = 0.9
"""Of the way from the fill to them, up to which they are."""

_IN_HALF = 0.5
"""Share of slices that show a fill in the range of tissue at all four corners."""


@dataclass(frozen=True)
class Padding:
    """A value that stands where nothing was scanned."""

    value: float

    up_to: float
    """From `value` on, mixtures with what was scanned, where a volume was resampled."""

    only_at_border: bool
    """Something scanned may have this value, too: padding are areas at the border of a slice."""

    def holds(self, values: Float[np.ndarray, ...]) -> Bool[np.ndarray, ...]:
        """Tell which values are those of padding."""
        return np.asarray((values >= self.value) & (values <= self.up_to))

    def without(self, values: Slice) -> Slice:
        """Return a slice that is `OUTSIDE` where it was not scanned."""
        found = self.holds(values)
        is_padding = _at_border(found) if self.only_at_border else found
        return np.where(is_padding, np.float32(OUTSIDE), values)


def find_lowest_fill(slices: Sequence[Slice]) -> Padding | None:
    """Find a fill below all that was scanned; None if there is none, or none for certain.

    It is negative, covers some area at the border, and lies far below the next values, or alone
    below zero.
    """
    found = _known(slices)
    if not len(found):
        return None
    lowest = found.min()
    others = found[found > lowest]
    if lowest >= 0 or 1 - len(others) / len(found) < _LEAST_SHARE or not len(others):
        return None
    low, high = (float(one) for one in np.percentile(others, [_MIXED, 99.5]))
    up_to = lowest + _MIXED_SHARE * (low - lowest)
    is_far = low - lowest >= _LEAST_GAP * (high - lowest) or low >= 0
    touches = any(_at_border(one == lowest).any() for one in slices)
    return (
        Padding(float(lowest), float(up_to), only_at_border=False) if is_far and touches else None
    )


def find_corner_fill(slices: Sequence[Slice], above: float) -> Padding | None:
    """Find a fill brighter than air: one value at all corners of most slices, as areas.

    Args:
        slices: Of a scan whose air is darker.
        above: The value from which it would be taken for body.
    """
    corners = np.array([one[[0, 0, -1, -1], [0, -1, 0, -1]] for one in slices])
    alike = corners[(corners == corners[:, :1]).all(axis=1), 0]
    if len(alike) < _IN_HALF * len(slices):
        return None
    values, counts = np.unique(alike, return_counts=True)
    fill = values[counts.argmax()]
    if fill <= above or counts.max() < _IN_HALF * len(slices) or not np.isfinite(fill):
        return None
    area = np.mean([_at_border(one == fill).mean() for one in slices])
    found = Padding(float(fill), float(fill), only_at_border=True)
    return found if area >= _LEAST_SHARE else None


def _known(slices: Sequence[Slice]) -> Float[np.ndarray, " value"]:
    """Return all values but those known not to be scanned."""
    values = np.concatenate([one.ravel() for one in slices])
    return np.asarray(values[values != OUTSIDE])


def _at_border(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Keep the parts (4-neighbours) that touch the border, larger than a pixel."""
    count, labels, about, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    kept = np.zeros(count, bool)
    kept[border_of(labels)] = True
    kept[0] = False
    kept &= about[:, cv2.CC_STAT_AREA] > 1
    return np.asarray(kept[labels])
