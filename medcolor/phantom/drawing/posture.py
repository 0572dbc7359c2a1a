"""From one person's millimetres to canonical coordinates, in which all anatomy is written.

Canonical coordinates are those of a reference person of 1.75 m: x to the left, y to the back and
z to the head, in mm. The origin lies between the cerebral hemispheres, at the anterior commissure.
z depends on height alone, so it stays one number a slice; x and y are scaled and shifted slice by
slice and then warped by smooth noise, so that nothing is quite symmetric or quite an ellipse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medcolor.phantom.drawing.curves import curve
from medcolor.phantom.drawing.fields import Field, Profile, Row
from medcolor.phantom.drawing.lattice import Lattice
from medcolor.phantom.drawing.noise import smooth_noise, stream_key
from medcolor.phantom.person import Person

WARP_MM = ((110.0, 3.0), (36.0, 1.1))
"""Lattice step and amplitude of each octave of the warp."""
WARP_LIMIT_MM = 8.0
NECK_BASE_Z = -200.0
TURN_AXIS_Y = 15.0


@dataclass(frozen=True)
class Posture:
    """Slice-by-slice map between a person's millimetres and canonical coordinates."""

    z: Profile
    """Canonical height of each slice."""
    scale_x: Profile
    scale_y: Profile
    shift_x: Profile
    shift_y: Profile
    cosine: Profile
    sine: Profile

    def raw_bounds(self, rows: slice, low: Row, high: Row) -> Profile:
        """Bounds ((x0, x1), (y0, y1)) in mm of a canonical box (x, y) over some slices."""
        xs, ys = [], []
        for x in (low[0], high[0]):
            for y in (low[1], high[1]):
                u, v = x * self.scale_x[rows], (y - TURN_AXIS_Y) * self.scale_y[rows]
                xs.append(u * self.cosine[rows] - v * self.sine[rows] + self.shift_x[rows])
                ys.append(u * self.sine[rows] + v * self.cosine[rows] + self.shift_y[rows])
        corners = np.array([xs, ys]).reshape(2, -1)
        return np.stack([corners.min(1) - WARP_LIMIT_MM, corners.max(1) + WARP_LIMIT_MM], 1)


def canonical_height(person: Person, z_mm: Profile) -> Profile:
    """Canonical z of heights `z_mm`, by straight pieces: skull, face, neck, trunk."""
    canonical = [140.0, 0.0, -60.0, -150.0, NECK_BASE_Z, -1100.0]
    stretch = [
        person.head_height,
        person.head_height,
        person.face_height,
        person.neck_length,
        person.trunk_length,
    ]
    raw = [140.0 * stretch[0], 0.0]
    for k in range(1, 5):
        raw.append(raw[-1] + (canonical[k + 1] - canonical[k]) * stretch[k])
    out = np.empty_like(z_mm)
    for k in range(5):
        here = (z_mm <= raw[k]) if k else np.ones(z_mm.shape, bool)
        slope = (canonical[k + 1] - canonical[k]) / (raw[k + 1] - raw[k])
        out = np.where(here, canonical[k] + (z_mm - raw[k]) * slope, out)
    return out


def posture_of(person: Person, z_mm: Profile) -> Posture:
    """Scales, shifts and turn of every slice."""
    p = person
    z = canonical_height(p, z_mm)
    knots = [60.0, -60.0, -155.0, -240.0, -390.0, -560.0, -720.0]
    widths = [
        p.head_width,
        p.head_width,
        p.neck_width,
        p.shoulder_width,
        p.chest_width,
        p.waist_width,
        p.hip_width,
    ]
    depths = [
        p.head_length,
        p.head_length,
        p.neck_width,
        p.chest_depth,
        p.chest_depth,
        p.belly_depth,
        p.vary("hip_depth", 0.94, 1.08),
    ]
    above = np.maximum(z - NECK_BASE_Z, 0.0)
    half = p.half_turn * np.minimum(above / 120.0, 1.0)
    scoliosis = p.vary("scoliosis", -5.0, 5.0)
    hump = np.maximum(1.0 - np.abs(z + 420.0) / 220.0, 0.0)
    return Posture(
        z=z,
        scale_x=curve(z, knots, widths),
        scale_y=curve(z, knots, depths),
        shift_x=p.tilt * above + scoliosis * hump * hump,
        shift_y=TURN_AXIS_Y - p.nod * above,
        cosine=(1.0 - half * half) / (1.0 + half * half),
        sine=2.0 * half / (1.0 + half * half),
    )


def warp(person: Person, lattice: Lattice) -> tuple[Field, Field]:
    """Displacement (x, y) in mm of every voxel."""
    axes = lattice.axes_mm()
    fields = []
    for axis in ("x", "y"):
        total = np.zeros(lattice.shape, np.float32)
        for octave, (period, amplitude) in enumerate(WARP_MM):
            key = stream_key(person.seed, f"warp/{axis}/{octave}")
            total = total + smooth_noise(key, axes, period) * amplitude
        fields.append(np.minimum(np.maximum(total, -WARP_LIMIT_MM), WARP_LIMIT_MM))
    return fields[0], fields[1]


def canonical_plane(posture: Posture, person: Person, lattice: Lattice) -> tuple[Field, Field]:
    """Canonical x and y of every voxel, warped."""
    _, y_mm, x_mm = (axis.astype(np.float32) for axis in lattice.axes_mm())
    warp_x, warp_y = warp(person, lattice)

    def column(profile: Profile) -> Field:
        return profile.astype(np.float32)[:, None, None]

    u = x_mm - column(posture.shift_x) + warp_x
    v = y_mm[:, None] - column(posture.shift_y) + warp_y
    cosine, sine = column(posture.cosine), column(posture.sine)
    x = (u * cosine + v * sine) / column(posture.scale_x)
    y = (v * cosine - u * sine) / column(posture.scale_y) + TURN_AXIS_Y
    return x, y
