"""Stomach, duodenum, small bowel and colon: wall, content, and gas that rises to the front."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.anatomy.wall import peritoneum
from medcolor.phantom.drawing.canvas import Canvas, Window
from medcolor.phantom.drawing.curves import path
from medcolor.phantom.drawing.fields import Field, Number, Row, Table
from medcolor.phantom.drawing.noise import draw, packed_cells, stream_key
from medcolor.phantom.drawing.shapes import at_least, both, capsule, carve, ellipsoid, loft
from medcolor.phantom.tissues import Tissue

SOFT = (Tissue.FAT,)
STOMACH = (
    (54, 42, -424, 20), (62, 30, -436, 29), (66, 4, -462, 31), (56, -26, -492, 27),
    (30, -44, -514, 20), (4, -44, -516, 16), (-18, -30, -506, 12),
)  # fmt: skip
DUODENUM = (
    (-20, -28, -506, 12), (-38, -6, -506, 12), (-46, 12, -526, 12), (-42, 16, -556, 12),
    (-18, 12, -572, 11), (14, 10, -566, 11), (34, 4, -548, 11),
)  # fmt: skip
COLON = (
    (-88, -18, -672, 22), (-96, -8, -648, 27), (-102, 6, -605, 25), (-100, 14, -565, 24),
    (-88, -20, -548, 22), (-62, -58, -562, 21), (-20, -70, -580, 20), (26, -68, -576, 20),
    (70, -50, -540, 20), (96, 4, -505, 20), (100, 32, -520, 18), (104, 30, -570, 16),
    (104, 22, -620, 16), (98, 6, -660, 16), (76, -12, -692, 16), (44, 6, -708, 16),
    (22, 34, -694, 16), (6, 62, -706, 17), (0, 76, -740, 21), (0, 68, -778, 17), (0, 70, -806, 9),
)  # fmt: skip
BOWEL_ROOM = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-515, 0, -20, 116, 110),
    (-615, 0, -22, 104, 100),
    (-650, 0, -24, 90, 82),
    (-690, 0, -6, 72, 66),
    (-736, 0, 6, 54, 50),
)
BOWEL_BOX = ((-110.0, -130.0, -735.0), (110.0, 60.0, -515.0))


def paint_bowel(canvas: Canvas) -> None:
    """Paint the gut from the stomach on."""
    p = canvas.person
    full = p.vary("stomach/size", 0.8, 1.12)
    stomach = [(x, y, z, r * full) for x, y, z, r in STOMACH]
    _paint_gut(canvas, DUODENUM, 2.0, Tissue.CHYME, gas=0.1, name="duodenum")
    _paint_gut(canvas, _moved_colon(p.seed), 2.2, Tissue.FAECES, gas=0.45, name="colon")
    _paint_gut(canvas, stomach, 4.0, Tissue.CHYME, gas=0.5, name="stomach")
    _paint_small_bowel(canvas)


def _moved_colon(seed: int) -> list[tuple[Number, ...]]:
    """The colon's frame with its free stretches, transverse and sigmoid, hung differently."""
    sag = 40 * draw(seed, "colon/sag") - 15
    side = 40 * draw(seed, "colon/sigmoid") - 20
    moved: list[tuple[Number, ...]] = []
    for k, (x, y, z, r) in enumerate(COLON):
        u, v = (k - 6.5) / 3.5, (k - 15.5) / 2.5
        drop = sag * (1 - u * u) if abs(u) < 1 else 0.0
        push = side * (1 - v * v) if abs(v) < 1 else 0.0
        moved.append((x + push, y, z - drop, r))
    return moved


def _paint_small_bowel(canvas: Canvas) -> None:
    """Pack the middle of the belly with loops: the cells of a cellular noise, drawn out and bent.

    A loop's fat neighbours are cells left empty; the stouter the person, the more of them.
    """
    p = canvas.person
    for w in canvas.windows(*BOWEL_BOX):
        bent = [5 * w.noise(f"ileum/{k}", 34.0) for k in range(3)]
        x, y, z = (c + b for c, b in zip((w.x, w.y, w.z), bent, strict=True))
        long, across = 1 / 52, 1 / 29
        first, second, owner = packed_cells(
            stream_key(p.seed, "ileum"), ((x + z * 0.4) * long, y * across, z * across)
        )
        gap = 0.05 + 0.05 * p.fatness
        root = ellipsoid(w, (6, 30, -600), (34, 46, 80))
        room = both(peritoneum(w) + 2, loft(w, BOWEL_ROOM), 4 - root)
        empty = np.where(_byte(owner, 1) < int(26 + 22 * p.fatness), np.float32(9), np.float32(-9))
        loop = both((first - second + gap) * 16, first * 28 - 17, room, empty)
        w.paint(Tissue.BOWEL_WALL, loop, over=SOFT)
        fold = 0.6 * w.noise("ileum/fold", 5.0)
        lumen = loop + 0.7 * w.thin(2.4) + fold
        w.paint(Tissue.CHYME, lumen, over=(Tissue.BOWEL_WALL,))
        gassy = np.where(_byte(owner, 2) < 30, np.float32(-9), np.float32(9))
        w.paint(Tissue.CAVITY, both(lumen + 1, gassy), over=(Tissue.CHYME,))


def _byte(code: NDArray[np.uint32], number: int) -> NDArray[np.uint32]:
    """One of the four bytes of random numbers."""
    return (code >> np.uint32(8 * number)) & np.uint32(255)


def _paint_gut(
    canvas: Canvas,
    course: Table,
    wall_mm: Number,
    content: Tissue,
    *,
    gas: float,
    name: str,
) -> None:
    """Paint one stretch of gut.

    Args:
        canvas: canvas.
        course: (x, y, z, radius) along it.
        wall_mm: thickness of the wall.
        content: what fills it.
        gas: share of its length that holds gas, 0..1, at the front of the lumen.
        name: stream of its haustra and gas.
    """
    nodes = path(course, 4)
    pieces = list(pairwise(nodes))
    for start, end in pieces:
        for w in _around(canvas, start, end):
            w.paint(Tissue.BOWEL_WALL, _tube(w, start, end), over=SOFT)
    for start, end in pieces:
        reach = max(start[3], end[3])
        for w in _around(canvas, start, end):
            haustra = 0.12 * reach * w.noise(name, 13.0)
            lumen = _tube(w, start, end) + w.thin(wall_mm) + at_least(haustra, 0)
            w.paint(content, lumen, over=(Tissue.BOWEL_WALL,))
            level = (start[1] + end[1]) / 2 - 0.15 * reach
            dry = 4 * gas - 2 + w.noise(f"{name}/gas", 45.0)
            w.paint(Tissue.CAVITY, both(lumen, w.y - level, -dry), over=(content,))


def _around(canvas: Canvas, start: Row, end: Row) -> Iterator[Window]:
    reach = max(start[3], end[3])
    low = [min(a, b) - reach for a, b in zip(start[:3], end[:3], strict=True)]
    high = [max(a, b) + reach for a, b in zip(start[:3], end[:3], strict=True)]
    return canvas.windows(low, high)


def _tube(w: Window, start: Row, end: Row) -> Field:
    """A piece of gut, flattened where it would press through the abdominal wall."""
    return carve(capsule(w, start, end), peritoneum(w) + 1, 4)
