"""What is around a body: air, a table, or nothing, where the image ends inside the body.

Dark is not outside. Lungs, bowel gas and dark organs lie inside, and where the border of the image
cuts a body nothing closes them off. What tells the air around a body is that it is the same
everywhere, as no organ is, or that most of the border lies in it; what tells a table is that it
is thin and does not move from slice to slice. Both are found once a volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.body import border_of, disc, fill_holes, largest_parts, resize

_COARSE_PX = 192
"""Long side of the grid on which surroundings are looked for."""

_LEAST_AIR = 0.015
"""Share of a volume that air must take; less is a notch in a body that fills the image."""

_MOST_BORDER = 0.5
"""Share of the image's border from which on a dark part is around the body, whatever it is like."""

_MOST_TEXTURE = 0.04
"""Spread of air against the distance to tissue where its level is not known. Lungs have 0.05 to
0.08, noisy air up to 0.035 (of eight real scans)."""

_POCKET = 0.8
"""Width of an opening at the border against the widest place behind it."""

_WEAK = 0.2
"""Of the way from air to the border of a body: up to here it is air, and from here on something
may be a wall, as skin and muscle are that were cut to thin lines. In Hounsfield units, -900."""

_TRACE = 0.02
"""Of the way: more than air that was erased."""

_TABLE_SLICES = 8
_TABLE_SHARE = 0.7
"""Of the slices, in which a table must be at the same place."""

LEAST_THICKNESS = 0.1
"""Of parts of a body that lost its fat, against the thickest; a table is thinner."""

_LEAST_SHOWN = 0.01
_LOST_SHARE = 0.33
"""Of the hull of all that is bright: as black as air where fat and lungs are, and were lost."""


@dataclass(frozen=True)
class Surroundings:
    """What is around the body of a scan, in luminance before it is cut off (`Window.position`)."""

    cut: float
    """Between air and body."""

    air: float | None
    """Level of the air around the body; None where the image ends inside the body."""

    is_certain: bool = False
    """Whether the level of air is known (Hounsfield units), so that it tells lungs from air."""

    is_blank: bool = False
    """Whether the air around the body has no noise: it was erased, and that inside may differ."""

    fat_is_lost: bool = False
    """Whether values were cut off so that fat and lungs are as black as air."""

    table: UInt8[np.ndarray, "row col"] | None = None
    """1 where something thin stays at its place in most slices; on the coarse grid."""

    @property
    def wall(self) -> float:
        """Luminance from which on something may close a body off."""
        return self.cut if self.air is None else self.air + _WEAK * (self.cut - self.air)

    @property
    def trace(self) -> float:
        """Luminance above which something was left where the rest was erased or cut off."""
        return self.cut if self.air is None else self.air + _TRACE * (self.cut - self.air)

    @property
    def dark(self) -> float:
        """Luminance up to which a cavity may be air; below all where there is none to compare."""
        if self.air is None:
            return -math.inf
        return self.cut if self.is_blank else (self.air + self.cut) / 2

    def around(self, part: DarkPart) -> bool:
        """Tell whether a dark part at the image's border is air around the body."""
        if self.air is None:
            return part.is_most_border and part.is_even
        return part.is_most_border or (part.level <= self.wall and not part.is_pocket)


EVERYTHING = Surroundings(cut=-math.inf, air=None)
"""Of scans whose every voxel is body."""


@dataclass(frozen=True)
class DarkPart:
    """A connected part of a slice that is as dark as air and reaches the border of the image."""

    mask: Bool[np.ndarray, "row col"]
    border: float
    """Share of the image's border that lies in it."""

    level: float
    """Median luminance away from its rim."""

    texture: float
    """Spread there (median absolute deviation, as of a normal distribution), against the distance
    to the median of tissue."""

    @property
    def is_most_border(self) -> bool:
        """Whether most of the border lies in it."""
        return self.border > _MOST_BORDER

    @property
    def is_even(self) -> bool:
        """Whether it is the same everywhere, as air is."""
        return self.texture < _MOST_TEXTURE

    @property
    def is_pocket(self) -> bool:
        """Whether it is wider inside than where the border of the image cuts it, at one place.

        A lung is, and the notch beside a neck or between legs is not.
        """
        sides = self.mask[0], self.mask[-1], self.mask[:, 0], self.mask[:, -1]
        touched = [side for side in sides if side.any()]
        if len(touched) != 1:
            return False
        opening = np.flatnonzero(touched[0])
        is_level = touched[0] is sides[0] or touched[0] is sides[1]
        widest = int(self.mask.sum(axis=1 if is_level else 0).max())
        is_one = opening[-1] - opening[0] + 1 == len(opening)
        return bool(is_one and len(opening) < _POCKET * widest)


