"""The neck: muscles with fat planes between them, gullet and windpipe, larynx, thyroid, vessels."""

from __future__ import annotations

from functools import partial

import numpy as np

from medcolor.phantom.drawing.brushes import Shape, paint_packed, paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import (
    at_least,
    both,
    capsule,
    either,
    ellipsoid,
    loft,
    ribbon,
)
from medcolor.phantom.tissues import Tissue

BELLIES = (
    # Each: z, centre x, centre y, semi-axis x, semi-axis y, from above downwards.
    # sternocleidomastoid
    (
        (-58, 60, 38, 4, 8), (-80, 58, 33, 8, 13), (-100, 54, 24, 9, 14), (-125, 48, 11, 8, 15),
        (-150, 41, -3, 8, 14), (-175, 33, -11, 8, 12), (-200, 24, -13, 8, 9), (-224, 15, -13, 5, 6),
    ),
    # semispinalis capitis
    (
        (-46, 17, 92, 12, 7), (-75, 18, 84, 16, 11), (-110, 17, 76, 15, 12), (-150, 16, 77, 14, 12),
        (-190, 17, 88, 14, 13), (-230, 17, 100, 12, 11),
    ),
    # rectus and obliquus capitis above, multifidus below
    (
        (-70, 18, 62, 18, 11), (-90, 18, 61, 17, 11), (-130, 15, 59, 14, 9), (-160, 15, 62, 14, 10),
        (-200, 17, 74, 15, 11),
    ),
    # longissimus and splenius cervicis
    (
        (-66, 44, 52, 10, 12), (-95, 39, 56, 10, 13), (-130, 37, 58, 11, 13),
        (-165, 38, 66, 12, 13),
        (-205, 38, 80, 12, 12),
    ),
    # levator scapulae
    (
        (-80, 42, 38, 8, 8), (-110, 43, 40, 9, 10), (-140, 46, 45, 11, 12), (-170, 53, 54, 13, 13),
        (-205, 66, 70, 14, 12), (-235, 76, 86, 10, 8),
    ),
    # scalenes
    (
        (-96, 29, 24, 6, 7), (-130, 33, 22, 10, 10), (-160, 37, 24, 12, 12), (-190, 44, 29, 14, 13),
        (-218, 52, 36, 13, 12), (-236, 56, 40, 8, 8),
    ),
    # long muscles in front of the spine
    (
        (-56, 11, 10, 8, 5), (-76, 12, 12, 9, 5), (-100, 11, 14, 8, 5), (-130, 11, 13, 8, 5),
        (-160, 11, 19, 8, 5),
        (-195, 12, 31, 7, 5), (-240, 10, 44, 5, 4),
    ),
    # straps in front of the larynx
    (
        (-136, 11, -23, 7, 4), (-155, 14, -26, 9, 4), (-178, 15, -22, 10, 5),
        (-205, 15, -16, 10, 5),
        (-228, 14, -12, 8, 4),
    ),
    # digastric and stylohyoid behind the jaw
    ((-62, 50, 26, 4, 5), (-85, 44, 16, 5, 6), (-110, 36, 4, 5, 6), (-134, 24, -10, 4, 5)),
)  # fmt: skip
SHEETS = (
    # Each: z, x0, y0, half thickness, x1, y1, half thickness, bow.
    # trapezius
    (
        (-40, 3, 106, 2.0, 16, 104, 1.5, 0), (-75, 3, 99, 2.6, 26, 92, 2.0, -1),
        (-105, 3, 91, 3.0, 38, 78, 3.0, -3), (-135, 3, 87, 3.4, 49, 64, 4.2, -6),
        (-165, 3, 90, 4.0, 59, 58, 6.0, -8), (-190, 3, 98, 6.0, 84, 52, 11.0, -10),
        (-210, 3, 105, 7.0, 118, 50, 11.0, -13), (-232, 3, 111, 7.0, 148, 57, 11.0, -18),
    ),
    # splenius capitis
    (
        (-52, 30, 88, 4.0, 56, 62, 4.0, -3), (-80, 22, 90, 3.0, 52, 66, 4.5, -4),
        (-115, 14, 86, 2.6, 42, 68, 4.0, -3), (-150, 8, 87, 2.4, 33, 74, 3.4, -2),
        (-190, 4, 94, 2.0, 24, 92, 2.6, -1),
    ),
)  # fmt: skip
AIRWAY = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-50, 0, -10, 9, 6), (-58, 0, -9, 12, 9), (-75, 0, -6, 13, 9), (-90, 0, -2, 12, 6),
    (-106, 0, 1, 13, 5),
    (-122, 0, 2, 14, 5.5), (-134, 0, -2, 14, 8), (-142, 0, -7, 9, 7), (-152, 0, -11, 4, 8),
    (-158, 0, -11, 2.4, 8), (-165, 0, -8, 7, 8), (-180, 0, -4, 8, 8),
)  # fmt: skip
TRACHEA = (
    (0, -6, -168, 8.2), (0, -2, -190, 8.6), (0, 10, -215, 8.8), (0, 21, -245, 8.8),
    (0, 31, -284, 9),
)  # fmt: skip
GULLET = (
    (0, 10, -158, 5.5), (0, 13, -175, 6.5), (1, 18, -192, 7), (3, 29, -217, 7.5),
    (3, 38, -246, 7.5),
    (2, 47, -290, 8), (3, 56, -340, 8), (5, 56, -390, 8.5), (14, 42, -432, 9), (24, 26, -452, 9),
)  # fmt: skip
CAROTID = (
    (25, 20, -58, 2.6), (26, 13, -90, 2.8), (28, 6, -120, 3.2), (26, 5, -138, 4.0),
    (22, 6, -165, 3.6), (20, 10, -195, 3.8), (17, 14, -225, 4.2), (12, 14, -250, 4.6),
)  # fmt: skip
JUGULAR = (
    (30, 27, -60, 4.5), (31, 20, -88, 4.6), (35, 12, -120, 5.4), (35, 8, -145, 6.0),
    (31, 8, -172, 6.4), (28, 7, -200, 6.8), (24, 2, -228, 7.5),
)  # fmt: skip
VERTEBRAL = ((22, 33, -80, 2.0), (19, 31, -130, 1.9), (20, 36, -175, 2.0), (24, 22, -215, 2.6))
VESSEL = ((0.0, Tissue.VESSEL_WALL), (1.1, Tissue.BLOOD))
SOFT = (Tissue.FAT, Tissue.MUSCLE)


