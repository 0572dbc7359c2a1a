"""The brain case: hull of the cerebrum, floor of the skull, and the cavity around them."""

from __future__ import annotations

import numpy as np

from medcolor.phantom.drawing.canvas import Window
from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.shapes import (
    at_least,
    at_most,
    blend,
    bump,
    capsule,
    carve,
    ellipsoid,
    ramp,
    true_distance,
)

BRAIN_BOX = ((-86.0, -92.0, -80.0), (86.0, 122.0, 96.0))
"""Canonical corners (x, y, z) of a box that holds the brain case."""


def egg(w: Window) -> Field:
    """The vault of the cerebrum: an egg, narrow in front, with blunt ends and a flat crown."""
    p = w.person
    narrow = p.vary("egg/narrow", 0.14, 0.26)
    y = w.y - 16
    front = at_most(at_least(-y / 84, 0), 1.15)
    back = at_most(at_least(y / 84, 0), 1.15)
    half_width = 66 * (1 - narrow * front * front - 0.06 * back * back)
    top = (66 + p.vary("egg/vertex", -3, 3)) + 2 * bump(w.y, 35, 60)
    u, v, t = w.x / half_width, y / 84, (w.z - 8) / top
    uu, vv, tt = u * u, v * v, t * t
    # Bounded, or the product terms would win far outside and make a second, hollow egg.
    uc, vc, tc = (at_most(c, 1.2) for c in (uu, vv, tt))
    squared = p.vary("egg/square", 0.15, 0.4)
    level = uu + vv + tt - squared * (uc * vc + 0.6 * uc * tc)
    root: Field = np.sqrt(at_least(level, 1e-6))
    return (root - 1) * 66


def fossa_floor(w: Window, *, with_stem: bool) -> Field:
    """Height of the floor under the cerebrum: frontal base, temporal bowls, tentorium.

    Args:
        w: window.
        with_stem: raise the floor in the midline to where the cerebrum sits on the brain stem;
            without it the floor is the skull's own, down to the saddle.
    """
    ax = np.abs(w.x)
    frontal = -27 + 9 * bump(ax, 30, 24) * bump(w.y, -48, 40)
    off_centre = at_most(np.abs(ax - 37) / 24, 1.4)
    temporal = -47 + 11 * off_centre * off_centre
    tent = 7 - 0.42 * ax - 0.27 * (w.y - 42)
    to_temporal = ramp(w.y + 0.12 * (ax - 40), -26, -13)
    to_tent = ramp(w.y - 0.15 * ax, 24, 48)
    side = frontal + to_temporal * (temporal + to_tent * (tent - temporal) - frontal)
    middle = -15 + 13 * ramp(w.y, -4, 10) if with_stem else -24
    in_middle = ramp(ax, 24, 13) * ramp(w.y, -24, -12) * (1 - to_tent)
    return side + in_middle * (middle - side)


def cerebral_hull(w: Window) -> Field:
    """Outer, unfolded surface of both hemispheres together."""
    return true_distance(carve(egg(w), fossa_floor(w, with_stem=True) - w.z, 12), w)


def brain_case(w: Window) -> Field:
    """Inner surface of the skull, down to the foramen magnum."""
    vault = carve(egg(w) - 1.8, fossa_floor(w, with_stem=False) - 2.5 - w.z, 10)
    hind = ellipsoid(w, (0, 57, -28), (62, 45.5, 35), pitch=-8)
    foramen = capsule(w, (0, 38, -48, 19), (0, 36, -72, 13.5))
    return true_distance(blend(blend(vault, hind, 10), foramen, 8), w)
