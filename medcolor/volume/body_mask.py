"""The body of one slice: what is brighter than air, and what is dark and inside it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medcolor.body import border_of, disc, fill_holes, largest_parts, resize_mask
from medcolor.volume.surroundings import (
    LEAST_THICKNESS,
    Surroundings,
    coarse,
    dark_parts,
    framed,
    hull,
)

_LEAST_BRIGHTNESS = 0.35
_NECK = 0.03
"""Widest gap in the wall of a cavity, as a radius against the long side of the body."""

_LOST_NECK = 0.06
_LOST_REACH = 0.13
"""Radius of the disc that closes the outline of a body whose fat was lost; trunks are hardly
hollow."""

_SPECK = 5e-5
"""Share of the coarse grid below which what is left of skin closes nothing."""


def body_mask(
    position: Float[np.ndarray, "row col"], surroundings: Surroundings
) -> Bool[np.ndarray, "row col"]:
    """Return the body of one slice, with its cavities.

    Args:
        position: Luminance before it is cut off (`Window.position`).
        surroundings: Of the whole volume, so that empty slices stay empty.
    """
    cut = surroundings.cut
    if surroundings.air is None:
        is_empty = any(surroundings.around(part) for part in dark_parts(coarse(position), cut))
        return np.full(position.shape, not is_empty)
    bright = cv2.GaussianBlur(position, (0, 0), 1.0) > cut
    # Cut thin bridges to a table or a head holder, then restore the outline.
    kernel = disc(max(1, round(min(position.shape) / 100)))
    opened = cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    core = _bright_parts(largest_parts(opened), position)
    near = cv2.dilate(core.astype(np.uint8), kernel) > 0
    outline = core | (near & bright)
    dark = _dark_inside(coarse(position), surroundings)
    if dark.any():
        outline |= resize_mask(dark, position.shape)
    # Close cracks in dark skin, so that the cavities behind them are inside; a body that the border
    # cuts goes on beyond it.
    return fill_holes(framed(cv2.MORPH_CLOSE, outline, kernel, times=2))


def _bright_parts(
    mask: Bool[np.ndarray, "row col"], luminance: Float[np.ndarray, "row col"]
) -> Bool[np.ndarray, "row col"]:
    """Drop parts that are dark against the brightest large one: pillows and head holders."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    if count < 3:
        return mask
    medians = np.array([np.median(luminance[labels == part]) for part in range(1, count)])
    areas = np.bincount(labels.ravel())[1:]
    brightest = medians[areas >= areas.max() / 4].max()
    kept = np.concatenate([[False], medians >= _LEAST_BRIGHTNESS * brightest])
    found: np.ndarray = kept[labels]
    return found


def _dark_inside(
    position: Float[np.ndarray, "row col"], surroundings: Surroundings
) -> Bool[np.ndarray, "row col"]:
    """Return what is as dark as air, or was lost, and belongs to the body; on the coarse grid."""
    inside: np.ndarray = np.zeros(position.shape, bool)
    outside = inside.copy()
    for part in dark_parts(position, surroundings.cut):
        if not surroundings.around(part):
            inside |= part.mask
        elif not part.is_most_border:  # that one may reach into the body
            outside |= part.mask
    # Hounsfield units tell lungs from air; elsewhere a wall with gaps must.
    if not surroundings.is_certain:
        inside |= _behind_walls(position, surroundings) & ~outside
    return inside


def _behind_walls(
    position: Float[np.ndarray, "row col"], surroundings: Surroundings
) -> Bool[np.ndarray, "row col"]:
    """Return the cavities that walls with gaps close off."""
    lost = surroundings.fat_is_lost
    smooth = cv2.GaussianBlur(position, (0, 0), 0.7 if lost else 1.0)
    free = np.ones(position.shape, bool)
    if surroundings.table is not None:
        free = surroundings.table == 0
    bright = (free & (smooth > surroundings.cut)).astype(np.uint8)
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, disc(1)) > 0
    core = largest_parts(opened, least_thickness=LEAST_THICKNESS) if lost else largest_parts(opened)
    wall = free & (smooth > surroundings.wall)
    found = _cavities(wall, core, _LOST_NECK if lost else _NECK)
    return _closed(found | _shown(free & (position > surroundings.trace))) if lost else found


def _cavities(
    wall: Bool[np.ndarray, "row col"], core: Bool[np.ndarray, "row col"], widest_neck: float
) -> Bool[np.ndarray, "row col"]:
    """Return what a wall encloses once its gaps are closed, if it is wider than these.

    Whatever lies apart from the core of the body, as the foam of a table, is no cavity of it.
    """
    found = np.zeros_like(wall)
    if not core.any():
        return found
    around, size = hull(core), _long_side(core)
    radius = 1
    while radius <= widest_neck * size:
        left = 1 - cv2.dilate(wall.astype(np.uint8), disc(radius))
        count, labels = cv2.connectedComponents(left, connectivity=4)
        depth = cv2.distanceTransform(np.pad(left, 1, mode="edge"), cv2.DIST_L2, 3)[1:-1, 1:-1]
        thickness = np.zeros(count)
        np.maximum.at(thickness, labels.ravel().astype(np.intp), depth.ravel())
        areas = np.bincount(labels.ravel(), minlength=count)
        within = np.bincount(labels[around], minlength=count)
        kept = (thickness >= radius) & (within >= np.minimum(areas, around.sum()) / 2)
        kept[border_of(labels)] = False
        kept[0] = False
        found |= cv2.dilate(kept[labels].astype(np.uint8), disc(radius + 1)) > 0
        radius = max(radius + 1, round(1.5 * radius))
    return found


def _shown(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Drop specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    kept = stats[:, cv2.CC_STAT_AREA] >= max(2, _SPECK * mask.size)
    kept[0] = False
    return np.asarray(kept[labels]) if count > 1 else np.zeros_like(mask)


def _closed(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Close the outline of a body whose fat was lost."""
    if not mask.any():
        return mask
    radius = max(2, round(_LOST_REACH * _long_side(mask)))
    padded = np.pad(mask.astype(np.uint8), radius + 1)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc(radius))
    return fill_holes(closed[radius + 1 : -radius - 1, radius + 1 : -radius - 1] > 0)


def _long_side(mask: Bool[np.ndarray, "row col"]) -> int:
    """Return the long side of the box around a mask that is not empty."""
    return max(int(np.ptp(places)) + 1 for places in np.nonzero(mask))
