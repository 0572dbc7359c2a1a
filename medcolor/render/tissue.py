"""Which tissue is shown: told by colour, grey level and depth below the skin.

The colours know what the grey levels do not: muscle is red and fat is cream, in CT and in MRI.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import (
    binary_fill_holes,
    distance_transform_edt,
    label,
)

from medcolor.color import srgb_to_lab
from medcolor.domain import GreyLevels
from medcolor.transfer.ramp import smooth_ramp

AIR = 0.08
"""Display grey up to which there is no body."""

_SKIN_MM = 2.0, 5.0
"""Depth over which skin ends."""

_FAT_MM = 14.0, 20.0
"""Depth over which what looks like fat counts as something else: marrow, brain."""

_FAT_HUE_DEG = 58.0, 68.0
"""Hue (CIE Lab) between red flesh and yellow fat."""

_ORGANS_MM = 11.0, 15.0
"""Depth over which the wall of the body ends."""

_BONE_HU = 130.0, 230.0
_BONE_GREY = 0.5, 0.62
"""Display grey of bone where stored values are no Hounsfield units."""

_SMALLEST_PART = 0.05
"""Of the largest part of what is no air, from which another one belongs to the body."""


@dataclass(frozen=True)
class Overview:
    """A coarse level of a volume, from which is seen what depends on all of it."""

    rgba: UInt8[np.ndarray, "z y x 4"]
    spacing_mm: tuple[float, float, float]
    """Of the coarse level, along (z, y, x)."""

    shape: tuple[int, int, int]
    """Of the level that is drawn."""

    drawn_mm: tuple[float, float, float]
    """Spacing of the level that is drawn."""

    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of the coarse level's first voxel from the drawn one's, along (z, y, x)."""

    @classmethod
    def alone(
        cls, rgba: UInt8[np.ndarray, "z y x 4"], spacing_mm: tuple[float, float, float]
    ) -> Overview:
        """Return a volume as its own overview."""
        z, y, x, _ = rgba.shape
        return cls(rgba, spacing_mm, (z, y, x), spacing_mm)

    @cached_property
    def depth_mm(self) -> Float[np.ndarray, "z y x"]:
        """Distance of every voxel from the outside of the body, 0 outside."""
        body = self.rgba[..., 3] > 255 * AIR
        # Sinuses and lungs are inside: air that no slice shows open.
        body = np.stack([binary_fill_holes(one) for one in body])
        parts, count = label(body)
        if count > 1:  # table, cushion, noise
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            body = np.isin(parts, np.flatnonzero(sizes >= _SMALLEST_PART * sizes.max()))
        # Where the scan ends the body goes on: no skin there.
        padded = np.pad(body, ((1, 1), (0, 0), (0, 0)), mode="edge")
        found = distance_transform_edt(padded, sampling=self.spacing_mm)[1:-1]
        return np.asarray(found, np.float32)

    def depth_of(self, slices: range) -> Float[np.ndarray, "z y x"]:
        """Return the depth of slices of the drawn level, in mm."""
        sides = [np.arange(slices.start, slices.stop), *map(np.arange, self.shape[1:])]
        found = self.depth_mm
        for axis, side in enumerate(sides):
            place = (side * self.drawn_mm[axis] - self.offset_mm[axis]) / self.spacing_mm[axis]
            found = _interpolated(found, place, axis)
        return found


def _interpolated(
    values: Float[np.ndarray, "_z _y _x"], places: Float[np.ndarray, " count"], axis: int
) -> Float[np.ndarray, "_z2 _y2 _x2"]:
    """Return values between those of an axis, linearly; beyond its ends the last ones."""
    last = values.shape[axis] - 1
    inside = np.clip(places, 0, last)
    below = np.floor(inside).astype(int)
    weight = (inside - below).astype(np.float32)
    weight = weight.reshape([-1 if other == axis else 1 for other in range(3)])
    low = np.take(values, below, axis)
    found = low + weight * (np.take(values, np.minimum(below + 1, last), axis) - low)
    return np.asarray(found, np.float32)


def visibility(
    name: str,
    rgba: UInt8[np.ndarray, "z y x 4"],
    depth_mm: Float[np.ndarray, "z y x"],
    levels: GreyLevels | None,
) -> Float[np.ndarray, "z y x"]:
    """Return how visible each voxel is, 0..1.

    Args:
        name: skin, muscle, organs, bone.
        rgba: The volume.
        depth_mm: Below the outside of the body.
        levels: What alpha says of the scan.
    """
    if name == "skin":
        return np.ones(rgba.shape[:3], np.float32)
    grey = rgba[..., 3].astype(np.float32) / 255
    bone = smooth_ramp(grey, *bone_levels(levels))
    if name == "bone":
        return bone
    if name == "organs":
        is_ct = levels is not None and levels.unit == "HU" and levels.is_alpha
        deep = smooth_ramp(depth_mm, *_ORGANS_MM)
        return deep * (1 - bone) if is_ct else deep
    lab = srgb_to_lab(rgba[..., :3].astype(np.float32) / 255)
    hue_deg = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    red = 1 - smooth_ramp(hue_deg, *_FAT_HUE_DEG)
    below_fat = smooth_ramp(depth_mm, *_FAT_MM)
    return np.asarray(smooth_ramp(depth_mm, *_SKIN_MM) * np.maximum(red, below_fat), np.float32)


def bone_levels(levels: GreyLevels | None) -> tuple[float, float]:
    """Return the display grey at which bone begins to show, and from which it shows fully."""
    if levels is None or levels.unit != "HU" or not levels.is_alpha:
        return _BONE_GREY
    low, high = ((value - levels.black) / (levels.white - levels.black) for value in _BONE_HU)
    return low, high
