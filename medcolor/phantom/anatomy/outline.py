"""The body's surface: head with face, nose and ears, neck, trunk, arms and thighs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from medcolor.phantom.anatomy.cranium import brain_case
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.curves import path
from medcolor.phantom.drawing.fields import Field, Number
from medcolor.phantom.drawing.shapes import (
    at_height,
    blend,
    both,
    bump,
    capsule,
    ellipsoid,
    loft,
    ramp,
    true_distance,
)

FACE = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-14, 0, -4, 66, 78),
    (-30, 0, -6, 68, 76),
    (-45, 0, -7, 68, 74),
    (-62, 0, -8, 68, 75.5),
    (-80, 0, -8, 66, 79),
    (-100, 0, -8, 63, 83),
    (-115, 0, -10, 59, 82),
    (-128, 0, -15, 53, 74),
    (-139, 0, -20, 46, 66),
    (-148, 0, -24, 37, 56),
    (-155, 0, -26, 27, 42),
    (-162, 0, -28, 12, 20),
)
NECK = (
    (-42, 0, 46, 62, 64),
    (-62, 0, 43, 64, 66),
    (-80, 0, 39, 62, 65),
    (-100, 0, 35, 59, 63),
    (-130, 0, 32, 57, 62),
    (-155, 0, 32, 56, 63),
    (-175, 0, 35, 57, 64),
    (-195, 0, 39, 64, 67),
    (-215, 0, 42, 78, 72),
    (-235, 0, 42, 80, 72),
)
TORSO = (
    (-198, 0, 46, 74, 56),
    (-208, 0, 45, 104, 62),
    (-220, 0, 44, 134, 71),
    (-238, 0, 41, 158, 85),
    (-270, 0, 37, 160, 98),
    (-310, 0, 33, 154, 107),
    (-360, 0, 28, 151, 114),
    (-400, 0, 26, 150, 115),
    (-450, 0, 22, 146, 111),
    (-500, 0, 18, 140, 108),
    (-550, 0, 15, 138, 108),
    (-600, 0, 16, 144, 110),
    (-650, 0, 19, 157, 111),
    (-700, 0, 27, 167, 115),
    (-740, 0, 31, 172, 114),
    (-780, 0, 32, 171, 105),
    (-806, 0, 30, 168, 92),
    (-818, 0, 28, 160, 74),
)
THIGH = (
    (-760, 84, 28, 82, 90),
    (-840, 90, 24, 81, 88),
    (-890, 91, 20, 78, 84),
    (-1000, 89, 14, 70, 74),
)
ARM = (
    # x, y, z, radius
    (166, 34, -266, 44),
    (180, 35, -292, 47),
    (196, 36, -330, 47),
    (205, 39, -400, 45),
    (213, 41, -480, 42),
    (220, 40, -555, 40),
    (229, 30, -625, 41),
    (236, 16, -710, 35),
    (239, 4, -790, 27),
    (240, -2, -830, 25),
)
HAND = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-812, 240, 0, 23, 26),
    (-840, 239, -3, 17, 33),
    (-880, 236, -7, 15, 42),
    (-1000, 230, -12, 11, 40),
)
NOSE = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-28, 0, -74, 7, 8),
    (-40, 0, -76, 9, 12),
    (-52, 0, -78, 11, 17),
    (-64, 0, -79, 13, 23),
    (-76, 0, -80, 17, 28),
    (-84, 0, -80, 17, 27),
    (-91, 0, -80, 13, 16),
)


def skin_distance(canvas: Canvas) -> Field:
    """Distance of every voxel to the skin's surface, in mm, negative within the body."""
    surface = np.full(canvas.labels.shape, np.float32(60))
    _add_head(canvas, surface)
    _add_trunk(canvas, surface)
    _add_breasts(canvas, surface)
    for side in SIDES:
        _add_limbs(canvas, surface, side)
    for w in canvas.windows((-400, -400, -1100), (400, 400, 140)):
        surface = true_distance(surface - extra_fat(w) + _furrows(w), w)
    return surface


def _merge(surface: Field, w: Window, shape: Field, width: Number) -> None:
    """Join `shape`, known in window `w`, into the surface with a crease of `width` mm."""
    surface[w.box] = blend(surface[w.box], shape, width)


