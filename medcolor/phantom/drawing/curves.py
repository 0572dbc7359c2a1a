"""Curves through a few given points: tables along the body's length, paths through space."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.drawing.fields import Field, Row, Table


def curve(at: Field, knots: Row, values: Row) -> Field:
    """A smooth curve through (knot, value) that never overshoots, held constant beyond the ends.

    Cubic Hermite pieces whose tangents are the harmonic mean of the neighbouring slopes, and zero
    at an extreme (Fritsch and Butland 1984, doi:10.1137/0905021).

    Args:
        at: where to evaluate.
        knots: increasing or decreasing.
        values: one for each knot.
    """
    x, y = np.asarray(knots, np.float64), np.asarray(values, np.float64)
    if x[0] > x[-1]:
        x, y = x[::-1], y[::-1]
    step = x[1:] - x[:-1]
    slope = (y[1:] - y[:-1]) / step
    before, after = slope[:-1], slope[1:]
    same_sign = before * after > 0
    total = np.where(same_sign, before + after, 1.0)
    inner = np.where(same_sign, 2.0 * before * after / total, 0.0)
    tangent = np.concatenate([slope[:1], inner, slope[-1:]])

    inside = np.minimum(np.maximum(at.astype(np.float64), x[0]), x[-1])
    piece = np.minimum(np.searchsorted(x, inside, side="right") - 1, len(step) - 1)
    width = step[piece]
    t = (inside - x[piece]) / width
    s = 1.0 - t
    ends: Field = y[piece] * (1.0 + 2.0 * t) * s * s + y[piece + 1] * (3.0 - 2.0 * t) * t * t
    bend: Field = width * t * s * (tangent[piece] * s - tangent[piece + 1] * t)
    return ends + bend


def path(points: Table, steps: int) -> list[list[float]]:
    """A Catmull-Rom curve through `points` (any number of coordinates), `steps` pieces each."""
    rows = [list(map(float, p)) for p in points]
    out = []
    for i in range(len(rows) - 1):
        p0, p1 = rows[max(i - 1, 0)], rows[i]
        p2, p3 = rows[i + 1], rows[min(i + 2, len(rows) - 1)]
        for k in range(steps):
            t = k / steps
            out.append(
                [
                    b
                    + 0.5
                    * t
                    * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                ]
            )
    out.append(rows[-1])
    return out
