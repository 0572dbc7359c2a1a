"""Abdominal wall and solid organs: liver, gallbladder, spleen, pancreas, kidneys, bladder."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.anatomy.wall import cage, dome_height, peritoneum, under_fat
from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas
from medcolor.phantom.drawing.shapes import (
    at_least,
    blend,
    both,
    bump,
    capsule,
    carve,
    either,
    ellipsoid,
)
from medcolor.phantom.tissues import Tissue

SOFT = (Tissue.FAT, Tissue.MUSCLE)
PANCREAS = (
    (-34, 4, -524, 14), (-22, -2, -510, 14), (0, -8, -498, 10), (28, 2, -482, 11),
    (58, 24, -468, 10), (84, 46, -458, 7),
)  # fmt: skip
HEPATIC_VEINS = (
    ((-20, 22, -416, 6), (-52, 30, -420, 5), (-88, 44, -436, 3)),
    ((-20, 20, -416, 6), (-42, -6, -424, 4.5), (-70, -34, -442, 2.5)),
    ((-18, 20, -416, 5), (-4, -8, -424, 4), (12, -36, -430, 2.5)),
    ((-12, 6, -500, 6), (-26, 6, -470, 6), (-56, 10, -464, 5), (-90, 6, -480, 3)),
    ((-26, 6, -470, 5), (-20, -26, -450, 4), (0, -38, -440, 2.5)),
)


def paint_abdominal_wall(canvas: Canvas) -> None:
    """Paint the three flat muscles of the flank and the straight muscle in front."""
    thick = canvas.person.muscularity
    for w in canvas.windows((-170, -150, -760), (170, 100, -440)):
        ax = np.abs(w.x)
        depth = -under_fat(w)
        outside_ribs = 8.6 - np.where(w.z > -506, cage(w), np.float32(99))
        level = both(w.z + 478, -742 - w.z)
        above_hip = -622 - w.z - 0.9 * at_least(20 - w.y, 0)
        flank = both(66 - ax, w.y - 66, outside_ribs, level, above_hip)
        for start, end in ((0.0, 4.6), (5.6, 10.2), (11.0, 14.0)):
            layer = both(start * thick - depth, depth - end * thick)
            w.paint(Tissue.MUSCLE, both(layer, flank), over=(Tissue.FAT,))
        bulk = 10 * thick * bump(ax, 34, 46)
        straight = both(-depth, depth - bulk, 4 - ax, ax - 64)
        front = both(w.y + 10, w.z + 424, -772 - w.z)
        w.paint(Tissue.MUSCLE, both(straight, front), over=(Tissue.FAT,))
        sheath = both(np.abs(depth - 1) - 0.8, ax - 7)
        w.paint(Tissue.FASCIA, both(sheath, front), over=(Tissue.FAT,))


def paint_liver(canvas: Canvas) -> None:
    """Paint the liver under the right dome, its veins, and the gallbladder in its bed."""
    p = canvas.person
    low_edge = p.vary("liver/edge", -20, 14)
    left_lobe = p.vary("liver/left", 40, 78)
    for w in canvas.windows((-140, -100, -600), (100, 120, -370)):
        under_dome = w.z - dome_height(w) + 4
        edge = -490 + low_edge + 0.80 * w.x + 0.30 * (w.y - 20) + 4 * w.noise("liver", 30.0)
        visceral = (edge - w.z) * 0.75
        roof = both(under_dome, cage(w) + 4, peritoneum(w))
        liver = carve(carve(roof, visceral, 16), w.x - left_lobe, 24)
        spine = capsule(w, (0, 60, -390, 34), (0, 52, -560, 36))
        kidney = ellipsoid(w, (-62, 62, -528), (34, 34, 58))
        liver = carve(liver, -either(spine, kidney), 10)
        w.paint(Tissue.LIVER, liver, over=SOFT)
        cleft = np.abs(w.x - 8 + w.noise("liver/cleft", 20.0)) - 1.5
        in_front = w.y + 44 - 0.5 * (w.z + 455)
        w.paint(Tissue.FAT, both(cleft, in_front), over=(Tissue.LIVER,))
    for vein in HEPATIC_VEINS:
        paint_tube(canvas, vein, ((0.0, Tissue.BLOOD),), over=(Tissue.LIVER,))
    size = p.vary("gallbladder", 0.75, 1.25)
    for w in canvas.windows((-95, -80, -560), (-15, 20, -460)):
        sac = ellipsoid(w, (-54, -38, -512), (12 * size, 26 * size, 14 * size), pitch=30)
        w.paint(Tissue.BOWEL_WALL, sac - 1.6)
        w.paint(Tissue.BILE, sac)


def paint_spleen_and_pancreas(canvas: Canvas) -> None:
    """Paint spleen (left, behind the stomach) and pancreas with its lobules."""
    size = canvas.person.vary("spleen/size", 0.92, 1.2)
    for w in canvas.windows((30, -40, -540), (150, 130, -380)):
        bean = ellipsoid(w, (85, 55, -462), (30 * size, 46 * size, 58 * size), yaw=-28, pitch=18)
        bean = bean + 2 * w.noise("spleen", 22.0)
        under = both(w.z - dome_height(w) + 4, cage(w) + 4)
        hollow = ellipsoid(w, (54, 22, -458), (24, 36, 46))
        w.paint(Tissue.SPLEEN, carve(carve(bean, under, 8), -hollow, 8), over=SOFT)
    paint_tube(canvas, PANCREAS, ((0.0, Tissue.PANCREAS),), over=SOFT)
    for w in canvas.windows((-54, -30, -545), (100, 66, -440)):
        clefts = np.abs(w.noise("pancreas", 5.0, band=True)) - 0.06
        w.paint(Tissue.FAT, clefts, over=(Tissue.PANCREAS,))


def paint_kidneys(canvas: Canvas) -> None:
    """Paint kidneys with cortex, pyramids and the fat of the sinus; the right one lies lower."""
    p = canvas.person
    for side in SIDES:
        drop = (-14 if side < 0 else 0) + p.vary(f"kidney/{side}/z", -10, 8)
        size = p.vary(f"kidney/{side}/size", 0.92, 1.08)
        z = -502 + drop
        for w in canvas.windows((20, 10, z - 80), (110, 110, z + 80), (side,)):
            turn = {"yaw": 35.0, "roll": 14.0}
            bean = ellipsoid(w, (64, 58, z), (30 * size, 22 * size, 56 * size), **turn)
            hilum = ellipsoid(w, (40, 44, z), (16, 14, 22))
            kidney = carve(bean, -hilum, 10) + 0.9 * w.noise("kidney", 12.0)
            w.paint(Tissue.FAT, kidney - 3, over=(Tissue.MUSCLE,))
            w.paint(Tissue.KIDNEY_CORTEX, kidney)
            pyramids = both(kidney + 6.5, -0.25 - w.noise("pyr", 9.0))
            w.paint(Tissue.KIDNEY_MEDULLA, pyramids)
            sinus = ellipsoid(w, (51, 50, z), (14 * size, 9 * size, 30 * size), **turn)
            sinus = sinus + 1.6 * w.noise("sinus", 8.0)
            w.paint(Tissue.FAT, both(sinus, kidney))
            w.paint(Tissue.URINE, both(sinus + 5, kidney))


def paint_bladder(canvas: Canvas) -> None:
    """Paint the bladder, and prostate or womb behind and below it."""
    p = canvas.person
    size = p.vary("bladder", 0.7, 1.15)
    for w in canvas.windows((-60, -60, -810), (60, 70, -680)):
        sac = ellipsoid(w, (0, -8, -752 + 26 * size), (36 * size, 30 * size, 26 * size))
        sac = blend(sac, ellipsoid(w, (0, 0, -752), (16, 16, 16)), 12)
        if p.breast > 0:
            womb = ellipsoid(w, (2, 34, -722), (25, 19, 32), pitch=-35)
            w.paint(Tissue.MUSCLE, womb)
            w.paint(Tissue.MUCOSA, womb + 14)
        else:
            w.paint(Tissue.GLAND, ellipsoid(w, (0, 10, -780), (22, 17, 17)))
        w.paint(Tissue.BOWEL_WALL, sac)
        w.paint(Tissue.URINE, sac + w.thin(3.5))
