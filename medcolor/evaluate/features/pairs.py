"""Pairs of grey images of which it is known what belongs to what.

Either one image against itself, deformed, cropped and with other grey levels, or a
phantom scan of one person against the photograph of another, who share the phantom's
canonical coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

from medcolor.body import bounding_box, pad_to_cells, resize, resize_mask, working_shape
from medcolor.color import grey_of
from medcolor.domain import Box
from medcolor.phantom import (
    Phantom,
    Region,
    Tissue,
    make_phantom,
    render_cryosection,
    render_ct,
    render_mri,
)
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.window import window_of_values

Grey = Float[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
Places = Float[np.ndarray, "2 row col"]

_ROTATION_DEG = 20.0
_SCALE = (0.85, 1.18)
_CROP = (0.7, 1.0)
_KNOTS = 7
_LEAST_CONTRAST = 0.35
_FARTHEST_PX = 2.0


@dataclass(frozen=True)
class View:
    """A grey image at the working size, padded to whole cells; background is black."""

    grey: Grey
    tissue: Mask


@dataclass(frozen=True)
class Pair:
    """Two views, and for each pixel of the first its place in the second."""

    target: View
    reference: View
    place: Places
    """(row, col) in the reference, in pixels; pixel centres have whole numbers."""

    known: Mask
    """Pixels of the target for which `place` means something."""


def view_of(grey: Grey, tissue: Mask, box: Box, size_px: int) -> View:
    """Crop to `box` and scale to the working size, as the product does."""
    shape = working_shape(box, size_px)
    inside = resize_mask(tissue[box.slices], shape)
    image = resize(np.where(tissue, grey, 0).astype(np.float32)[box.slices], shape)
    return View(pad_to_cells(np.where(inside, image, 0)), pad_to_cells(inside))


def random_tones(random: np.random.Generator) -> Float[np.ndarray, " knot"]:
    """Draw grey levels for evenly spaced grey levels, without regard to their order."""
    while True:
        tones = random.uniform(0.05, 1.0, _KNOTS)
        if np.ptp(tones) >= _LEAST_CONTRAST:
            return tones


def remap(grey: Grey, tissue: Mask, random: np.random.Generator) -> Grey:
    """Give tissue other grey levels by a random curve that rises and falls."""
    levels = np.interp(grey, np.linspace(0, 1, _KNOTS), random_tones(random))
    return np.where(tissue, levels, 0).astype(np.float32)


def deformed_pair(view: View, random: np.random.Generator) -> Pair:
    """Return a view against itself: rotated, scaled, bent, cropped, with other grey levels."""
    rows, cols = view.grey.shape
    angle = np.deg2rad(random.uniform(-_ROTATION_DEG, _ROTATION_DEG))
    scale = random.uniform(*_SCALE)
    height, width = (16 * round(side * random.uniform(*_CROP) / 16) for side in (rows, cols))
    height, width = max(16, height), max(16, width)
    top, left = random.uniform(0, rows - height), random.uniform(0, cols - width)
    row, col = np.meshgrid(
        np.arange(height) + top - rows / 2, np.arange(width) + left - cols / 2, indexing="ij"
    )
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    straight = np.einsum("ij,j...->i...", turn, np.stack([row, col]))
    bent = np.stack([bend(random, (height, width)) for _ in range(2)])
    place = (straight + bent + np.array([rows / 2, cols / 2])[:, None, None]).astype(np.float32)
    image = cv2.remap(remap(view.grey, view.tissue, random), place[1], place[0], cv2.INTER_LINEAR)
    tissue = cv2.remap(view.tissue.astype(np.uint8), place[1], place[0], cv2.INTER_NEAREST) > 0
    noisy = image + 0.01 * random.standard_normal(image.shape)
    grey = np.where(tissue, np.clip(noisy, 0, 1), 0).astype(np.float32)
    return Pair(View(grey, tissue), view, place, tissue)


def bend(random: np.random.Generator, shape: tuple[int, int]) -> Grey:
    """Draw a smooth displacement of a few pixels."""
    total = np.zeros(shape, np.float32)
    for cell_px, amplitude in ((96, 5.0), (40, 1.5)):
        coarse = random.standard_normal([side // cell_px + 2 for side in shape]) * amplitude
        size = shape[1], shape[0]
        total += cv2.resize(coarse.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return total


@dataclass(frozen=True)
class PhantomCase:
    """One person's scan and another's photographs."""

    region: Region
    spacing_mm: float
    target_seed: int
    reference_seed: int


def phantom_pairs(
    case: PhantomCase, every: int, size_px: int, equalization: float
) -> Iterator[tuple[str, Pair]]:
    """Yield modality and pair of every n-th slice of the first person's CT, T1 and T2.

    The truth is anatomical: both persons bend the same canonical plan. A pixel counts
    where its place in the other person shows the same tissue.
    """
    target = make_phantom(case.target_seed, region=case.region, spacing_mm=case.spacing_mm)
    reference = make_phantom(case.reference_seed, region=case.region, spacing_mm=case.spacing_mm)
    frames = render_cryosection(reference)
    scans = {
        "ct": render_ct(target),
        "t1": render_mri(target, "T1"),
        "t2": render_mri(target, "T2"),
    }
    matched = {name: matched_scan(values, equalization) for name, values in scans.items()}
    heights, heights2 = target.canonical_z_mm(), reference.canonical_z_mm()
    for z in range(every // 2, len(target.labels), every):
        z2 = int(np.abs(heights2 - heights[z]).argmin())
        if abs(heights2[z2] - heights[z]) > case.spacing_mm:
            continue
        body, body2 = phantom_tissue(target, z), phantom_tissue(reference, z2)
        box, box2 = bounding_box(body), bounding_box(body2)
        if box is None or box2 is None:
            continue
        place, known = _places(target, z, reference, z2)
        grey2 = grey_of(frames[z2].astype(np.float32) / 255)
        view2 = view_of(grey2, body2, box2, size_px)
        for name, volume in matched.items():
            view = view_of(volume[z], body, box, size_px)
            yield name, _at_working_size(view, view2, place, known, (box, box2), size_px)


def matched_scan(values: np.ndarray, equalization: float) -> Float[np.ndarray, "z row col"]:
    """Return what the network sees of a scan."""
    floats = values.astype(np.float32)
    window = window_of_values(floats, VolumeSettings(), equalization)
    position = (floats - window.black) / (window.white - window.black)
    return np.stack([window.matched(np.clip(part, 0, 1)) for part in position])


def phantom_tissue(phantom: Phantom, z: int) -> Mask:
    """Return where slice `z` shows tissue."""
    labels = phantom.labels[z]
    return np.asarray((labels != Tissue.AIR) & (labels != Tissue.CAVITY))


def _places(target: Phantom, z: int, reference: Phantom, z2: int) -> tuple[Places, Mask]:
    """Return the place in slice `z2` of every pixel of slice `z`, in pixels."""
    plane, plane2 = target.canonical_plane_mm(z), reference.canonical_plane_mm(z2)
    shape, shape2 = plane.shape[1:], plane2.shape[1:]
    points = plane.reshape(2, -1).T
    distance, nearest = cKDTree(plane2.reshape(2, -1).T).query(points)
    row, col = np.unravel_index(nearest, shape2)
    # From the nearest pixel to the place itself: one Newton step on the smooth map.
    slopes = np.stack([np.stack(np.gradient(axis)) for axis in plane2])[:, :, row, col]
    rest = points.T - plane2[:, row, col]
    step = np.linalg.solve(slopes.transpose(2, 0, 1), rest.T[..., None])[..., 0].T
    place = np.stack([row, col]) + step
    same = target.labels[z].ravel() == reference.labels[z2][row, col]
    near = distance < _FARTHEST_PX * reference.spacing_mm
    known = (same & near).reshape(shape) & phantom_tissue(target, z)
    return place.reshape(2, *shape).astype(np.float32), known


def _at_working_size(
    view: View,
    view2: View,
    place: Places,
    known: Mask,
    boxes: tuple[Box, Box],
    size_px: int,
) -> Pair:
    """Express places of whole slices in pixels of the two working images."""
    box, box2 = boxes
    shape, shape2 = working_shape(box, size_px), working_shape(box2, size_px)
    start = np.array([box2.row_start, box2.col_start])[:, None, None]
    scale = np.array([shape2[axis] / box2.shape[axis] for axis in range(2)])[:, None, None]
    working = (place[(slice(None), *box.slices)] - start + 0.5) * scale - 0.5
    # By linear interpolation also where shrinking: an area mean of places would be no better.
    size = shape[1], shape[0]
    grown = np.stack(
        [
            cv2.resize(axis.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
            for axis in working
        ]
    )
    inside = pad_to_cells(resize_mask(known[box.slices], shape))
    padded = np.stack([pad_to_cells(axis) for axis in grown])
    return Pair(view, view2, padded, inside & view.tissue)
