"""Cerebellum with its folia, brain stem, and the dural folds between them and the cerebrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medcolor.phantom.anatomy.cranium import fossa_floor
from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import (
    at_least,
    blend,
    both,
    carve,
    either,
    ellipsoid,
    loft,
    ramp,
    true_distance,
)
from medcolor.phantom.tissues import Tissue

FOLIUM_MM = 4.6
STEM = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (3, 0, 21, 7, 6),
    (-3, 0, 20.5, 13, 9),
    (-9, 0, 20.5, 17, 11.5),
    (-17, 0, 22, 15.5, 11.5),
    (-23, 0, 23, 17, 13.5),
    (-31, 0, 23, 18.5, 15),
    (-38, 0, 25, 16, 13),
    (-43, 0, 29, 11.5, 9.5),
    (-55, 0, 34, 9.5, 7.5),
    (-68, 0, 36.5, 7.5, 6),
    (-84, 0, 37, 6.5, 5),
)
PEDUNCLE = ((12, 26, -31, 8.5), (20, 38, -34, 8), (27, 50, -37, 7))
NEURAL = (Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.DEEP_GREY)


def cerebellar_hull(w: Window, case: Field) -> Field:
    """Outer surface of the cerebellum: two hemispheres and the vermis under the tentorium."""
    ax = np.abs(w.x)
    half = replace(w, x=ax)
    lobes = ellipsoid(half, (25, 63, -36), (37, 38, 29), pitch=-8)
    vermis = ellipsoid(w, (0, 62, -27), (26, 34, 33), pitch=-10)
    roof = w.z - fossa_floor(w, with_stem=False) + 4
    hull = carve(blend(lobes, vermis, 8), both(roof, case + 2), 4)
    return true_distance(hull, w)


def _folia(w: Window) -> Field:
    """Folium number at each voxel: 0 on one fissure, 1 on the next; they fan out from the stem."""
    dy, dz = w.y - 44, w.z + 31
    dy = dy + 0.12 * np.abs(w.x)
    ring = at_least(np.abs(dy) + np.abs(dz), 1)
    fan = dz / ring
    fan = np.where(dy >= 0, fan, 2 - fan)
    # A quarter turn at 26 mm from the centre is some 40 mm of surface.
    return fan * (40 / FOLIUM_MM) + 0.45 * w.noise("folia", 10.0)


def paint_cerebellum(w: Window, case: Field) -> None:
    """Paint the cerebellum: grey folia with thin white cores, clefts between, a white middle."""
    hull = cerebellar_hull(w, case)
    number = _folia(w)
    whole = np.floor(number)
    within = np.abs(number - whole - 0.5)
    to_fissure = (0.5 - within) * FOLIUM_MM
    depth = -hull
    nearest = np.floor(number + 0.5)
    third = nearest - 3 * np.floor(nearest / 3)
    reach = np.where(third == 0, np.float32(17), np.float32(5))
    w.paint(Tissue.GREY_MATTER, hull)
    core = 21 + 2 * w.noise("arbor", 10.0)
    lamina = (0.5 - 0.16) * FOLIUM_MM - to_fissure
    white = either(core - depth, both(lamina, 2.6 - depth))
    w.paint(Tissue.WHITE_MATTER, both(white, hull))
    cleft = both(to_fissure - (0.5 * w.thin(1.0)), depth - reach)
    w.paint(Tissue.CSF, both(cleft, hull))


def paint_stem(canvas: Canvas) -> None:
    """Paint brain stem, its ties to the cerebellum, and the fourth ventricle."""
    paint_tube(canvas, PEDUNCLE, ((0.0, Tissue.WHITE_MATTER),), sides=SIDES)
    for w in canvas.windows((-24, 0, -84), (24, 60, 3)):
        stem = loft(w, STEM, square=0.5)
        between_peduncles = ellipsoid(w, (0, 6, -13), (5, 7, 11))
        w.paint(Tissue.WHITE_MATTER, both(stem, -between_peduncles))
        core = ellipsoid(w, (0, 27, -20), (5, 4, 30), pitch=-14)
        w.paint(Tissue.DEEP_GREY, both(core, stem), over=(Tissue.WHITE_MATTER,))
        size = canvas.person.ventricle_size
        fourth = ellipsoid(w, (0, 41, -35), (7 * size, 4 * size, 12), pitch=-22)
        aqueduct = ellipsoid(w, (0, 31, -14), (1.3, 1.3, 16), pitch=-22)
        w.paint(Tissue.CSF, either(fourth, aqueduct))


def paint_dura(w: Window) -> None:
    """Paint falx and tentorium into the fluid."""
    half = 0.5 * w.thin(1.2)
    arch_y, arch_z = (w.y - 3) / 53, (w.z - 2) / 38
    outside_arch = 1 - (arch_y * arch_y + arch_z * arch_z)
    falx = both(np.abs(w.x) - half, outside_arch)
    falx = both(falx, -14 + ramp(w.y, 20, 70) * 18 - w.z)
    w.paint(Tissue.FASCIA, falx, over=(Tissue.CSF,))
    tent = np.abs(w.z - fossa_floor(w, with_stem=False) + 2) - half
    behind = 44 + 0.2 * np.abs(w.x) - w.y
    w.paint(Tissue.FASCIA, both(tent, behind), over=(Tissue.CSF,))
