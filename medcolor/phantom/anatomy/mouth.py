"""Jaws, teeth, tongue, palate and the oral cavity."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.drawing.brushes import BONE, paint_layers, paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import blend, both, either, ellipsoid, ramp, ribbon
from medcolor.phantom.tissues import Tissue

RAMUS = (
    # z, x0, y0, half thickness, x1, y1, half thickness, bow
    (-126, 44, -24, 4.5, 48, -6, 4.5, 0),
    (-108, 46, -25, 4.2, 52, 2, 4.2, 0),
    (-85, 47, -24, 3.5, 54, 5, 4.0, 0),
    (-66, 48, -22, 3.0, 55, 7, 3.8, 0),
)
CORONOID = ((48, -21, -67, 3.0), (49, -23, -56, 2.4))
HYOID = ((0, -26, -137, 3.6), (11, -20, -136, 3.2), (18, -6, -134, 2.2))
UPPER_ARCH, LOWER_ARCH, JAW_ARCH = (-81.0, 0.039), (-78.5, 0.039), (-77.0, 0.0295)
"""Front and curvature of the parabolas y = front + curvature x^2 along which the jaws run."""


def along_arch(w: Window, arch: tuple[float, float]) -> tuple[Field, Field]:
    """Signed distance to a parabola (positive inside the mouth) and arc length from the front."""
    front, bend = (v for v in arch)
    steep = 2 * bend * w.x
    across = (w.y - front - bend * w.x * w.x) / np.sqrt(1 + steep * steep)
    foot = w.x + across * steep / np.sqrt(1 + steep * steep)
    curl = bend * foot
    return across, np.abs(foot) * np.sqrt(1 + 1.3 * curl * curl)


def paint_jaws(canvas: Canvas) -> None:
    """Paint the mandible and the tooth-bearing edge of the maxilla."""
    for w in canvas.windows((-60, -96, -152), (60, 4, -82)):
        across, _ = along_arch(w, JAW_ARCH)
        lower_edge = -147 + 0.33 * (w.y + 77)
        height = both(w.z + 120, lower_edge - w.z)
        body = both(np.abs(across) - 5.4, height)
        body = both(body, w.y + 10)
        chin = ellipsoid(w, (0, -79, -141), (14, 7, 7))
        paint_layers(w, blend(body, chin, 6), BONE)
        across, _ = along_arch(w, UPPER_ARCH)
        edge = both(np.abs(w.z + 95) - 8.5, w.y + 38)
        paint_layers(w, both(np.abs(across) - 5.2, edge), BONE)
    for w in canvas.windows((38, -34, -128), (66, 16, -48), SIDES):
        ramus = ribbon(w, RAMUS)
        neck = ellipsoid(w, (54, 6, -63), (5, 4, 8))
        head = ellipsoid(w, (54, 5, -55), (8.5, 4.5, 5.5), yaw=15)
        paint_layers(w, either(ramus, neck, head), BONE)
    paint_tube(canvas, CORONOID, BONE, sides=SIDES)
    paint_tube(canvas, HYOID, BONE, sides=SIDES)


def paint_teeth(canvas: Canvas) -> None:
    """Paint both rows of teeth, with roots in the bone and clefts between neighbours."""
    rows = ((UPPER_ARCH, -112.0, -94.0, -104.0), (LOWER_ARCH, -112.6, -131.0, -121.0))
    for w in canvas.windows((-38, -90, -134), (38, -36, -90)):
        for arch, edge, root, gum in rows:
            across, run = along_arch(w, arch)
            cell = run / 7.2
            apart = np.abs(cell - np.floor(cell) - 0.5) * 7.2
            buried = ramp(w.z, gum, root)
            wide = 2.9 - 1.8 * buried
            thick = 3.0 + 1.9 * ramp(run, 16, 34)
            thick = thick - 1.4 * buried
            tooth = both(apart - wide, np.abs(across) - thick)
            low, high = min(edge, root), max(edge, root)
            tooth = both(tooth, w.z - high, low - w.z)
            w.paint(Tissue.TOOTH, both(tooth, run - 50))


def paint_tongue(canvas: Canvas) -> None:
    """Paint the tongue and its root, the floor of the mouth, palate and the air between."""
    for w in canvas.windows((-40, -82, -150), (40, 12, -88)):
        across, _ = along_arch(w, LOWER_ARCH)
        inner = 4.2 - across
        dorsum = ellipsoid(w, (0, -46, -112), (27, 34, 13.5))
        root = ellipsoid(w, (0, -34, -122), (25, 33, 19), pitch=-12)
        tongue = both(blend(dorsum, root, 10), inner)
        sheet = np.abs(w.z + 136 - (w.y + 50) * 0.1) - 5
        floor = both(sheet, inner, np.abs(w.y + 48) - 29, 0.8 - np.abs(w.x))
        w.paint(Tissue.MUSCLE, floor, over=(Tissue.FAT,))
        gap = both(ellipsoid(w, (0, -52, -101.5), (24, 28, 5)), inner)
        w.paint(Tissue.MUCOSA, either(gap, tongue) - 1.3, over=(Tissue.FAT,))
        w.paint(Tissue.TONGUE, tongue)
        w.paint(Tissue.CAVITY, both(gap, -tongue - 0.5), over=(Tissue.MUCOSA,))
        septum = both(np.abs(w.x) - 0.6, tongue + 4)
        w.paint(Tissue.FAT, septum, over=(Tissue.TONGUE,))
        velum = ellipsoid(w, (0, -26, -98), (15, 13, 4), pitch=-24)
        uvula = ellipsoid(w, (0, -14, -107), (4, 4, 8))
        w.paint(Tissue.MUCOSA, blend(velum, uvula, 5))
