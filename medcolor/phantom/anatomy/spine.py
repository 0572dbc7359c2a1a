"""The spine from the axis to the last lumbar vertebra: bodies, discs, arches, cord."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medcolor.phantom.drawing.brushes import BONE, paint_layers
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.curves import curve
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import (
    at_height,
    at_least,
    at_most,
    both,
    capsule,
    either,
    ellipsoid,
    length,
)
from medcolor.phantom.tissues import Tissue

LEVELS = {
    "C2": -95.0, "C3": -113.0, "C4": -130.0, "C5": -147.0, "C6": -164.0, "C7": -182.0,
    "T1": -201.0, "T2": -221.0, "T3": -242.0, "T4": -263.0, "T5": -285.0, "T6": -307.0,
    "T7": -330.0, "T8": -353.0, "T9": -377.0, "T10": -402.0, "T11": -428.0, "T12": -455.0,
    "L1": -484.0, "L2": -516.0, "L3": -550.0, "L4": -585.0, "L5": -620.0,
}  # fmt: skip
"""Height of the middle of each vertebral body, canonical mm."""
TOP_OF_COLUMN, BOTTOM_OF_COLUMN = -86.0, -638.0

COLUMN = (
    # z, body's y, half width, half depth, half disc, canal half width, canal half depth
    (-76, 25, 8, 7, 2.0, 12, 9.0),
    (-95, 27, 9.5, 8, 2.2, 11.5, 8.5),
    (-130, 25, 12, 8, 2.4, 11.5, 7.6),
    (-164, 32, 13.5, 8.5, 2.6, 11.5, 7.6),
    (-201, 46, 15.5, 10, 2.2, 10, 7.8),
    (-263, 63, 14.5, 13, 2.0, 8.5, 7.8),
    (-307, 69, 15, 14, 2.2, 8.5, 7.8),
    (-353, 71, 16, 15, 2.5, 8.5, 8.0),
    (-402, 66, 17.5, 15.5, 3.0, 9, 8.2),
    (-455, 56, 20.5, 16, 3.6, 10.5, 8.6),
    (-516, 47, 22.5, 16.5, 4.8, 11.5, 8.6),
    (-585, 42, 24.5, 17, 5.6, 12, 8.6),
    (-638, 56, 26, 17, 5.6, 13, 8.6),
    (-670, 70, 25, 15, 3.0, 13, 8.0),
)
PROCESSES = (
    # z, transverse reach, its set-back from the body's centre, spinous reach, its drop, half height
    (-95, 22, 3, 18, 4, 5),
    (-130, 25, 2, 17, 6, 4),
    (-182, 29, 8, 28, 8, 4.5),
    (-221, 35, 22, 30, 14, 4.5),
    (-307, 33, 30, 25, 24, 5),
    (-402, 29, 32, 22, 16, 6),
    (-455, 25, 30, 22, 8, 8),
    (-484, 36, 26, 23, 5, 10),
    (-550, 45, 24, 24, 4, 11),
    (-620, 42, 24, 21, 4, 9),
)
DURA_GAP_MM = 1.6
CONUS_Z = -492.0


@dataclass(frozen=True)
class Level:
    """One vertebra: where it is and how large, canonical mm."""

    z: float
    height: float
    y: float
    half_width: float
    half_depth: float
    canal_x: float
    canal_y: float
    transverse: float
    set_back: float
    spinous: float
    drop: float
    spinous_half: float

    @property
    def canal_centre_y(self) -> float:
        """Middle of the spinal canal."""
        return self.y + self.half_depth + self.canal_y + 1.0


def levels() -> Iterator[Level]:
    """The vertebrae from above downwards."""
    heights = list(LEVELS.values())
    for number, z in enumerate(heights):
        above = heights[max(number - 1, 0)]
        below = heights[min(number + 1, len(heights) - 1)]
        spacing = (above - below) / (1 if number in (0, len(heights) - 1) else 2)
        at = np.array([z])
        y, a, b, _, cx, cy = (
            float(curve(at, [r[0] for r in COLUMN], [r[k] for r in COLUMN])[0]) for k in range(1, 7)
        )
        process = (
            float(curve(at, [r[0] for r in PROCESSES], [r[k] for r in PROCESSES])[0])
            for k in range(1, 6)
        )
        yield Level(z, spacing, y, a, b, cx, cy, *process)


def column_y(w: Window) -> Field:
    """The y of the middle of the vertebral column at each height."""
    return at_height(w, COLUMN, 1)


def _column(w: Window) -> tuple[Field, Field, Field]:
    """Distance to the column of bodies, height above the nearest disc's middle, half disc."""
    cy, a, b, half_disc = (at_height(w, COLUMN, k) for k in range(1, 5))
    lean = at_height(w, [(row[0] - 6, row[1]) for row in COLUMN], 1) - at_height(
        w, [(row[0] + 6, row[1]) for row in COLUMN], 1
    )
    # Discs stand square to the column's own curve.
    z = w.z + (w.y - cy) * lean * (1 / 12)
    middles = list(LEVELS.values())
    between = [(upper + lower) / 2 for upper, lower in pairwise(middles)]
    seams = [TOP_OF_COLUMN - 1, *between, BOTTOM_OF_COLUMN]
    to_seam = either(*(np.abs(z - seam) for seam in seams))
    u, v = w.x / a, (w.y - cy) / b
    flat_back = at_least(v, 0)
    level: Field = np.sqrt(u * u + v * v + 0.35 * flat_back * flat_back)
    waist = at_most(to_seam * 0.2, 1.8)
    return (level - 1) * a + waist, to_seam, half_disc


