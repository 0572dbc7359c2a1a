"""Muscles and glands of the face: chewing muscles, mimic sheets, cheeks, salivary glands."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.anatomy.mouth import UPPER_ARCH, along_arch
from medcolor.phantom.anatomy.skull import vault_thickness
from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import both, bump, either, ellipsoid, loft, ramp
from medcolor.phantom.tissues import Tissue

MASSETER = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-58, 61, -28, 2.5, 8),
    (-70, 60, -20, 6, 15),
    (-90, 59.5, -13, 7.5, 18),
    (-108, 57, -10, 7, 16),
    (-122, 52, -9, 3, 9),
)
MEDIAL_PTERYGOID = (
    (-64, 22, -18, 7, 10),
    (-80, 28, -14, 11.5, 15),
    (-96, 34, -10, 12, 17),
    (-110, 39, -8, 9, 15),
    (-121, 43, -7, 4, 9),
)
LATERAL_PTERYGOID = ((18, -24, -66, 8), (33, -12, -63, 11.5), (48, 2, -58, 6))
PALATE_LIFTER = ((24, 2, -54, 4.5), (20, -6, -70, 6.5), (13, -16, -90, 6), (6, -22, -97, 4))
DIGASTRIC = ((8, -68, -144, 4.5), (12, -48, -146, 6.5), (18, -26, -139, 3.5))
TEMPORAL_TENDON = (
    (-36, 58, -22, 6.5, 19),
    (-52, 54.5, -22, 6.5, 15),
    (-66, 51, -22, 4.5, 9),
    (-82, 49, -24, 2, 5),
)
PAROTID = ((58, 15, -82), (14, 17, 30))
SUBMANDIBULAR = ((32, -24, -139), (9, 15, 9))
SOFT = (Tissue.FAT,)


def paint_temporalis(w: Window, case: Field) -> None:
    """Paint the temporal muscle onto the outside of the skull.

    Args:
        w: window over the brain case.
        case: distance to the inner surface of the skull.
    """
    rise = case - vault_thickness(w)
    bulk = 13 * bump(w.y + 0.25 * w.z, -14, 56) * bump(w.z, -34, 68)
    bulk = w.person.muscularity * bulk * ramp(np.abs(w.x), 28, 44) - 1.5
    muscle = both(rise - bulk, 0.3 - rise)
    w.paint(Tissue.MUSCLE, both(muscle, -60 - w.z), over=SOFT)
    fascia = both(np.abs(rise - bulk - 1) - 0.6, -bulk + 1)
    w.paint(Tissue.FASCIA, both(fascia, -50 - w.z), over=SOFT)


def paint_masticators(canvas: Canvas) -> None:
    """Paint masseter, pterygoids, the lower part of temporalis, palate lifters and digastrics."""
    build = canvas.person.muscularity
    for rows in (MASSETER, MEDIAL_PTERYGOID, TEMPORAL_TENDON):
        sized = [(z, x, y, a * build, b * build) for z, x, y, a, b in rows]
        for w in canvas.windows((10, -50, sized[-1][0]), (78, 20, sized[0][0]), SIDES):
            w.paint(Tissue.MUSCLE, loft(w, sized), over=SOFT)
    for course in (LATERAL_PTERYGOID, PALATE_LIFTER, DIGASTRIC):
        paint_tube(canvas, course, ((0, Tissue.MUSCLE),), sides=SIDES, over=SOFT)


def paint_cheeks(canvas: Canvas) -> None:
    """Paint cheek and lip muscles, the mimic sheet under the skin, and salivary glands."""
    for w in canvas.windows((-50, -104, -140), (50, -20, -56)):
        across, run = along_arch(w, UPPER_ARCH)
        lips = both(np.abs(across + 8) - 2.6, run - 30, np.abs(w.z + 107) - 16)
        cheek = both(np.abs(across + 9) - 1.4, 24 - run, np.abs(w.z + 109) - 15)
        w.paint(Tissue.MUSCLE, either(lips, cheek), over=SOFT)
        slit = both(np.abs(w.z + 109) - 0.8, across + 3, run - 24)
        w.paint(Tissue.MUCOSA, slit - 1, over=(Tissue.MUSCLE, Tissue.FAT))
    for w in canvas.windows((-76, -104, -150), (76, 20, -48)):
        sheet = np.abs(w.skin + 5.5) - 0.5 * w.thin(1.7)
        torn = w.noise("mimic", (30.0, 9.0, 9.0)) * 2
        w.paint(Tissue.MUSCLE, both(sheet, w.y + 4, torn), over=SOFT)
    for centre, radii in (PAROTID, SUBMANDIBULAR):
        low = [c - r - 4 for c, r in zip(centre, radii, strict=True)]
        high = [c + r + 4 for c, r in zip(centre, radii, strict=True)]
        for w in canvas.windows(low, high, SIDES):
            lobules = ellipsoid(w, centre, radii) + 1.6 * w.noise("gland", 6.0)
            w.paint(Tissue.GLAND, lobules, over=SOFT)