def _add_head(canvas: Canvas, surface: Field) -> None:
    p = canvas.person
    for w in canvas.windows((-110, -130, -175), (110, 150, 130)):
        skull = brain_case(w) - 11.5
        _merge(surface, w, both(skull, -75 - w.z), 1)
        dome = ellipsoid(w, (0, 16, 8), (76, 95, 78.5))
        _merge(surface, w, both(dome, -40 - w.z), 6)
        _merge(surface, w, loft(w, FACE, square=0.45), 14)
        chin = ellipsoid(w, (0, -76, -140), (17, 12, 13))
        _merge(surface, w, chin, 10)
        brow = ellipsoid(w, (0, -69, -19), (44, 17, 13))
        _merge(surface, w, brow, 10)
        for centre, radii in (
            ((0, -87, -101), (22, 6, 6)),
            ((0, -86, -114), (20, 6.5, 6)),
        ):
            _merge(surface, w, ellipsoid(w, centre, radii), 4)
        length = p.vary("nose/length", 0.85, 1.2)
        nose = [(z, x, y, a, b * length) for z, x, y, a, b in NOSE]
        _merge(surface, w, loft(w, nose), 7)
    for side in SIDES:
        for w in canvas.windows((5, -110, -100), (105, 60, -5), (side,)):
            wing = ellipsoid(w, (11, -91, -80), (8, 10, 8))
            _merge(surface, w, wing, 5)
            cheek = ellipsoid(w, (44, -50, -66), (16, 20, 18))
            _merge(surface, w, cheek, 14)
            socket = ellipsoid(w, (32, -60, -38), (15, 15, 13))
            _merge(surface, w, socket, 6)
            _merge(surface, w, ear(w), 4)


def ear(w: Window) -> Field:
    """The auricle: a cupped plate that stands off the head, without its lobes' detail."""
    tall = w.person.vary("ear/height", 26, 33)
    stand = w.person.vary("ear/stand", 15, 35)
    plate = ellipsoid(w, (78, 29, -47), (5.5, 18, tall), yaw=-stand, roll=8)
    cup = ellipsoid(w, (82.5, 26, -46), (5.5, 12.5, tall - 8), yaw=-stand, roll=8)
    return both(plate, -cup)


def _add_trunk(canvas: Canvas, surface: Field) -> None:
    for w in canvas.windows((-110, -110, -250), (110, 160, -30)):
        _merge(surface, w, loft(w, NECK, square=0.3), 12)
    for w in canvas.windows((-200, -140, -870), (200, 190, -190)):
        _merge(surface, w, loft(w, TORSO, square=0.62), 22)


def _add_breasts(canvas: Canvas, surface: Field) -> None:
    if canvas.person.breast == 0:
        return
    for w in canvas.windows((0, -180, -480), (160, 20, -310), SIDES):
        _merge(surface, w, breast(w), 24)


def breast(w: Window) -> Field:
    """One breast, on the side of the window; only for persons who have them."""
    size = w.person.breast
    return ellipsoid(w, (76, -62, -396), (58 * size, 52 * size, 58 * size), yaw=-12)


def _add_limbs(canvas: Canvas, surface: Field, side: int) -> None:
    build = canvas.person.muscularity
    for w in canvas.windows((0, -90, -1100), (200, 190, -650), (side,)):
        _merge(surface, w, loft(w, THIGH), 5)
        _merge(surface, w, ellipsoid(w, (80, 84, -750), (72, 68, 78)), 12)
    for w in canvas.windows((200, -70, -1100), (280, 60, -800), (side,)):
        _merge(surface, w, loft(w, HAND), 4)
    nodes = path(ARM, 2)
    for start, end in pairwise(nodes):
        a, b = ([*node[:3], node[3] * build] for node in (start, end))
        low, high = (min(a[2], b[2]) - 62, max(a[2], b[2]) + 62)
        crease = 34.0 if start[2] > -290 else 1.0
        for w in canvas.windows((110, -60, low), (330, 110, high), (side,)):
            _merge(surface, w, capsule(w, a, b), crease)


def _furrows(w: Window) -> Field:
    """Depth of the groove along the spine and of the cleft between the buttocks, in mm."""
    behind = ramp(w.y, 80, 110)
    spine = 6 * bump(w.x, 0, 26) * ramp(w.z, -720, -640) * ramp(w.z, -215, -290)
    cleft = 34 * bump(w.x, 0, 13) * ramp(w.z, -705, -770)
    return behind * (spine + cleft)


def extra_fat(w: Window) -> Field:
    """How much thicker than the reference person's the subcutaneous fat is, by place, in mm."""
    rows = [
        (60, 0.5, 0.0),
        (-60, 2.0, 0.0),
        (-150, 4.0, 0.0),
        (-220, 4.0, 0.0),
        (-330, 7.0, 3.0),
        (-450, 9.0, 6.0),
        (-580, 11.0, 14.0),
        (-660, 11.0, 12.0),
        (-740, 12.0, 4.0),
        (-900, 9.0, 0.0),
    ]
    all_round, in_front = at_height(w, rows, 1), at_height(w, rows, 2)
    front = ramp(w.y, 20, -60) * bump(w.x, 0, 190)
    limbs = 1 - 0.5 * ramp(np.abs(w.x), 165, 195)
    return (w.person.fatness - 1) * (all_round * limbs + in_front * front)
