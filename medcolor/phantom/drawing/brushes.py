"""Brushes for what is drawn along a path, and for structures of several layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise

import numpy as np

from medcolor.phantom.drawing.canvas import Canvas, Window
from medcolor.phantom.drawing.curves import path
from medcolor.phantom.drawing.fields import Field, Number, Table
from medcolor.phantom.drawing.shapes import both, capsule, either
from medcolor.phantom.tissues import Tissue

Layers = Sequence[tuple[Number, Tissue]]
"""(depth below the surface in mm, tissue from there on), from the outside in."""

Shape = Callable[[Window], Field]
"""Distance to a structure over a window."""

BONE: Layers = ((0.0, Tissue.CORTICAL_BONE), (2.0, Tissue.SPONGY_BONE))


def paint_layers(
    w: Window, distance: Field, layers: Layers, *, over: Collection[Tissue] | None = None
) -> None:
    """Paint a structure's shell and core; `over` guards all layers alike."""
    allowed = None if over is None else {*over, *(tissue for _, tissue in layers)}
    for depth, tissue in layers:
        w.paint(tissue, distance + depth, over=allowed)


def paint_tube(
    canvas: Canvas,
    points: Table,
    layers: Layers,
    *,
    sides: Sequence[int] = (1,),
    over: Collection[Tissue] | None = None,
    steps: int = 3,
) -> None:
    """Paint a tube along a smooth path.

    Args:
        canvas: canvas.
        points: (x, y, z, radius) along the path, canonical mm.
        layers: wall and content; each is painted along the whole tube before the next.
        sides: 1 for the left or the midline, -1 for the right.
        over: tissues that may be painted over; everything where None.
        steps: straight pieces between two points.
    """
    nodes = path(points, steps)
    allowed = None if over is None else {*over, *(tissue for _, tissue in layers)}
    for depth, tissue in layers:
        for start, end in pairwise(nodes):
            reach = max(start[3], end[3])
            low = [min(a, b) - reach for a, b in zip(start[:3], end[:3], strict=True)]
            high = [max(a, b) + reach for a, b in zip(start[:3], end[:3], strict=True)]
            for w in canvas.windows(low, high, sides):
                w.paint(tissue, capsule(w, start, end) + depth, over=allowed)


def paint_packed(
    windows: Iterable[Window],
    shapes: Sequence[Shape],
    *,
    within: Shape | None = None,
    gap_mm: Number = 1.5,
) -> None:
    """Paint muscles that press on each other into fat, and leave fat planes where they meet.

    A voxel goes to the shape it lies deepest in, unless a second one claims it almost as much.
    Shapes of the two sides meet in a plane at x = 0.

    Args:
        windows: where to paint; right-hand ones mirrored.
        shapes: the bellies.
        within: what none of them may leave.
        gap_mm: thickness of the fat between two bellies.
    """
    for w in windows:
        first: Field = np.full(w.labels.shape, 99, np.float32)
        second = first
        swell = [w.noise(f"belly/{k}", 17.0) for k in range(2)]
        for number, shape in enumerate(shapes):
            # A different mixture for each, so that neighbours do not swell together.
            signs = (1 - 2 * (number % 2), 1 - 2 * (number // 2 % 2))
            distance = shape(w) + swell[0] * signs[0] + swell[1] * signs[1]
            second = either(second, both(first, distance))
            first = either(first, distance)
        gap = 0.8 * w.thin(gap_mm) + 0.35 * gap_mm * w.noise("plane", 12.0)
        meeting = both(gap - (second - first), 0.4 * gap_mm - w.x)
        limit = first if within is None else within(w)
        w.paint(Tissue.MUSCLE, both(first, meeting, limit), over=(Tissue.FAT,))
