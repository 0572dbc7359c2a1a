"""The label volume while it is painted: windows around structures, and the brushes.

A structure is a signed distance (mm, negative inside), evaluated only in the window around it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.drawing.fields import Field, Number, Row
from medcolor.phantom.drawing.lattice import Box, Lattice
from medcolor.phantom.drawing.noise import smooth_noise, stream_key
from medcolor.phantom.drawing.posture import Posture, canonical_plane, posture_of
from medcolor.phantom.person import Person
from medcolor.phantom.tissues import Tissue

SIDES = (1, -1)
"""The patient's left, then right."""


@dataclass(frozen=True)
class Window:
    """A box of the canvas. Right-hand windows are mirrored, so x counts from the midline out."""

    x: Field
    y: Field
    z: Field
    skin: Field
    """Distance to the skin's surface in mm of the body, negative inside."""
    labels: NDArray[np.uint8]
    lattice: Lattice
    person: Person
    side: int
    box: Box
    """Where the window lies in its canvas."""

    def noise(self, name: str, period_mm: Number | Row, *, band: bool = False) -> Field:
        """Smooth noise of unit standard deviation, the same wherever the window ends."""
        key = stream_key(self.person.seed, name)
        return smooth_noise(key, self.lattice.axes_mm(), period_mm, band=band)

    def paint(
        self, tissue: Tissue, distance: Field, *, over: Collection[Tissue] | None = None
    ) -> None:
        """Paint where `distance` < 0, over everything or only over the tissues `over`."""
        inside = distance < 0
        if over is not None:
            inside &= self.holds(over)
        self.labels[np.broadcast_to(inside, self.labels.shape)] = tissue

    def holds(self, tissues: Collection[Tissue]) -> NDArray[np.bool_]:
        """Where the labels are among `tissues`."""
        table = np.zeros(256, bool)
        table[list(tissues)] = True
        return table[self.labels]

    def thin(self, thickness_mm: Number) -> float:
        """A sheet's thickness, but never so thin that it slips between voxels."""
        return max(thickness_mm, 0.85 * self.lattice.spacing_mm)


@dataclass
class Canvas:
    """Labels of a box of voxels, with the canonical coordinates of each."""

    person: Person
    lattice: Lattice
    posture: Posture = field(init=False)
    labels: NDArray[np.uint8] = field(init=False)
    x: Field = field(init=False)
    y: Field = field(init=False)
    skin: Field = field(init=False)

    def __post_init__(self) -> None:
        """Place the person on the grid."""
        self.posture = posture_of(self.person, self.lattice.axes_mm()[0])
        self.x, self.y = canonical_plane(self.posture, self.person, self.lattice)
        self.labels = np.zeros(self.lattice.shape, np.uint8)
        self.skin = np.broadcast_to(np.float32(-99), self.lattice.shape)

    def box(self, low: Row, high: Row) -> Box | None:
        """Voxels that may lie in a canonical box (x, y, z), or None where there are none."""
        (rows,) = np.nonzero((self.posture.z >= low[2]) & (self.posture.z <= high[2]))
        if rows.size == 0:
            return None
        slices = [slice(int(rows[0]), int(rows[-1]) + 1)]
        bounds = self.posture.raw_bounds(slices[0], tuple(low), tuple(high))
        for (start_mm, end_mm), axis in zip(bounds[::-1], self.lattice.axes_mm()[1:], strict=True):
            (inside,) = np.nonzero((axis >= start_mm) & (axis <= end_mm))
            if inside.size == 0:
                return None
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return slices[0], slices[1], slices[2]

    def window(self, low: Row, high: Row, side: int = 1) -> Window | None:
        """The window over a canonical box (x, y, z); `side` -1 mirrors it to the right."""
        if side < 0:
            low, high = (-high[0], low[1], low[2]), (-low[0], high[1], high[2])
        box = self.box(low, high)
        if box is None:
            return None
        return Window(
            x=self.x[box] if side > 0 else -self.x[box],
            y=self.y[box],
            z=self.posture.z[box[0]].astype(np.float32)[:, None, None],
            skin=self.skin[box],
            labels=self.labels[box],
            lattice=self.lattice.part(box),
            person=self.person,
            side=side,
            box=box,
        )

    def windows(self, low: Row, high: Row, sides: Sequence[int] = (1,)) -> Iterator[Window]:
        """The windows over a box on each of `sides`; none where the canvas ends before."""
        for side in sides:
            window = self.window(low, high, side)
            if window is not None:
                yield window