def paint_neck_muscles(canvas: Canvas) -> None:
    """Paint the muscles; the gaps between them stay fat."""
    build = 1.38 * canvas.person.muscularity
    shapes: list[Shape] = []
    for rows in BELLIES:
        sized = [(z, x, y, a * build, b * build) for z, x, y, a, b in rows]
        shapes.append(partial(loft, rows=sized, square=0.3))
    shapes += [partial(ribbon, rows=rows) for rows in SHEETS]
    windows = canvas.windows((0, -45, -242), (165, 125, -40), SIDES)
    paint_packed(windows, shapes, within=lambda w: w.skin + 4, gap_mm=1.2)


def paint_throat(canvas: Canvas) -> None:
    """Paint pharynx and larynx, gullet, windpipe with its rings, thyroid gland."""
    for w in canvas.windows((-26, -34, -180), (26, 24, -50)):
        air = loft(w, AIRWAY, square=0.3)
        w.paint(Tissue.MUSCLE, air - 6, over=SOFT)
        w.paint(Tissue.MUCOSA, air - 1.8, over=SOFT)
        folds = 0.8 * w.noise("pharynx", 6.0)
        w.paint(Tissue.CAVITY, air + folds)
        lid = ellipsoid(w, (0, -9, -128), (9, 1.8, 11), pitch=-24)
        w.paint(Tissue.CARTILAGE, lid)
    paint_tube(canvas, GULLET, ((0, Tissue.MUSCLE), (2.2, Tissue.MUCOSA)))
    narrow = [(x, y, z, 1.4) for x, y, z, _ in GULLET]
    paint_tube(canvas, narrow, ((0, Tissue.CAVITY),), over=(Tissue.MUCOSA,))
    for w in canvas.windows((0, -40, -205), (34, 20, -138), SIDES):
        lobe = ellipsoid(w, (17, -5, -176), (8.5, 11, 22), pitch=12)
        bridge = capsule(w, (0, -17, -180, 4), (14, -11, -180, 6))
        gland = either(lobe, bridge) + 0.8 * w.noise("thyroid", 8.0)
        w.paint(Tissue.THYROID, gland, over=SOFT)
    _paint_windpipe(canvas)
    for w in canvas.windows((0, -36, -174), (26, 16, -138), SIDES):
        shield = ((-139, 3, -25, 1.6, 19, 0, 1.6, 3), (-160, 4, -22, 1.8, 18, 0, 1.8, 3))
        w.paint(Tissue.CARTILAGE, ribbon(w, shield))
        ring = np.abs(ellipsoid(w, (0, -7, -167), (11, 12, 30))) - 1.8
        height = 3 + at_least(w.y + 8, 0) * 0.5
        w.paint(Tissue.CARTILAGE, both(ring, np.abs(w.z + 167) - height))


def _paint_windpipe(canvas: Canvas) -> None:
    paint_tube(canvas, [(x, y, z, r + 2.4) for x, y, z, r in TRACHEA], ((0, Tissue.CARTILAGE),))
    paint_tube(canvas, TRACHEA, ((0, Tissue.MUCOSA), (1.0, Tissue.CAVITY)))


def paint_neck_vessels(canvas: Canvas) -> None:
    """Paint carotids, internal jugulars and vertebral arteries."""
    for course in (CAROTID, JUGULAR, VERTEBRAL):
        paint_tube(canvas, course, VESSEL, sides=SIDES)
