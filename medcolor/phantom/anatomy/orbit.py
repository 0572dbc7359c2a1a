"""The eyes: globe, lens, optic nerve, the straight eye muscles and the tear gland."""

from __future__ import annotations

from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import ellipsoid
from medcolor.phantom.tissues import Tissue

GLOBE = (32.5, -57.5, -38.0)
OPTIC_NERVE = ((31, -46, -38, 2.7), (24, -34, -36, 2.6), (12, -16, -28, 2.2), (1, -4, -17, 2.2))
RECTI = (
    ((22, -58, -38, 1.2), (20.5, -48, -37.5, 2.9), (14, -27, -33, 1.4)),
    ((44, -56, -38, 1.2), (41, -44, -37.5, 2.9), (16, -26, -34, 1.4)),
    ((32.5, -57, -27, 1.2), (30, -45, -27.5, 2.7), (15, -26, -31, 1.4)),
    ((32.5, -57, -50, 1.2), (30, -45, -49, 2.7), (15, -26, -36, 1.4)),
)


def paint_eyes(canvas: Canvas) -> None:
    """Paint the contents of both orbits over their fat."""
    for rectus in RECTI:
        paint_tube(canvas, rectus, ((0.0, Tissue.MUSCLE),), sides=SIDES)
    paint_tube(canvas, OPTIC_NERVE, ((0.0, Tissue.WHITE_MATTER),), sides=SIDES)
    size = canvas.person.vary("eye/size", 11.5, 12.6)
    x, y, z = GLOBE
    for w in canvas.windows((x - 15, y - 15, z - 15), (x + 18, y + 15, z + 18), SIDES):
        w.paint(Tissue.GLAND, ellipsoid(w, (44, -56, -28), (4, 6, 4)), over=(Tissue.FAT,))
        globe = ellipsoid(w, GLOBE, (size, size, size))
        w.paint(Tissue.SCLERA, globe)
        w.paint(Tissue.VITREOUS, globe + w.thin(1.1))
        w.paint(Tissue.LENS, ellipsoid(w, (x, y - size + 4.3, z), (4.6, 2.4, 4.6)))
