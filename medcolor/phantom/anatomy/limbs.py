"""The arms: bones with marrow, and muscles in their compartments."""

from __future__ import annotations

from functools import partial

import numpy as np

from medcolor.phantom.anatomy.wall import under_fat
from medcolor.phantom.drawing.brushes import (
    BONE,
    Shape,
    paint_layers,
    paint_packed,
    paint_tube,
)
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import both, ellipsoid, loft
from medcolor.phantom.tissues import Tissue

HUMERAL_HEAD = (166.0, 38.0, -258.0)
HUMERUS = (
    (172, 37, -272, 17), (180, 38, -310, 12), (194, 40, -370, 11), (205, 42, -440, 10.5),
    (213, 44, -510, 10.5), (217, 45, -540, 11),
)  # fmt: skip
ULNA = (
    (219, 54, -540, 9),
    (222, 50, -560, 9),
    (226, 42, -610, 7),
    (236, 20, -710, 6),
    (243, 6, -800, 5.5),
)
RADIUS = (
    (224, 34, -562, 9),
    (228, 28, -590, 6.5),
    (235, 6, -700, 6.5),
    (238, -4, -780, 8),
    (238, -6, -802, 9.5),
)
SHAFT = ((0.0, Tissue.CORTICAL_BONE), (3.8, Tissue.YELLOW_MARROW))
SLIM = ((0.0, Tissue.CORTICAL_BONE), (2.8, Tissue.YELLOW_MARROW))
MUSCLES = (
    # Each: z, centre x, centre y, semi-axis x, semi-axis y.
    # biceps, brachialis
    ((-270, 158, 8, 10, 10), (-330, 184, 14, 17, 14), (-420, 202, 14, 23, 16),
     (-500, 214, 18, 20, 15), (-556, 222, 18, 9, 9)),
    ((-380, 206, 26, 16, 12), (-440, 212, 28, 22, 14), (-510, 218, 30, 24, 15),
     (-562, 222, 34, 14, 10)),
    # triceps
    ((-300, 184, 66, 18, 14), (-360, 198, 68, 30, 20), (-440, 208, 68, 32, 20),
     (-510, 216, 68, 26, 16), (-550, 220, 66, 14, 8)),
    # coracobrachialis
    ((-275, 148, 14, 9, 9), (-330, 172, 30, 11, 11), (-400, 190, 36, 7, 8)),
    # brachioradialis and long extensors
    ((-500, 236, 28, 8, 12), (-560, 244, 20, 15, 17), (-620, 250, 14, 16, 18),
     (-700, 250, -2, 11, 13), (-780, 250, -12, 4, 5)),
    # extensors
    ((-560, 240, 50, 10, 11), (-620, 250, 42, 15, 15), (-700, 253, 22, 12, 15),
     (-790, 252, 6, 6, 8)),
    # flexors, superficial and deep
    ((-556, 206, 32, 10, 14), (-620, 210, 24, 19, 20), (-700, 220, 4, 17, 18),
     (-790, 226, -10, 8, 11)),
    ((-580, 214, 50, 12, 10), (-640, 220, 42, 16, 14), (-720, 226, 20, 14, 14),
     (-800, 228, 2, 8, 9)),
    # ball of the thumb and palm
    ((-806, 226, -26, 8, 10), (-850, 224, -34, 12, 14), (-900, 222, -36, 10, 12)),
    ((-810, 228, 8, 6, 10), (-860, 226, 4, 7, 22), (-900, 224, -2, 6, 22)),
)  # fmt: skip


def paint_arm_muscles(canvas: Canvas) -> None:
    """Paint the muscles of arm and forearm."""
    build = 1.12 * canvas.person.muscularity
    shapes: list[Shape] = []
    for rows in MUSCLES:
        sized = [(z, x, y, a * build, b * build) for z, x, y, a, b in rows]
        shapes.append(partial(loft, rows=sized, square=0.35))
    windows = canvas.windows((130, -70, -1000), (300, 110, -268), SIDES)
    paint_packed(windows, shapes, within=under_fat, gap_mm=1.8)


def paint_arm_bones(canvas: Canvas) -> None:
    """Paint humerus, ulna, radius, wrist and the bones of the palm."""
    paint_tube(canvas, HUMERUS, SHAFT, sides=SIDES)
    for w in canvas.windows((138, 10, -288), (196, 68, -230), SIDES):
        w.paint(Tissue.CARTILAGE, ellipsoid(w, HUMERAL_HEAD, (23.5, 23.5, 23.5)))
        paint_layers(w, ellipsoid(w, HUMERAL_HEAD, (22, 22, 22)), BONE)
        tubercle = ellipsoid(w, (180, 30, -262), (10, 12, 14))
        paint_layers(w, tubercle, BONE)
    for w in canvas.windows((190, 20, -572), (250, 70, -515), SIDES):
        paint_layers(w, ellipsoid(w, (219, 44, -542), (23, 10.5, 17)), BONE)
    paint_tube(canvas, ULNA, SLIM, sides=SIDES)
    paint_tube(canvas, RADIUS, SLIM, sides=SIDES)
    for w in canvas.windows((222, -30, -834), (258, 26, -798), SIDES):
        pebbles = ellipsoid(w, (239, -3, -817), (9, 20, 14))
        seams = np.abs(w.noise("carpals", 8.0, band=True)) - 0.1
        paint_layers(w, both(pebbles, -seams), BONE)
    for k in range(5):
        y = -30 + 13 * k
        bone = ((239, -14 + 6 * k, -828, 5), (237, y, -880, 4.2), (233, y - 4, -990, 4.5))
        paint_tube(canvas, bone, BONE, sides=SIDES)
