"""The trunk as nested walls: skin, fat, muscle, rib cage, and the cavities inside it."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.anatomy.outline import extra_fat
from medcolor.phantom.drawing.canvas import Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import at_height, both, bump, loft, ramp

CAGE = (
    # z, centre x, centre y, semi-axis x, semi-axis y of the ribs' inner surface
    (-202, 0, 44, 34, 24),
    (-215, 0, 38, 60, 40),
    (-235, 0, 34, 84, 55),
    (-260, 0, 29, 101, 64),
    (-300, 0, 25, 115, 75),
    (-350, 0, 20, 124, 83),
    (-400, 0, 17, 128, 86),
    (-450, 0, 12, 128, 82),
    (-490, 0, 9, 124, 78),
    (-530, 0, 7, 116, 74),
    (-575, 0, 7, 104, 72),
)
FAT_DEPTH = (
    # z, all round, more in front, more behind: mm of fat under the skin of the reference person
    (-200, 4, 0, 2),
    (-260, 5, 1, 2),
    (-400, 6, 3, 2),
    (-480, 8, 5, 2),
    (-580, 10, 8, 4),
    (-660, 11, 8, 8),
    (-750, 12, 4, 16),
    (-820, 10, 2, 10),
    (-900, 8, 0, 2),
)
RIGHT_DOME = (-60.0, 14.0, -394.0)
LEFT_DOME = (62.0, 14.0, -408.0)
ABDOMINAL_WALL_MM = 15.0


def fat_depth(w: Window) -> Field:
    """Thickness of skin and subcutaneous fat in mm."""
    all_round, front, back = (at_height(w, FAT_DEPTH, k) for k in (1, 2, 3))
    uneven = 1 + 0.12 * w.noise("fat", 30.0)
    depth: Field = all_round + front * ramp(w.y, 10, -50) + back * ramp(w.y, 60, 110)
    arm: Field = 1 - 0.35 * ramp(np.abs(w.x), 160, 190)
    return depth * uneven * arm + extra_fat(w) + 1.5


def under_fat(w: Window) -> Field:
    """Distance to the outer surface of the muscles, negative inside."""
    return w.skin + fat_depth(w)


def cage(w: Window) -> Field:
    """Distance to the inner surface of the rib cage, negative within the chest."""
    return loft(w, CAGE, square=0.5)


def dome_height(w: Window) -> Field:
    """The z of the diaphragm's upper surface over each (x, y); the right dome is the higher one."""
    p = w.person
    breath = p.vary("diaphragm/height", -14, 10)
    x = w.x * w.side
    domes = []
    for name, (cx, cy, top), wide in (("right", RIGHT_DOME, 76), ("left", LEFT_DOME, 72)):
        own = p.vary(f"diaphragm/{name}", -5, 5)
        u, v = (x - cx) / wide, (w.y - cy) / 90
        rr = u * u + v * v
        domes.append(top + breath + own - 26 * rr - 70 * rr * rr)
    across = w.y / 90
    middle = -414 + breath - 60 * across * across
    middle = middle - 60 * (1 - bump(x, 0, 110))
    height = both(domes[0], domes[1], middle)
    return height + 1.5 * w.noise("diaphragm", 40.0)


def peritoneum(w: Window) -> Field:
    """Distance to the inner surface of the abdominal wall, negative inside the belly."""
    wall = under_fat(w) + ABDOMINAL_WALL_MM
    ribs = np.where(w.z > -560, cage(w) + 5, np.float32(-99))
    return both(wall, ribs)
