"""The cerebrum: hemispheres with a folded cortex.

Sulci are sheets where a band of noise, constant along the way down from the hull, crosses zero.
They are cut into the hull to a depth that varies along them; the cortex is then what lies within a
fixed distance of the brain's outside, which makes a ribbon of even thickness on crowns, banks and
bottoms alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcolor.phantom.anatomy.cranium import cerebral_hull
from medcolor.phantom.drawing.canvas import Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.noise import smooth_noise, stream_key
from medcolor.phantom.drawing.shapes import (
    at_least,
    at_most,
    both,
    bump,
    carve,
    difference,
    either,
    length,
    steepness,
)
from medcolor.phantom.tissues import Tissue

CORTEX_MM = 2.8
FOLD_STEP_MM = 8.8
"""Lattice step of the folding noise; neighbouring sulci lie some 11 mm apart."""
FLATTEST = 0.17
"""Slope of the folding noise (1/mm) below which a zero is a dimple, not a sulcus."""
SAMPLE_STEP_MM = 2.5
SAMPLE_LOW = (-92.0, -104.0, -90.0)
SAMPLE_COUNT = (80, 96, 76)
"""The box (x, y, z) in which folding noise is tabled."""


def tabled_noise(w: Window, name: str, period_mm: float, *, band: bool) -> Field:
    """Noise over the canonical box of the brain, at steps of `SAMPLE_STEP_MM`, axes (z, y, x)."""
    axes: list[Field] = [
        low + SAMPLE_STEP_MM * np.arange(count)
        for low, count in zip(SAMPLE_LOW[::-1], SAMPLE_COUNT[::-1], strict=True)
    ]
    return smooth_noise(stream_key(w.person.seed, name), axes, period_mm, band=band)


def look_up(table: Field, points: tuple[Field, Field, Field]) -> Field:
    """Trilinear interpolation of a tabled noise at canonical points (x, y, z)."""
    cells, parts = [], []
    for value, low, count in zip(points, SAMPLE_LOW, SAMPLE_COUNT, strict=True):
        position = (value - low) * (1 / SAMPLE_STEP_MM)
        position = at_most(at_least(position, 0), count - 1.001)
        cell: Field = np.floor(position)
        cells.append(cell.astype(np.int64))
        parts.append(position - cell)
    (ix, iy, iz), (tx, ty, tz) = cells, parts
    flat: Field = table.ravel()
    row, layer = SAMPLE_COUNT[0], SAMPLE_COUNT[0] * SAMPLE_COUNT[1]
    base = iz * layer + iy * row + ix
    edges: list[Field] = []
    for dz in (0, layer):
        pair: list[Field] = []
        for dy in (0, row):
            left, right = flat[base + (dz + dy)], flat[base + (dz + dy + 1)]
            pair.append(left + (right - left) * tx)
        edges.append(pair[0] + (pair[1] - pair[0]) * ty)
    return edges[0] + (edges[1] - edges[0]) * tz


def nearest_on_hull(hull: Field, w: Window) -> tuple[Field, Field, Field]:
    """The canonical point of the hull that each voxel lies under, by the hull's gradient."""
    x, y, z = (difference(hull, axis) for axis in (2, 1, 0))
    step = -hull / at_least(length(x, y, z), 1e-3)
    return w.x + step * x, w.y + step * y, w.z + step * z


def sulci(w: Window, hull: Field) -> Field:
    """Distance to the folds' clefts, negative in their fluid."""
    x, y, z = nearest_on_hull(hull * 0.8, w)
    wind = [1.6 * w.noise(f"cortex/winding/{k}", 8.0) for k in range(3)]
    surface = (x + wind[0], y + wind[1], z + wind[2])
    folds = look_up(tabled_noise(w, "cortex/folds", FOLD_STEP_MM, band=True), surface)
    cleft = np.abs(folds) / at_least(steepness(folds, w), FLATTEST)

    depth_noise = look_up(tabled_noise(w, "cortex/depth", 13.0, band=False), surface)
    deepest = 15 + 4 * depth_noise
    deepest = at_most(at_least(deepest, 5), 25)
    half_width = max(0.65 * w.person.sulcus_width, 0.43 * w.lattice.spacing_mm)
    mouth = at_least(1 + hull / 5, 0)
    width = half_width * (1 + 0.5 * mouth)
    return both(cleft - width, -hull - deepest)


def long_fissures(w: Window) -> Field:
    """The cleft between the hemispheres and, on either side, the lateral fissure with insula."""
    ax = np.abs(w.x)
    half = max(0.9, 0.5 * w.lattice.spacing_mm)
    between = both(ax - half, -above_callosum(w))
    course: Field = -21 + 0.5 * (w.y + 15)
    course = course + 0.16 * (ax - 50) + w.noise("sylvius", 14.0)
    off = w.z - course
    slot = both(np.abs(off) - half, 37 - ax, np.abs(w.y - 13) - 36)
    depth = np.abs(ax - 39 + 0.15 * np.abs(off)) - half
    tall = np.abs(off - 1) - 15 * bump(w.y, 8, 30)
    return either(between, slot, both(depth, tall))


def above_callosum(w: Window) -> Field:
    """Positive where the hemispheres are apart: outside the callosum and what hangs below it."""
    cy, cz = w.y - 3, w.z - 2
    level = length(cy / 41, cz / 27)
    arch = both((level - 1) * 30, -6 - w.z)
    trunk = both(np.abs(w.y - 18) - 24, w.z - 10)
    return either(arch, trunk)


def paint_cerebrum(w: Window) -> None:
    """Paint grey and white matter over the fluid of the brain case."""
    hull = cerebral_hull(w)
    apart = carve(hull, either(0.5 - np.abs(w.x), above_callosum(w)), 6)
    callosal = both(np.abs(w.x) - 17, above_callosum(w))
    folds = both(sulci(w, apart), -callosal)
    folded = both(hull, -either(folds, long_fissures(w)))
    tissue = folded < 0
    w.labels[tissue] = Tissue.WHITE_MATTER
    w.labels[tissue & (depth_below(tissue, w) < CORTEX_MM)] = Tissue.GREY_MATTER
    # The callosum is bare of cortex, although the fissure runs down to it.
    band = both(callosal, -callosal - 9, -6 - w.z)
    w.paint(Tissue.WHITE_MATTER, band, over=(Tissue.GREY_MATTER,))


def depth_below(solid: NDArray[np.bool_], w: Window) -> Field:
    """Distance (mm) of each voxel of `solid` to the solid's surface."""
    steps: Field = ndimage.distance_transform_edt(solid).astype(np.float32)
    return (steps - 0.5) * w.lattice.spacing_mm
