"""Signed distances (mm, negative inside) of simple shapes, in a window's canonical coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medcolor.phantom.drawing.canvas import Window
from medcolor.phantom.drawing.curves import curve
from medcolor.phantom.drawing.fields import Field, Number, Row, Table


def both(*shapes: Field | Number) -> Field:
    """Intersection of shapes: the largest of their distances."""
    first, *others = shapes
    for other in others:
        first = np.maximum(first, other)
    return np.asarray(first, np.float32)


def either(*shapes: Field | Number) -> Field:
    """Union of shapes: the smallest of their distances."""
    first, *others = shapes
    for other in others:
        first = np.minimum(first, other)
    return np.asarray(first, np.float32)


def at_least(value: Field, low: Number) -> Field:
    """`value`, but nowhere below `low`."""
    return np.asarray(np.maximum(value, low), np.float32)


def at_most(value: Field, high: Number) -> Field:
    """`value`, but nowhere above `high`."""
    return np.asarray(np.minimum(value, high), np.float32)


def blend(a: Field, b: Field, width: Number) -> Field:
    """Union whose crease is rounded over `width` (Quilez's polynomial smooth minimum)."""
    near = at_least(width - np.abs(a - b), 0)
    return either(a, b) - near * near * (0.25 / width)


def carve(a: Field, b: Field, width: Number) -> Field:
    """Intersection whose edge is rounded over `width`."""
    return -blend(-a, -b, width)


def ramp(value: Field, start: Number, end: Number) -> Field:
    """0 before `start`, 1 after `end`, a smooth cubic between; `start` may exceed `end`."""
    t = at_most(at_least((value - start) / (end - start), 0), 1)
    return t * t * (3 - 2 * t)


def bump(value: Field, centre: Number, width: Number) -> Field:
    """1 at `centre`, falling smoothly to 0 at `width` from it."""
    t = (value - centre) / width
    rest = at_least(1 - t * t, 0)
    return rest * rest


def _turned(u: Field, v: Field, degrees: Number) -> tuple[Field, Field]:
    # Rounded: the last digit of a library's cosine may differ between machines.
    c = round(math.cos(math.radians(degrees)), 5)
    s = round(math.sin(math.radians(degrees)), 5)
    return u * c + v * s, v * c - u * s


def ellipsoid(
    w: Window,
    centre: Row,
    radii: Row,
    *,
    roll: Number = 0,
    pitch: Number = 0,
    yaw: Number = 0,
) -> Field:
    """An ellipsoid with semi-axes `radii` (x, y, z).

    Args:
        w: window.
        centre: (x, y, z).
        radii: semi-axes before turning.
        roll: degrees in the coronal plane, x towards z.
        pitch: degrees in the sagittal plane, y towards z.
        yaw: degrees in the axial plane, x towards y.
    """
    x, y, z = (c - o for c, o in zip((w.x, w.y, w.z), centre, strict=True))
    if yaw:
        x, y = _turned(x, y, yaw)
    if pitch:
        y, z = _turned(y, z, pitch)
    if roll:
        x, z = _turned(x, z, roll)
    return _ellipse((x, y, z), radii)


def _ellipse(offsets: Sequence[Field], radii: Row) -> Field:
    """Distance to an ellipse or ellipsoid, exact at first order near its surface."""
    scaled = [offset / radius for offset, radius in zip(offsets, radii, strict=True)]
    steep = [s / radius for s, radius in zip(scaled, radii, strict=True)]
    level = length(*scaled)
    return level * (level - 1) / at_least(length(*steep), 1e-6)


def length(*components: Field) -> Field:
    """Euclidean length of a vector, its squares summed in the order given."""
    first, *others = components
    square = first * first
    for other in others:
        square = square + other * other
    root: Field = np.sqrt(square)
    return root


def at_height(w: Window, rows: Table, column: int) -> Field:
    """Column `column` of a table whose first column is z, at the height of each slice."""
    knots = [row[0] for row in rows]
    values = [row[column] for row in rows]
    return curve(w.z, knots, values).astype(np.float32)


def loft(w: Window, rows: Table, *, square: Number = 0.0) -> Field:
    """A body whose axial sections are ellipses given at some heights.

    Args:
        w: window.
        rows: (z, centre x, centre y, semi-axis x, semi-axis y) from one end to the other.
        square: 0 for ellipses, towards 1 for rounded rectangles.
    """
    cx, cy, a, b = (at_height(w, rows, k) for k in range(1, 5))
    u, v = (w.x - cx) / a, (w.y - cy) / b
    uu, vv = u * u, v * v
    # The product is bounded, or it would win far outside and make a second, hollow body.
    uc, vc = at_most(uu, 1), at_most(vv, 1)
    s2 = square * square
    level: Field = np.sqrt(uu + vv - s2 * uc * vc)
    slope = length(u * (1 - s2 * vc) / a, v * (1 - s2 * uc) / b)
    return both(level * (level - 1) / at_least(slope, 1e-6), _beyond(w, rows))


def _beyond(w: Window, rows: Table) -> Field:
    """How far a slice lies above or below a table's heights; negative between them."""
    ends = rows[0][0], rows[-1][0]
    return both(w.z - max(ends), min(ends) - w.z)


def ribbon(w: Window, rows: Table) -> Field:
    """A bent plate whose axial sections are bars between two points given at some heights.

    Args:
        w: window.
        rows: (z, x0, y0, half thickness there, x1, y1, half thickness there, bow), the bow being
            how far the bar's middle is pushed to the left of its direction.
    """
    x0, y0, r0, x1, y1, r1, bow = (at_height(w, rows, k) for k in range(1, 8))
    dx, dy = x1 - x0, y1 - y0
    width = length(dx, dy)
    px, py = w.x - x0, w.y - y0
    along = (px * dx + py * dy) / (width * width)
    t = at_most(at_least(along, 0), 1)
    off = (px * dy - py * dx) / width - bow * 4 * t * (1 - t)
    distance = length(off, (along - t) * width) - (r0 + (r1 - r0) * t)
    return both(distance, _beyond(w, rows))


def capsule(w: Window, start: Row, end: Row) -> Field:
    """A rod with round ends; `start` and `end` are (x, y, z, radius)."""
    px, py, pz = w.x - start[0], w.y - start[1], w.z - start[2]
    dx, dy, dz = (b - a for a, b in zip(start[:3], end[:3], strict=True))
    square = max(dx * dx + dy * dy + dz * dz, 1e-6)
    along = px * (dx / square) + py * (dy / square) + pz * (dz / square)
    t = at_most(at_least(along, 0), 1)
    radius = start[3] + t * (end[3] - start[3])
    return length(px - t * dx, py - t * dy, pz - t * dz) - radius


def steepness(values: Field, w: Window) -> Field:
    """Length of the gradient, per millimetre of the body."""
    return length(*(difference(values, axis) / w.lattice.spacing_mm for axis in range(3)))


def true_distance(distance: Field, w: Window) -> Field:
    """Divide by the gradient's length, so that the values near 0 are millimetres of the body."""
    return distance / at_least(steepness(distance, w), 0.2)


def difference(values: Field, axis: int) -> Field:
    """Central difference per voxel along an axis, one-sided at the ends."""
    count = values.shape[axis]
    ahead = np.minimum(np.arange(1, count + 1), count - 1)
    behind = np.maximum(np.arange(-1, count - 1), 0)
    gap = np.maximum(ahead - behind, 1).astype(np.float32)
    rise: Field = np.take(values, ahead, axis) - np.take(values, behind, axis)
    slope: Field = rise / gap.reshape([-1 if k == axis else 1 for k in range(3)])
    return slope
