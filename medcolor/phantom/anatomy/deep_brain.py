"""What lies inside the hemispheres: ventricles, basal ganglia, thalamus, hippocampus."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import both, ellipsoid
from medcolor.phantom.tissues import Tissue

CAUDATE = (
    (11.5, -24, 3, 4.5),
    (12.5, -16, 7, 6.3),
    (13.5, -6, 12, 5.2),
    (15.5, 4, 17, 3.6),
    (18, 14, 20, 2.8),
    (20, 25, 18, 2.0),
)
HIPPOCAMPUS = ((23, 0, -22, 6.5), (26, 12, -20, 5.0), (29, 24, -14, 4.2), (25, 35, -4, 3.0))
LATERAL_VENTRICLE = (
    (12.5, -31, 4, 2.2),
    (8.5, -21, 11, 4.2),
    (6.5, -7, 16.5, 4.6),
    (8, 8, 20.5, 4.2),
    (13, 23, 20, 4.6),
    (21, 36, 12, 6.0),
)
TEMPORAL_HORN = (
    (22, 37, 10, 5.5),
    (30, 30, -2, 3.6),
    (33, 17, -11, 2.6),
    (31, 3, -15, 2.4),
)
OCCIPITAL_HORN = ((22, 38, 10, 5.0), (24, 52, 6, 3.4), (21, 67, 3, 1.3))
NUCLEI = (
    # centre, radii, yaw
    ((26.0, -2, 2), (5.2, 17, 11), -7.0),  # putamen
    ((19.0, 2, -0.5), (3.8, 8.5, 6.5), -22.0),  # pallidum
    ((10.5, 17, 8.5), (8.2, 15, 9.5), -20.0),  # thalamus
)
CEREBRUM = (Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.DEEP_GREY, Tissue.CSF)


def paint_deep_brain(canvas: Canvas) -> None:
    """Paint nuclei, then ventricles over them."""
    grey = ((0.0, Tissue.DEEP_GREY),)
    paint_tube(canvas, HIPPOCAMPUS, grey, sides=SIDES, over=CEREBRUM)
    for centre, radii, yaw in NUCLEI:
        low = [c - max(radii) for c in centre]
        high = [c + max(radii) for c in centre]
        for w in canvas.windows(low, high, SIDES):
            rough = 0.6 * w.noise("nuclei", 9.0)
            w.paint(Tissue.DEEP_GREY, ellipsoid(w, centre, radii, yaw=yaw) + rough, over=CEREBRUM)
    paint_tube(canvas, CAUDATE, grey, sides=SIDES, over=CEREBRUM)
    _paint_ventricles(canvas)


def _paint_ventricles(canvas: Canvas) -> None:
    size = canvas.person.ventricle_size
    for horn in (LATERAL_VENTRICLE, TEMPORAL_HORN, OCCIPITAL_HORN):
        wide = [(x + 2.5 * (size - 1), y, z, r * size) for x, y, z, r in horn]
        paint_tube(canvas, wide, ((0.0, Tissue.CSF),), sides=SIDES, over=CEREBRUM)
    for w in canvas.windows((-6, -14, -14), (6, 34, 34)):
        third = ellipsoid(w, (0, 9, 0), (max(1.3, 1.8 * size), 15, 12), pitch=20)
        w.paint(Tissue.CSF, third, over=CEREBRUM)
        outline = ellipsoid(w, (0, -8, 17), (3, 20, 9), pitch=-10)
        septum = both(np.abs(w.x) - 0.5 * w.thin(1.6), outline)
        w.paint(Tissue.WHITE_MATTER, septum, over=(Tissue.CSF,))
