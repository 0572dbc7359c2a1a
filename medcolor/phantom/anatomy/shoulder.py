"""The shoulder girdle: scapula, and the muscles of chest, shoulder and upper back."""

from __future__ import annotations

from functools import partial

import numpy as np

from medcolor.phantom.anatomy.wall import cage, under_fat
from medcolor.phantom.drawing.brushes import (
    BONE,
    Shape,
    paint_layers,
    paint_packed,
    paint_tube,
)
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import both, capsule, either, ellipsoid, loft, ribbon

BLADE = (
    # z, x0, y0, half thickness, x1, y1, half thickness, bow
    (-236, 66, 92, 2.0, 116, 74, 2.5, -2),
    (-252, 66, 102, 2.0, 134, 58, 4.5, -3),
    (-275, 66, 110, 1.8, 140, 56, 5.0, -3),
    (-300, 68, 115, 1.8, 137, 72, 3.8, -3),
    (-340, 75, 120, 1.8, 126, 95, 3.2, -2),
    (-375, 85, 122, 2.0, 112, 112, 2.8, -1),
    (-392, 94, 121, 2.2, 103, 118, 2.2, 0),
)
SCAPULAR_SPINE = (
    (72, 113, -274, 2.8),
    (108, 104, -258, 3.2),
    (144, 76, -238, 4.2),
    (164, 48, -228, 5.5),
    (162, 30, -226, 5.0),
)
CORACOID = ((138, 40, -248, 6.5), (128, 12, -248, 5.5), (136, -2, -256, 5.0))
SHEETS = (
    # Each: z, x0, y0, half thickness, x1, y1, half thickness, bow.
    # trapezius
    (
        (-208, 3, 104, 7.0, 116, 50, 11.0, -14), (-234, 3, 112, 7.0, 152, 58, 11.0, -20),
        (-258, 3, 122, 5.0, 128, 104, 5.5, -6),
        (-300, 3, 129, 3.8, 90, 126, 3.2, -4), (-350, 3, 132, 3.2, 52, 133, 2.6, -2),
        (-425, 3, 130, 2.4, 18, 131, 2.0, 0),
    ),
    # rhomboids
    ((-226, 12, 106, 3.0, 62, 104, 3.5, -3), (-300, 10, 122, 3.4, 68, 120, 3.6, -3),
     (-346, 12, 127, 2.6, 76, 126, 2.6, -2)),
    # infraspinatus and teres minor
    ((-256, 74, 113, 3.0, 146, 74, 8.0, -6), (-290, 74, 122, 6.0, 146, 82, 11.0, -6),
     (-335, 80, 128, 6.0, 134, 104, 9.0, -4), (-378, 90, 128, 4.0, 116, 119, 5.0, -2)),
    # subscapularis
    ((-246, 72, 94, 5.0, 140, 48, 9.0, 2), (-300, 72, 106, 6.0, 136, 60, 10.0, 2),
     (-345, 80, 113, 5.0, 122, 86, 8.0, 2), (-380, 90, 115, 3.0, 108, 105, 4.0, 1)),
    # teres major and latissimus
    ((-290, 150, 80, 6.0, 162, 30, 6.0, 0), (-330, 122, 112, 7.0, 152, 62, 8.0, -4),
     (-380, 62, 134, 3.5, 142, 76, 7.0, -14), (-440, 40, 131, 3.0, 138, 66, 5.0, -22),
     (-520, 38, 117, 2.6, 128, 62, 3.4, -20), (-580, 44, 112, 2.0, 96, 92, 2.0, -6)),
    # pectoralis major
    ((-234, 30, -36, 4.0, 118, 0, 8.0, 8), (-262, 18, -52, 5.5, 150, 8, 11.0, 12),
     (-300, 16, -68, 6.5, 150, -4, 11.0, 16), (-345, 16, -82, 6.5, 128, -38, 9.0, 16),
     (-392, 22, -88, 5.0, 98, -66, 5.0, 8)),
    # pectoralis minor
    ((-252, 126, 4, 4.0, 136, 12, 4.0, 0), (-285, 92, -24, 5.0, 122, 2, 5.5, 4),
     (-330, 74, -56, 4.0, 104, -36, 4.5, 3), (-350, 74, -64, 2.5, 92, -54, 2.5, 1)),
)  # fmt: skip
DELTOID = (
    # z, centre x, centre y, semi-axis x, semi-axis y: the muscle's outside, then its hollow
    (-216, 160, 36, 22, 22),
    (-232, 172, 35, 42, 42),
    (-262, 182, 34, 52, 54),
    (-310, 190, 35, 46, 46),
    (-360, 204, 37, 26, 24),
    (-395, 214, 38, 8, 8),
)
UNDER_DELTOID = (
    (-216, 150, 36, 8, 8),
    (-232, 156, 38, 26, 26),
    (-262, 158, 38, 36, 32),
    (-310, 170, 38, 34, 30),
    (-360, 190, 38, 28, 26),
    (-395, 204, 38, 24, 22),
)
SUPRASPINATUS = ((62, 92, -246, 11), (104, 72, -232, 17), (150, 48, -230, 10))


def paint_girdle_muscles(canvas: Canvas) -> None:
    """Paint the muscles between skin and ribs from neck to waist."""
    build = canvas.person.muscularity
    sheets = [[(*r[:3], r[3] * build, *r[4:6], r[6] * build, r[7]) for r in s] for s in SHEETS]
    shapes: list[Shape] = [partial(ribbon, rows=rows) for rows in sheets]
    shapes += [_deltoid, _supraspinatus, _serratus]
    windows = canvas.windows((0, -112, -582), (240, 150, -212), SIDES)
    paint_packed(windows, shapes, within=_wall, gap_mm=1.8)


def _wall(w: Window) -> Field:
    """The space between the ribs and the subcutaneous fat."""
    return both(under_fat(w), 8.6 - cage(w))


def _deltoid(w: Window) -> Field:
    """The cap of the shoulder: a thick shell around the head of the humerus."""
    return both(loft(w, DELTOID), -loft(w, UNDER_DELTOID))


def _supraspinatus(w: Window) -> Field:
    inner, middle, outer = SUPRASPINATUS
    return either(capsule(w, inner, middle), capsule(w, middle, outer))


def _serratus(w: Window) -> Field:
    """Serratus anterior and, lower down, the external oblique: a sheet on the side of the ribs."""
    sheet = np.abs(cage(w) - 12.5) - 4.2
    side = both(72 - w.x, np.abs(w.y - 28) - 78)
    height = both(w.z + 244, -500 - w.z)
    return both(sheet, side, height)


def paint_scapula(canvas: Canvas) -> None:
    """Paint the shoulder blade with its spine, socket and coracoid process."""
    for w in canvas.windows((58, 30, -396), (156, 132, -232), SIDES):
        socket = ellipsoid(w, (144, 44, -258), (6, 11, 17), yaw=-20)
        paint_layers(w, either(ribbon(w, BLADE), socket), BONE)
    paint_tube(canvas, SCAPULAR_SPINE, BONE, sides=SIDES)
    paint_tube(canvas, CORACOID, BONE, sides=SIDES)
