"""Lungs with fissures, bronchi and vessel trees; the diaphragm under them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medcolor.phantom.anatomy.heart import pericardium
from medcolor.phantom.anatomy.wall import cage, dome_height
from medcolor.phantom.drawing.brushes import paint_tube
from medcolor.phantom.drawing.canvas import SIDES, Canvas, Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.noise import draw
from medcolor.phantom.drawing.shapes import blend, both, capsule, carve, either, loft
from medcolor.phantom.tissues import Tissue

MEDIASTINUM = (
    # z, centre x, centre y, semi-axis x, semi-axis y
    (-205, 0, 22, 30, 40),
    (-240, 0, 12, 25, 50),
    (-275, 2, 8, 28, 56),
    (-305, 4, 8, 27, 58),
    (-340, 2, 18, 26, 50),
    (-380, 4, 24, 28, 50),
    (-440, 6, 30, 30, 46),
)
BRONCHI = (
    ((0, 31, -282, 7.5), (-18, 32, -300, 6.5), (-38, 30, -314, 5.0), (-52, 32, -330, 3.5)),
    ((0, 31, -282, 7.5), (24, 34, -306, 6.0), (44, 35, -320, 4.5), (56, 38, -338, 3.2)),
)
HILUM = (36.0, 28.0, -314.0)
TRUNKS = 7
GENERATIONS = 4


def paint_lungs(canvas: Canvas) -> None:
    """Paint lungs over the chest's fat, then fissures, airways and vessels within them."""
    for w in canvas.windows((-140, -90, -520), (140, 130, -200)):
        chest = cage(w) + 1.5
        floor = dome_height(w) - w.z
        spine = capsule(w, (0, 48, -202, 21), (0, 66, -300, 24))
        spine = either(spine, capsule(w, (0, 66, -300, 24), (0, 62, -440, 27)))
        middle = either(blend(loft(w, MEDIASTINUM, square=0.3), pericardium(w), 14), spine)
        lung = carve(carve(chest, floor, 8), -middle, 8)
        w.paint(Tissue.LUNG, lung)
        w.paint(Tissue.MUSCLE, _diaphragm(w, floor), over=(Tissue.FAT,))
        w.paint(Tissue.FASCIA, both(_fissures(w), lung), over=(Tissue.LUNG,))
    for course in BRONCHI:
        walls = ((-1.6, Tissue.CARTILAGE), (0.0, Tissue.CAVITY))
        paint_tube(canvas, course, walls)
    for side in SIDES:
        _paint_tree(canvas, side)


def _diaphragm(w: Window, floor: Field) -> Field:
    """A muscular sheet under the lungs, fixed to the ribs."""
    sheet = np.abs(floor - 2) - (0.6 * w.thin(3.0))
    return both(sheet, cage(w) + 0.5, -505 - w.z)


def _fissures(w: Window) -> Field:
    """Oblique fissures on both sides and the horizontal one of the right lung."""
    half = 0.3 * w.thin(1.2)
    slant = (w.z + 352) - 0.95 * (w.y - 30)
    slant = slant + 6 * w.noise("fissure", 45.0)
    oblique = np.abs(slant) * 0.7 - half
    level = np.abs(w.z + 340 + 2 * w.noise("fissure/level", 35.0)) - half
    horizontal = both(level, -slant, w.x * w.side)
    return either(oblique, horizontal)


@dataclass(frozen=True)
class _Branch:
    """A straight piece of a vessel tree, canonical mm; its course is a unit vector (x, y, z)."""

    start: tuple[float, ...]
    course: tuple[float, ...]
    length: float
    radius: float
    name: str

    def end(self) -> tuple[float, ...]:
        return tuple(
            round(s + c * self.length, 3) for s, c in zip(self.start, self.course, strict=True)
        )

    def fork(self, seed: int, number: int) -> _Branch:
        """The `number`-th branch that leaves its end, thinner, shorter and bent at random."""
        name = f"{self.name}{number}"
        turn = [0.9 * (2 * draw(seed, f"{name}/{k}") - 1) for k in range(3)]
        course = _unit(*(c + t for c, t in zip(self.course, turn, strict=True)))
        return _Branch(self.end(), course, 0.72 * self.length, 0.68 * self.radius, name)


def _unit(*components: float) -> tuple[float, ...]:
    size = math.sqrt(sum(c * c for c in components))
    return tuple(round(c / size, 6) for c in components)


def _paint_tree(canvas: Canvas, side: int) -> None:
    """Grow arteries and veins from the hilum by repeated forking, and paint them into the lung."""
    seed = canvas.person.seed
    branches = []
    for trunk in range(TRUNKS):
        name = f"lung/{side}/{trunk}"
        around = 2 * math.pi * (trunk + draw(seed, name)) / TRUNKS
        course = _unit(0.75, 0.55 * math.cos(around), 0.9 * math.sin(around))
        branches.append(_Branch(HILUM, course, 46.0, 4.6, name))
    for generation in range(GENERATIONS):
        for b in branches:
            ends = ((*b.start, b.radius), (*b.end(), 0.8 * b.radius))
            blood = ((0.0, Tissue.BLOOD),)
            paint_tube(canvas, ends, blood, sides=(side,), over=(Tissue.LUNG,), steps=1)
        forks = 3 if generation == 0 else 2
        branches = [b.fork(seed, number) for b in branches for number in range(forks)]