def paint_bodies(canvas: Canvas) -> None:
    """Paint vertebral bodies, in turn with discs, from C2 to the sacrum."""
    low, high = (-32, 0, BOTTOM_OF_COLUMN - 2), (32, 100, TOP_OF_COLUMN)
    for w in canvas.windows(low, high):
        column, to_seam, half_disc = _column(w)
        w.paint(Tissue.CORTICAL_BONE, column)
        plate = w.thin(1.0)
        inner = both(column + w.thin(1.1), half_disc + plate - to_seam)
        w.paint(Tissue.SPONGY_BONE, inner)
        w.paint(Tissue.DISC, both(column - 0.6, to_seam - half_disc))
    for w in canvas.windows((-26, 8, -100), (26, 60, -62)):
        dens = capsule(w, (0, 25, -70, 4.8), (0, 26.5, -92, 5.4))
        paint_layers(w, dens, BONE)
        ring = np.abs(ellipsoid(w, (0, 38, -75), (23, 22, 30))) - 3
        paint_layers(w, both(ring, w.y - 24, np.abs(w.z + 75) - 5), BONE)


def paint_arches(canvas: Canvas) -> None:
    """Paint pedicles, laminae, spinous, transverse and articular processes, and the atlas."""
    for level in levels():
        _paint_arch(canvas, level)
    for w in canvas.windows((0, 8, -90), (44, 78, -66), SIDES):
        mass = ellipsoid(w, (19, 30, -76), (9, 10, 8))
        wing = capsule(w, (22, 31, -77, 5), (37, 33, -78, 4))
        ring = np.abs(ellipsoid(w, (0, 40, -77), (20, 22, 60))) - 2.6
        arch = both(ring, np.abs(w.z + 78) - 4, 38 - w.y)
        paint_layers(w, either(mass, wing, arch), BONE)


def _paint_arch(canvas: Canvas, v: Level) -> None:
    centre = v.canal_centre_y
    back = centre + v.canal_y
    low = (0.0, v.y - 8, v.z - 0.9 * v.height - v.drop)
    high = (v.transverse + 8, back + v.spinous + 8, v.z + 0.8 * v.height)
    for w in canvas.windows(low, high, SIDES):
        ring = ellipsoid(w, (0, centre, v.z - 2), (v.canal_x + 3.6, v.canal_y + 4.2, 60))
        hole = ellipsoid(w, (0, centre, v.z - 2), (v.canal_x, v.canal_y, 60))
        slope = w.z - v.z + 0.5 * (w.y - centre)
        ring = both(ring, np.abs(slope) - 0.36 * v.height)
        tip = back + v.spinous
        blade = capsule(w, (0, back + 1, v.z - 2, 4.2), (0, tip, v.z - v.drop, 3.2))
        tall = both(np.abs(w.x) - 2.6, np.abs(w.y - (back + tip) / 2) - v.spinous / 2)
        fall = (w.y - back) * (v.drop / v.spinous)
        tall = both(tall, np.abs(w.z - (v.z - 2) + fall) - v.spinous_half)
        root = v.canal_x + 5
        side = capsule(w, (root, centre - 2, v.z, 4.4), (v.transverse, v.y + v.set_back, v.z, 3.6))
        joint = ellipsoid(w, (root + 1, centre, v.z - v.height / 2), (6, 7.5, v.height * 0.38))
        pedicle = capsule(w, (root - 2, v.y + 2, v.z + 2, 4), (root - 1, centre, v.z + 1, 4))
        bone = either(ring, blade, tall, side, joint, pedicle)
        paint_layers(w, both(bone, -hole), BONE)


def paint_cord(canvas: Canvas) -> None:
    """Paint the canal: epidural fat, fluid, the cord with its grey core, and the cauda equina."""
    for w in canvas.windows((-18, 20, -735), (18, 125, -70)):
        cy, b, canal_x, canal_y = (at_height(w, COLUMN, k) for k in (1, 3, 5, 6))
        u = w.x / canal_x
        v = (w.y - cy - b - canal_y - 1) / canal_y
        canal = (length(u, v) - 1) * canal_y
        below_sacrum = -640 - w.z
        w.paint(Tissue.FAT, both(canal, below_sacrum))
        sac = canal + DURA_GAP_MM
        w.paint(Tissue.CSF, both(sac, below_sacrum - 50))
        taper = at_least((CONUS_Z - w.z) * 0.2, -0.6)
        across = np.sqrt(u * u * 0.85 + v * v) * canal_y
        cord = both(across - 3.9 + taper, CONUS_Z - 22 - w.z)
        w.paint(Tissue.WHITE_MATTER, both(cord, sac))
        horns = both(np.abs(np.abs(u) - 0.16) - 0.09, np.abs(v) - 0.3)
        w.paint(Tissue.GREY_MATTER, both(horns * 9, cord + 1))
        roots = 0.75 - w.noise("cauda", (60.0, 2.6, 2.6))
        cauda = both(roots, sac + 1, w.z - CONUS_Z)
        w.paint(Tissue.WHITE_MATTER, cauda, over=(Tissue.CSF,))
