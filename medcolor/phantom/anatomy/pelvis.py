"""The pelvis in bone, and the muscles of hip and thigh."""

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
from medcolor.phantom.drawing.shapes import (
    blend,
    both,
    capsule,
    either,
    ellipsoid,
    loft,
    ribbon,
)
from medcolor.phantom.tissues import Tissue

HIP = (89.0, 18.0, -730.0)
ILIUM = (
    # z, x0, y0, half thickness, x1, y1, half thickness, bow
    (-600, 84, 66, 3.0, 112, 30, 3.0, -4),
    (-612, 70, 80, 4.5, 120, 8, 4.5, -8),
    (-632, 56, 90, 6.0, 127, -10, 5.0, -10),
    (-655, 48, 94, 8.0, 128, -26, 5.0, -10),
    (-680, 50, 90, 9.0, 122, -32, 6.0, -8),
    (-705, 62, 74, 10, 110, -28, 9.0, -4),
    (-724, 76, 56, 12, 100, -14, 13, 0),
)
SACRUM = (
    (-641, 0, 58, 34, 15),
    (-652, 0, 63, 50, 17),
    (-680, 0, 80, 45, 16),
    (-705, 0, 97, 33, 13),
    (-730, 0, 109, 21, 9),
    (-752, 0, 112, 11, 6.5),
    (-768, 0, 106, 5, 4.5),
)
RAMI = (
    ((78, 0, -734, 11), (52, -28, -744, 8.5), (28, -42, -756, 8.5), (9, -46, -766, 10)),
    ((9, -44, -778, 8), (26, -24, -796, 6), (46, 12, -812, 7)),
    ((74, 48, -742, 14), (64, 60, -775, 14), (56, 54, -806, 14), (46, 30, -814, 10)),
)
FEMUR = ((89, 18, -730, 14), (110, 26, -742, 15), (128, 31, -756, 17))
SHAFT = ((128, 30, -762, 17), (125, 27, -800, 15), (118, 22, -850, 14), (110, 17, -1000, 13.5))
LONG_BONE = ((0.0, Tissue.CORTICAL_BONE), (4.5, Tissue.YELLOW_MARROW))
MUSCLES = (
    # Each: z, centre x, centre y, semi-axis x, semi-axis y.
    # gluteus maximus
    (
        (-632, 62, 116, 20, 9), (-665, 74, 116, 40, 22), (-710, 86, 108, 54, 34),
        (-760, 92, 98, 56, 38), (-805, 102, 86, 46, 30), (-850, 122, 58, 20, 18),
        (-900, 132, 44, 6, 8),
    ),
    # gluteus medius and minimus
    (
        (-608, 116, 44, 10, 22), (-640, 128, 38, 18, 42), (-680, 132, 26, 20, 48),
        (-715, 136, 22, 18, 40), (-752, 146, 28, 8, 16),
    ),
    # tensor fasciae latae
    ((-680, 136, -32, 6, 12), (-740, 142, -24, 10, 18), (-800, 146, -14, 8, 18),
     (-900, 142, 0, 4, 14)),
    # iliacus
    (
        (-612, 102, 34, 8, 20), (-650, 92, 24, 14, 36), (-690, 88, 0, 16, 30),
        (-735, 92, -22, 13, 13),
        (-780, 100, -8, 12, 14),
    ),
    # rectus femoris, sartorius
    ((-735, 104, -38, 10, 10), (-800, 106, -46, 17, 13), (-900, 104, -44, 19, 15),
     (-1000, 100, -40, 17, 14)),
    ((-700, 122, -46, 8, 7), (-780, 98, -62, 10, 7), (-860, 76, -54, 10, 8),
     (-1000, 52, -20, 10, 9)),
    # vasti
    ((-770, 138, 8, 12, 20), (-820, 136, 0, 20, 34), (-900, 130, -4, 24, 36),
     (-1000, 124, -4, 22, 32)),
    ((-800, 104, 4, 14, 14), (-850, 92, -6, 20, 22), (-900, 88, -12, 22, 24),
     (-1000, 80, -14, 22, 26)),
    # adductors, pectineus, gracilis
    ((-750, 50, -40, 20, 10), (-790, 56, -34, 24, 16), (-850, 62, -28, 20, 18),
     (-1000, 64, -6, 12, 12)),
    ((-780, 46, 0, 20, 22), (-820, 58, 14, 30, 28), (-880, 70, 20, 28, 26),
     (-1000, 74, 24, 22, 20)),
    ((-780, 15, -26, 8, 16), (-850, 26, -8, 9, 20), (-1000, 34, 12, 9, 18)),
    # levator and the small muscles of the perineum
    ((-756, 34, 60, 9, 22), (-785, 22, 48, 10, 26), (-815, 14, 28, 9, 26), (-828, 10, 10, 5, 16)),
    # hamstrings
    ((-800, 66, 70, 16, 12), (-850, 76, 70, 22, 18), (-920, 76, 66, 24, 20),
     (-1000, 70, 58, 24, 20)),
    ((-815, 94, 72, 12, 12), (-870, 108, 62, 20, 18), (-1000, 108, 54, 22, 20)),
    # obturators and piriformis
    ((-705, 48, 84, 20, 9), (-725, 86, 70, 26, 10), (-742, 112, 56, 18, 8)),
    ((-735, 56, 22, 9, 26), (-770, 46, 14, 12, 32), (-800, 40, 10, 10, 24)),
)  # fmt: skip


