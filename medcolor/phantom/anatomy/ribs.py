"""The rib cage: slanted ribs with their cartilages, sternum, clavicles, intercostal muscle."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.anatomy.wall import CAGE, cage
from medcolor.phantom.drawing.brushes import BONE, paint_layers, paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.curves import curve
from medcolor.phantom.drawing.fields import Field, Number
from medcolor.phantom.drawing.shapes import (
    at_height,
    at_least,
    at_most,
    blend,
    both,
    ellipsoid,
    loft,
)
from medcolor.phantom.tissues import Tissue

RIBS = (
    # z behind, drop to the cartilage, where that begins (0 back .. 1 front), z at the breast bone
    (-198, 44, 0.86, -232),
    (-216, 60, 0.90, -262),
    (-237, 75, 0.91, -292),
    (-258, 86, 0.91, -321),
    (-280, 94, 0.89, -349),
    (-302, 100, 0.86, -374),
    (-325, 104, 0.81, -397),
    (-348, 106, 0.76, -406),
    (-372, 106, 0.70, -414),
    (-397, 101, 0.64, -424),
    (-424, 72, 0.50, None),
    (-452, 48, 0.33, None),
)
MARGIN = (
    (0.0, -478),
    (0.2, -498),
    (0.34, -506),
    (0.5, -504),
    (0.64, -503),
    (0.8, -462),
    (1.0, -424),
)
"""Lower edge of the cage: (0 back .. 1 front, z)."""
CLAVICLE = (
    (16, -27, -232, 9),
    (40, -27, -228, 6),
    (75, -8, -224, 5.2),
    (110, 16, -222, 5.0),
    (142, 26, -222, 5.5),
    (160, 30, -225, 6.0),
)
STERNUM = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-227, 0, -28, 26, 6),
    (-250, 0, -42, 24, 7),
    (-270, 0, -53, 15, 6),
    (-300, 0, -63, 16, 6),
    (-350, 0, -76, 18, 6),
    (-395, 0, -80, 15, 5.5),
    (-404, 0, -80, 7, 4.5),
    (-426, 0, -78, 5, 3.5),
)
RIB_MM = 8.0


def around(w: Window) -> Field:
    """Place around the cage: 0 at the very back, 1 at the very front."""
    cy, b = at_height(w, CAGE, 2), at_height(w, CAGE, 4)
    q = (cy + b + 6 - w.y) / (2 * b + 12)
    return at_most(at_least(q, 0), 1)


def _course(q: Field, rib: tuple[Number, Number, Number, Number | None]) -> Field:
    """Height of a rib's middle at place `q` around the cage."""
    start, drop, end, at_sternum = rib
    z = start - drop * at_most(q / end, 1)
    if at_sternum is None:
        return z
    rise = (at_sternum - (start - drop)) / (1 - end)
    return z + rise * at_least(q - end, 0)


def paint_ribs(canvas: Canvas) -> None:
    """Paint twelve ribs on either side, bone behind and cartilage in front."""
    for rib in RIBS:
        start, drop, end, at_sternum = rib
        low = (0, -96, min(start - drop, at_sternum or 0) - 12)
        for w in canvas.windows(low, (146, 130, start + 12), SIDES):
            q = around(w)
            off = (w.z - _course(q, rib)) * (0.92 / 6.2)
            through = (cage(w) - 4) * (1 / 4)
            rod = (np.sqrt(off * off + through * through) - 1) * 4.4
            bony = both(rod, (q - end) * 200)
            bony = both(bony, 12 - w.x)
            paint_layers(w, bony, ((0.0, Tissue.CORTICAL_BONE), (1.5, Tissue.SPONGY_BONE)))
            if at_sternum is not None:
                front = both(rod, (end - q) * 200)
                w.paint(Tissue.CARTILAGE, both(front, 8 - w.x))


def paint_intercostals(canvas: Canvas) -> None:
    """Fill the spaces between the ribs with two thin layers of muscle."""
    for w in canvas.windows((-146, -96, -512), (146, 130, -196)):
        q = around(w)
        lowest = curve(q.astype(np.float64), *zip(*MARGIN, strict=True)).astype(np.float32)
        span = both(w.z - _course(q, RIBS[0]), lowest - w.z)
        shell = cage(w)
        for inner, outer in ((1.2, 3.8), (4.4, 7.4)):
            sheet = both(shell - outer, inner - shell)
            w.paint(Tissue.MUSCLE, both(sheet, span), over=(Tissue.FAT,))


def paint_breastbone(canvas: Canvas) -> None:
    """Paint sternum and clavicles."""
    for w in canvas.windows((-32, -92, -430), (32, -14, -224)):
        bone = blend(loft(w, STERNUM, square=0.5), ellipsoid(w, (0, -30, -236), (20, 6, 10)), 4)
        paint_layers(w, bone, BONE)
    paint_tube(canvas, CLAVICLE, BONE, sides=SIDES)
