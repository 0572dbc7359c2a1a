"""The brain case in bone: vault with two tables and marrow between them, base, petrous bones."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.drawing.brushes import BONE, paint_layers
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import (
    at_least,
    blend,
    both,
    bump,
    capsule,
    either,
    ellipsoid,
    ramp,
)
from medcolor.phantom.tissues import Tissue

TABLE_MM = 1.7
AIR_CELL = (Tissue.SPONGY_BONE, Tissue.CORTICAL_BONE)


def vault_thickness(w: Window) -> Field:
    """Thickness of the skull in mm: thin at the temples, thick at forehead and occiput."""
    ax = np.abs(w.x)
    temple = bump(w.y, -4, 44) * bump(w.z, -16, 40) * ramp(ax, 40, 60)
    bosses = ramp(w.y, 70, 105) + ramp(w.y, -45, -75)
    uneven = 0.5 * w.noise("skull/thickness", 22.0)
    under = ramp(w.z, -36, -50) * ramp(w.y, 40, 20)
    thickness = 6.4 + 3 * under + 1.2 * bosses - 3.2 * temple + uneven
    return at_least(thickness, 2.6) * w.person.skull_thickness


def paint_vault(w: Window, case: Field) -> None:
    """Paint the bone around the brain case.

    Args:
        w: window over the brain case.
        case: distance to the inner surface of the skull.
    """
    thickness = vault_thickness(w)
    table = w.thin(TABLE_MM)
    outer = both(case - thickness, -74 - w.z)
    w.paint(Tissue.CORTICAL_BONE, outer)
    between = both(outer + table, table - case)
    w.paint(Tissue.SPONGY_BONE, between)


def paint_base(canvas: Canvas) -> None:
    """Paint sphenoid body and clivus, petrous bones, mastoids and occipital condyles."""
    for w in canvas.windows((-50, -88, -32), (50, -50, 8)):
        brow = ellipsoid(w, (0, -68, -15), (38, 14.5, 14))
        paint_layers(w, brow, BONE)
    for w in canvas.windows((-30, -40, -80), (30, 40, -10)):
        body = ellipsoid(w, (0, -10, -38), (20, 24, 14))
        clivus = capsule(w, (0, 4, -38, 13), (0, 22, -60, 9))
        sheet = both(body, -52 - w.z)
        paint_layers(w, blend(sheet, clivus, 8), BONE)
    for w in canvas.windows((8, -40, -92), (92, 70, -20), SIDES):
        pyramid = capsule(w, (17, 8, -42, 7), (58, 26, -43, 12))
        mastoid = ellipsoid(w, (57, 33, -58), (13, 16, 21), roll=12)
        squama = capsule(w, (58, 22, -44, 11), (66, 2, -46, 6))
        temporal = blend(blend(pyramid, mastoid, 8), squama, 6)
        paint_layers(w, temporal, BONE)
        wing = capsule(w, (16, -20, -36, 7), (50, -24, -26, 6))
        plate = capsule(w, (18, -22, -40, 5), (15, -20, -78, 3.2))
        paint_layers(w, either(wing, plate), BONE)
        condyle = ellipsoid(w, (18, 32, -67), (8, 13, 7), yaw=20)
        paint_layers(w, condyle, BONE)


def paint_ear_cavities(canvas: Canvas) -> None:
    """Hollow the mastoid into air cells and drill the ear canal with the middle ear."""
    for w in canvas.windows((38, 10, -84), (80, 60, -34), SIDES):
        mastoid = ellipsoid(w, (57, 34, -57), (9.5, 13, 17), roll=12)
        walls = 0.15 - np.abs(w.noise("mastoid", 4.5, band=True))
        w.paint(Tissue.CAVITY, both(mastoid, walls), over=AIR_CELL)
    for w in canvas.windows((34, 5, -60), (96, 40, -34), SIDES):
        canal = capsule(w, (88, 22, -47, 3.4), (54, 19, -44, 2.6))
        drum = ellipsoid(w, (51, 18, -43), (3.5, 5, 5))
        w.paint(Tissue.CAVITY, both(either(canal, drum), w.skin))
        cochlea = ellipsoid(w, (42, 16, -43), (3.5, 3.5, 3.5))
        w.paint(Tissue.CSF, cochlea)