def paint_hip_muscles(canvas: Canvas) -> None:
    """Paint the muscles around hip and thigh."""
    build = 1.18 * canvas.person.muscularity
    shapes: list[Shape] = []
    for rows in MUSCLES:
        sized = [(z, x, y, a * build, b * build) for z, x, y, a, b in rows]
        shapes.append(partial(loft, rows=sized, square=0.35))
    paint_packed(
        canvas.windows((0, -90, -1100), (190, 170, -604), SIDES),
        shapes,
        within=under_fat,
        gap_mm=2.0,
    )
    nerve = ((70, 66, -735, 5), (84, 64, -790, 5), (88, 52, -860, 4.5), (86, 46, -1000, 4))
    paint_tube(canvas, nerve, ((0.0, Tissue.FASCIA),), sides=SIDES)


def paint_pelvic_bones(canvas: Canvas) -> None:
    """Paint hip bones, sacrum and femora with their joint clefts."""
    for w in canvas.windows((0, -60, -830), (150, 125, -598), SIDES):
        socket = ellipsoid(w, (HIP[0] - 4, HIP[1] + 2, HIP[2] + 3), (31, 33, 33))
        hollow = ellipsoid(w, HIP, (27.5, 27.5, 27.5))
        mouth = capsule(w, (HIP[0], HIP[1], HIP[2], 27), (130, 10, -760, 34))
        socket = both(socket, -either(hollow, mouth))
        ilium = both(ribbon(w, ILIUM), -either(hollow, mouth))
        paint_layers(w, either(blend(ilium, socket, 8), socket), BONE)
    for ramus in RAMI:
        paint_tube(canvas, ramus, BONE, sides=SIDES)
    for w in canvas.windows((0, -60, -800), (150, 60, -690), SIDES):
        w.paint(Tissue.CARTILAGE, ellipsoid(w, HIP, (26.2, 26.2, 26.2)))
        paint_layers(w, ellipsoid(w, HIP, (24, 24, 24)), BONE)
        trochanter = ellipsoid(w, (132, 34, -750), (13, 20, 20))
        paint_layers(w, trochanter, BONE)
    paint_tube(canvas, FEMUR, BONE, sides=SIDES)
    paint_tube(canvas, SHAFT, LONG_BONE, sides=SIDES)
    for w in canvas.windows((-8, -62, -792), (8, -30, -752)):
        joint = both(np.abs(w.x) - 3, ellipsoid(w, (0, -46, -771), (8, 9, 18)))
        w.paint(Tissue.CARTILAGE, joint)


def paint_sacrum(canvas: Canvas) -> None:
    """Paint the sacrum in the cleft between the hip bones, with its foramina."""
    for w in canvas.windows((-62, 36, -772), (62, 130, -640)):
        bone = loft(w, SACRUM, square=0.3)
        gap = both(bone - 2.2, -700 - w.z)
        w.paint(Tissue.CARTILAGE, gap, over=(Tissue.CORTICAL_BONE, Tissue.SPONGY_BONE))
        paint_layers(w, bone, BONE)
        ax = np.abs(w.x)
        rise = w.z + 655
        cell = rise / -22 - np.floor(rise / -22) - 0.5
        row = np.abs(cell) * 22
        across = ax - 20 - 0.06 * rise
        hole = np.sqrt(row * row + across * across) - 4.2
        w.paint(Tissue.FAT, both(hole, bone, -728 - w.z))