def coarse(position: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row2 col2"]:
    """Return a slice on the grid on which surroundings are looked for."""
    scale = min(1.0, _COARSE_PX / max(position.shape))
    rows, cols = (max(1, round(side * scale)) for side in position.shape)
    return np.asarray(resize(position, (rows, cols)), np.float32)


def find_surroundings(
    slices: Iterable[Float[np.ndarray, "row col"]], cut: float, known_air: float | None = None
) -> Surroundings:
    """Find what is around the body from slices spread evenly over a volume.

    Args:
        slices: Luminance before it is cut off; at least one.
        cut: Luminance between air and body.
        known_air: Luminance of air where the scan's unit says it: Hounsfield units.
    """
    is_known = known_air is not None
    small = [coarse(one) for one in slices]
    parts = [part for one in small for part in dark_parts(one, cut)]
    parts = [part for part in parts if part.is_most_border or part.is_even]
    levels = np.array([part.level for part in parts])
    shares = np.array([part.mask.mean() for part in parts])
    textures = np.array([part.texture for part in parts])
    # Where organs are as dark as the threshold, too, the lowest is air.
    lowest = known_air if known_air is not None else levels.min(initial=cut)
    is_air = levels <= lowest + _WEAK * (cut - lowest)
    if shares[is_air].sum() < _LEAST_AIR * len(small):
        return Surroundings(cut, None, is_known)
    level, texture = (_weighted_median(one[is_air], shares[is_air]) for one in (levels, textures))
    found = Surroundings(cut, level, is_known, is_blank=texture == 0)
    table = _table(small, found.wall)
    lost = not is_known and found.is_blank and _lost_share(small, found, table) > _LOST_SHARE
    return replace(found, fat_is_lost=lost, table=table)


def dark_parts(position: Float[np.ndarray, "row col"], cut: float) -> Iterator[DarkPart]:
    """Yield the parts of a coarse slice that are as dark as air and reach its border."""
    smooth = cv2.GaussianBlur(position, (0, 0), 1.0)
    bright = smooth[smooth > cut]
    tissue = float(np.median(bright)) if len(bright) else cut + 1
    kernel = disc(max(1, round(min(position.shape) / 100)))
    dark = framed(cv2.MORPH_OPEN, smooth <= cut, kernel)
    smoother = cv2.GaussianBlur(position, (0, 0), 2.0)
    labels = cv2.connectedComponents(dark.astype(np.uint8), connectivity=4)[1]
    border = border_of(labels)
    for number in np.unique(border[border > 0]):
        mask = labels == number
        inner = cv2.erode(mask.astype(np.uint8), kernel, borderValue=1) > 0
        if inner.any():
            values = smoother[inner]
            level = float(np.median(values))
            spread = 1.4826 * float(np.median(np.abs(values - level)))
            share = float((border == number).mean())
            yield DarkPart(mask, share, level, spread / (tissue - level))


def framed(
    operation: int,
    mask: Bool[np.ndarray, "row col"],
    kernel: UInt8[np.ndarray, "_side _side"],
    times: int = 1,
) -> Bool[np.ndarray, "row col"]:
    """Open or close a mask that goes on beyond the image as it ends there."""
    pad = times * len(kernel)
    padded = np.pad(mask.astype(np.uint8), pad, mode="edge")
    done = cv2.morphologyEx(padded, operation, kernel, iterations=times)
    return np.asarray(done[pad:-pad, pad:-pad] > 0)


def hull(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Return the convex hull of a mask that is not empty."""
    filled = np.zeros(mask.shape, np.uint8)
    points = cv2.findNonZero(mask.astype(np.uint8))
    return np.asarray(cv2.fillConvexPoly(filled, cv2.convexHull(points), [1])) > 0


def _weighted_median(
    values: Float[np.ndarray, " part"], weights: Float[np.ndarray, " part"]
) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _table(
    small: Sequence[Float[np.ndarray, "row col"]], wall: float
) -> UInt8[np.ndarray, "row col"] | None:
    """Return where something thin stays at its place; None where slices are too few to tell."""
    if len(small) < _TABLE_SLICES:
        return None
    kernel = disc(max(2, round(0.015 * min(small[0].shape))))
    count = np.zeros(small[0].shape)
    for one in small:
        bright = (cv2.GaussianBlur(one, (0, 0), 1.0) > wall).astype(np.uint8)
        thin = bright - cv2.morphologyEx(bright, cv2.MORPH_OPEN, kernel)
        count += cv2.dilate(thin, disc(1))
    stays = (count >= _TABLE_SHARE * len(small)).astype(np.uint8)
    return np.asarray(cv2.dilate(stays, disc(2)), np.uint8)


def _lost_share(
    small: Sequence[Float[np.ndarray, "row col"]],
    surroundings: Surroundings,
    table: UInt8[np.ndarray, "row col"] | None,
) -> float:
    """Return how much of the hull of what is bright is as black as air; the median over slices."""
    shares = []
    for one in small:
        bright = cv2.GaussianBlur(one, (0, 0), 0.7) > surroundings.cut
        if table is not None:
            bright &= table == 0
        opened = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_OPEN, disc(1)) > 0
        parts = largest_parts(fill_holes(opened), least_thickness=LEAST_THICKNESS)
        if parts.mean() >= _LEAST_SHOWN:
            within = hull(parts)
            shares.append(float((one[within] <= surroundings.air).mean()))
    return float(np.median(shares)) if shares else 0.0
