"""Bones of the face: orbits' walls, zygoma, maxilla, nasal skeleton and palate."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.drawing.brushes import BONE, paint_layers, paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import both, capsule, carve, either, ellipsoid, loft
from medcolor.phantom.tissues import Tissue

MAXILLA = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-52, 26, -54, 14, 14),
    (-62, 27.5, -50, 18.5, 21),
    (-78, 26.5, -50, 17, 23.5),
    (-92, 22, -54, 16, 24),
    (-104, 20, -55, 15, 22),
)
ZYGOMA = (
    (48, -50, -26, 4.2),
    (48, -51, -44, 5),
    (47, -53, -58, 7.5),
    (58, -40, -60, 4.2),
    (67, -20, -57, 3.2),
    (70, 0, -52, 3.4),
)
NASAL_CAVITY = (
    (-44, 0, -58, 5, 15),
    (-56, 0, -52, 9, 27),
    (-70, 0, -49, 11, 33),
    (-85, 0, -48, 13, 35),
    (-93.5, 0, -48, 11.5, 33),
)


def orbit(w: Window) -> Field:
    """The eye socket: a cone from its apex at the optic canal to its rim."""
    return capsule(w, (14, -24, -33, 5), (32.5, -58, -38, 18))


def paint_face_bones(canvas: Canvas) -> None:
    """Paint the bones, then empty the orbits into fat."""
    paint_tube(canvas, ZYGOMA, BONE, sides=SIDES)
    for w in canvas.windows((0, -100, -108), (62, -5, -14), SIDES):
        socket = orbit(w)
        behind_rim = -73 + 0.6 * (w.x - 14) - w.y
        wall = both(socket - w.thin(2.4), behind_rim)
        paint_layers(w, wall, ((0, Tissue.CORTICAL_BONE),))
        upper_jaw = loft(w, MAXILLA, square=0.5)
        paint_layers(w, upper_jaw, BONE)
        bridge = capsule(w, (3, -81, -32, 3.5), (6, -89, -54, 2.4))
        frontal_process = capsule(w, (10, -76, -40, 3.5), (15, -74, -70, 4))
        paint_layers(w, either(bridge, frontal_process), ((0, Tissue.CORTICAL_BONE),))
        w.paint(Tissue.FAT, both(socket, behind_rim - 1))
    for w in canvas.windows((-28, -86, -100), (28, -30, -90)):
        plate = np.abs(w.z + 95.5) - (0.5 * w.thin(3.2))
        paint_layers(w, both(plate, ellipsoid(w, (0, -56, -95), (26, 26, 9))), BONE)


def paint_nasal_cavity(canvas: Canvas) -> None:
    """Paint the nose's inside: bony walls, lining, turbinates and a bent septum."""
    for w in canvas.windows((-24, -108, -98), (24, -6, -40)):
        inside = loft(w, NASAL_CAVITY, square=0.4)
        bony = both(inside - w.thin(1.3), -78 - w.y)
        w.paint(Tissue.CORTICAL_BONE, bony)
        w.paint(Tissue.MUCOSA, inside)
        w.paint(Tissue.CAVITY, inside + 1.9)
    for w in canvas.windows((0, -112, -98), (18, -10, -40), SIDES):
        shells = (
            ((8.8, -49, -83.5), (5.8, 26, 8.2)),
            ((7.2, -46, -69), (4.8, 21, 7.6)),
            ((5.2, -38, -57), (3.2, 14, 5.0)),
        )
        for centre, radii in shells:
            shell = ellipsoid(w, centre, radii, roll=-18) + 0.4 * w.noise("concha", 7.0)
            w.paint(Tissue.MUCOSA, shell, over=(Tissue.CAVITY,))
            core = shell + (radii[0] - 0.8)
            w.paint(Tissue.CORTICAL_BONE, core, over=(Tissue.MUCOSA,))
        nostril = capsule(w, (8, -96, -90, 3.6), (6, -82, -80, 4.2))
        w.paint(Tissue.CAVITY, nostril)
    _paint_septum(canvas)


def _paint_septum(canvas: Canvas) -> None:
    for w in canvas.windows((-10, -112, -95), (10, -14, -38)):
        bend = 1.6 * w.noise("septum", 26.0)
        sheet = np.abs(w.x + bend)
        outline = ellipsoid(w, (0, -55, -68), (30, 46, 27), pitch=12)
        outline = both(outline, -94 - w.z)
        lined = both(sheet - w.thin(1.9), outline)
        w.paint(Tissue.MUCOSA, lined, over=(Tissue.CAVITY, Tissue.MUCOSA))
        plate = both(sheet - (0.5 * w.thin(1.6)), outline)
        bony = (Tissue.CAVITY, Tissue.MUCOSA, Tissue.FAT)
        w.paint(Tissue.CARTILAGE, both(plate, w.y + 64), over=bony)
        w.paint(Tissue.CORTICAL_BONE, both(plate, -64 - w.y), over=bony)


def paint_sinuses(canvas: Canvas) -> None:
    """Paint the air sinuses: frontal, ethmoid, sphenoid, maxillary; their size is personal."""
    p = canvas.person
    frontal = p.vary("sinus/frontal", 0.6, 1.2)
    antrum = p.vary("sinus/maxillary", 0.85, 1.1)
    holes = (
        # centre, radii, wall mm
        ((11, -75.5, -15), (13 * frontal, 4.2, 12 * frontal), 1.8),
        ((6.8, -14, -38.5), (7.6, 12, 8.5), 1.4),
    )
    for number, (centre, radii, wall) in enumerate(holes):
        low = [c - r - 8 for c, r in zip(centre, radii, strict=True)]
        high = [c + r + 8 for c, r in zip(centre, radii, strict=True)]
        for w in canvas.windows((0.0, low[1], low[2]), high, SIDES):
            hole = ellipsoid(w, centre, radii) + 1.3 * w.noise(f"sinus/{number}", 9.0)
            hole = both(hole, 0.8 - w.x)
            w.paint(Tissue.CORTICAL_BONE, hole - w.thin(wall), over=(Tissue.FAT,))
            w.paint(Tissue.CAVITY, hole)
    for w in canvas.windows((4, -82, -96), (52, -20, -50), SIDES):
        hollow = loft(w, MAXILLA, square=0.5) + (6.5 - 4 * antrum)
        hollow = both(hollow, np.abs(w.z + 72) - (19 * antrum))
        rear = 0.5 * (w.x - 22) + (w.y + 36)
        w.paint(Tissue.CAVITY, carve(hollow + w.noise("antrum", 10.0), rear, 4))
    for w in canvas.windows((2, -70, -58), (16, -26, -28), SIDES):
        labyrinth = ellipsoid(w, (8.5, -47, -43), (6.5, 22, 14), roll=-10)
        w.paint(Tissue.CORTICAL_BONE, labyrinth - w.thin(1.2))
        walls = np.abs(w.noise("ethmoid", 4.6, band=True)) - 0.11
        w.paint(Tissue.CAVITY, both(labyrinth, -walls))
