"""Muscles along the spine, behind and in front of it."""

from __future__ import annotations

from functools import partial

import numpy as np

from medcolor.phantom.anatomy.wall import cage, under_fat
from medcolor.phantom.drawing.brushes import Shape, paint_packed
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import at_least, both, loft
from medcolor.phantom.tissues import Tissue

ERECTORS = (
    # Each: z, centre x, centre y, semi-axis x, semi-axis y.
    # longissimus and iliocostalis
    (
        (-225, 34, 96, 12, 9), (-300, 36, 112, 20, 12), (-380, 38, 111, 24, 15),
        (-450, 40, 100, 28, 20), (-520, 42, 88, 31, 24), (-590, 42, 88, 31, 25),
        (-645, 38, 98, 24, 20), (-700, 26, 116, 12, 10),
    ),
    # multifidus and rotators
    (
        (-225, 13, 92, 11, 11), (-300, 13, 108, 11, 12), (-380, 13, 108, 11, 12),
        (-450, 14, 98, 12, 15), (-540, 15, 88, 14, 18), (-620, 17, 96, 16, 18),
        (-700, 15, 116, 13, 11),
    ),
)  # fmt: skip
LUMBAR = (
    # psoas, going down to the hip
    (
        (-478, 26, 50, 6, 8), (-510, 33, 46, 13, 15), (-560, 41, 42, 19, 21),
        (-610, 47, 38, 22, 23),
        (-655, 56, 26, 21, 22), (-700, 70, 0, 18, 18), (-735, 82, -14, 17, 15),
        (-775, 96, 2, 14, 15),
        (-800, 104, 16, 9, 10),
    ),
    # quadratus lumborum
    ((-490, 54, 72, 10, 7), (-540, 66, 70, 17, 9), (-585, 74, 68, 21, 9), (-608, 80, 66, 18, 8)),
)  # fmt: skip


def paint_back_muscles(canvas: Canvas) -> None:
    """Paint the erector spinae, psoas and quadratus lumborum."""
    build = canvas.person.muscularity
    erectors: list[Shape] = []
    for rows in ERECTORS:
        sized = [(z, x, y, a * build, b * build) for z, x, y, a, b in rows]
        erectors.append(partial(loft, rows=sized, square=0.5))
    behind = canvas.windows((0, 70, -710), (80, 150, -222), SIDES)
    paint_packed(behind, erectors, within=_behind_ribs)
    lumbar: list[Shape] = [partial(loft, rows=rows, square=0.3) for rows in LUMBAR]
    paint_packed(canvas.windows((0, -40, -802), (125, 95, -476), SIDES), lumbar)


def _behind_ribs(w: Window) -> Field:
    """The space between the subcutaneous fat and, as far down as there are any, the ribs."""
    ribs = np.where(w.z > -470, 9 - cage(w), np.float32(-99))
    return both(under_fat(w) + 4, ribs)


def marble_muscle(canvas: Canvas) -> None:
    """Thread fat through the muscles along their length, more of it in stouter persons."""
    share = 0.012 + 0.014 * canvas.person.fatness
    for w in canvas.windows((-400, -400, -1100), (400, 400, -60)):
        thread = np.abs(w.noise("marbling", (22.0, 6.0, 6.0), band=True))
        patch = at_least(0.6 + w.noise("marbling/patch", 24.0), 0)
        w.paint(Tissue.FAT, thread - share * patch, over=(Tissue.MUSCLE,))
