"""From a seed to a label volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.anatomy.back import marble_muscle
from medcolor.phantom.anatomy.brain import paint_brain
from medcolor.phantom.anatomy.head import paint_head
from medcolor.phantom.anatomy.outline import skin_distance
from medcolor.phantom.anatomy.spine import paint_arches, paint_bodies, paint_cord
from medcolor.phantom.anatomy.trunk import (
    paint_organs,
    paint_trunk_bones,
    paint_trunk_muscles,
)
from medcolor.phantom.drawing.canvas import Canvas
from medcolor.phantom.drawing.fields import Field, Profile
from medcolor.phantom.drawing.lattice import Lattice, Region
from medcolor.phantom.drawing.posture import canonical_plane, posture_of
from medcolor.phantom.person import Person, make_person
from medcolor.phantom.tissues import Tissue

HALO = 2
"""Voxels painted around a region and cut off, so that its rim knows its neighbours."""
SKIN_MM = 1.9


@dataclass(frozen=True)
class Phantom:
    """A person as a volume of tissues.

    Axes are (z, y, x): z towards the head, y towards the back, x towards the patient's left.
    """

    labels: NDArray[np.uint8]
    """Values of `Tissue`, (z, y, x)."""
    spacing_mm: float
    """Distance of neighbouring voxels, the same along all axes."""
    origin_mm: tuple[float, float, float]
    """Centre (z, y, x) of the first voxel; head, trunk and whole share the zero point."""
    seed: int
    region: Region

    @property
    def lattice(self) -> Lattice:
        """Where the voxels lie."""
        z, y, x = (round(o / self.spacing_mm) for o in self.origin_mm)
        depth, rows, columns = self.labels.shape
        return Lattice(self.spacing_mm, (z, y, x), (depth, rows, columns))

    @property
    def person(self) -> Person:
        """The measures this phantom was built from."""
        return make_person(self.seed)

    def canonical_z_mm(self) -> Profile:
        """Height of each slice in the canonical coordinates that all persons share, (z,)."""
        return posture_of(self.person, self.lattice.axes_mm()[0]).z

    def canonical_plane_mm(self, z: int) -> Field:
        """Canonical (y, x) of every voxel of slice `z`, shape (2, row, col), in mm."""
        _, rows, columns = self.lattice.shape
        lattice = self.lattice.part((slice(z, z + 1), slice(0, rows), slice(0, columns)))
        posture = posture_of(self.person, lattice.axes_mm()[0])
        x, y = canonical_plane(posture, self.person, lattice)
        return np.stack([y[0], x[0]])


def make_phantom(seed: int, *, region: Region = "head", spacing_mm: float = 2.0) -> Phantom:
    """Build the person of `seed`; the same seed gives the same bytes on every machine.

    Args:
        seed: which person, any whole number >= 0.
        region: "head" is crown to the base of the neck, "trunk" the rest down to the upper
            thighs, "whole" both; head and trunk are exact parts of whole.
        spacing_mm: voxel size. A person at 4 mm is the same person as at 2 mm.
    """
    lattice = Lattice.of_region(region, spacing_mm)
    return Phantom(draw_labels(seed, lattice), spacing_mm, lattice.origin_mm, seed, region)


def draw_labels(seed: int, lattice: Lattice) -> NDArray[np.uint8]:
    """Paint the person of `seed` on any box of voxels; the result is read-only, (z, y, x)."""
    canvas = Canvas(make_person(seed), lattice.grown(HALO))
    _paint_skin(canvas)
    paint_trunk_muscles(canvas)
    paint_head(canvas)
    marble_muscle(canvas)
    paint_organs(canvas)
    paint_trunk_bones(canvas)
    paint_bodies(canvas)
    paint_arches(canvas)
    paint_cord(canvas)
    paint_brain(canvas)
    inner = (slice(HALO, -HALO),) * 3
    labels = np.ascontiguousarray(canvas.labels[inner])
    labels.flags.writeable = False
    return labels


def _paint_skin(canvas: Canvas) -> None:
    """Fill the body's outline: skin outside, fat within, until something else is painted."""
    canvas.skin = skin_distance(canvas)
    thickness = max(SKIN_MM, 0.85 * canvas.lattice.spacing_mm)
    canvas.labels[canvas.skin < 0] = Tissue.SKIN
    canvas.labels[canvas.skin < -thickness] = Tissue.FAT
