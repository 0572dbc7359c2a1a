"""Votes added up on a lattice over the body: place along it, rows, columns, contrast of the scan.

A vote is rounded to whole numbers before it is added, so that sums are exact: they do not depend on
who adds what first, on slabs, workers, batches or devices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medcolor.domain import Box
from medcolor.transfer.scan import ScanStatistics
from medcolor.transfer.settings import ModelSettings

WEIGHT_STEPS = 255
"""A vote of weight 1 counts as often."""

_LAB_STEPS = np.array([2.55, 1.0, 1.0], np.float32)
_LAB_SHIFT = np.array([0.0, 128.0, 128.0], np.float32)
_FEW = 1e-6
_MOST_CELLS = 64
"""Along rows and columns: bodies that are small in their image have no finer ones."""


@dataclass(frozen=True)
class Lattice:
    """Nodes at multiples of a step from the first corner of a box around the body."""

    origin: tuple[int, int]
    """Voxel (y, x) of the first nodes; those along z begin with the first slice."""

    step: tuple[float, float, float]
    """In voxels along (z, y, x)."""

    shape: tuple[int, int, int, int]
    """Nodes along (z, y, x, contrast)."""

    cell_px: float
    """Pixels of the working grids of all slices of a cell."""

    @staticmethod
    def over(
        depth: int,
        spacing_mm: tuple[float, float, float],
        statistics: ScanStatistics,
        settings: ModelSettings,
    ) -> Lattice:
        """Lay nodes over a body, as far apart as it is large; what lies outside counts as the rim.

        Args:
            depth: Slices.
            spacing_mm: Of voxels along (z, y, x).
            statistics: Of the scan.
            settings: Distances of nodes.
        """
        box, unit = statistics.box, statistics.working_px
        rows, cols = (
            max(settings.cell_px * pixel, size / _MOST_CELLS)
            for pixel, size in zip(unit, box.shape, strict=True)
        )
        along = max(settings.cell_depth_px * unit[0] * spacing_mm[1] / spacing_mm[0], 1.0)
        sizes = zip((depth, *box.shape), (along, rows, cols), strict=True)
        z, y, x = (math.ceil((size - 1) / step) + 1 for size, step in sizes)
        cell_px = (rows / unit[0]) * (cols / unit[1]) * along
        return Lattice(
            (box.row_start, box.col_start),
            (along, rows, cols),
            (z, y, x, settings.contrast_levels),
            cell_px,
        )

    def layer(self, z: int) -> int:
        """Return the layer that a slice's votes are added to."""
        return min(int(z / self.step[0] + 0.5), self.shape[0] - 1)

    def places(
        self, box: Box, shape: Sequence[int], device: torch.device
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, " col"]]:
        """Return where the pixels of an image of `box` lie, in nodes along rows and columns."""
        places = []
        for axis, (start, size) in enumerate(
            zip((box.row_start, box.col_start), box.shape, strict=True)
        ):
            count = shape[axis]
            voxel = start + (torch.arange(count, device=device) + 0.5) * (size / count) - 0.5
            places.append((voxel - self.origin[axis]) / self.step[1 + axis])
        return places[0], places[1]


def splat(
    lattice: Lattice,
    box: Box,
    contrast: Float[Tensor, "row col"],
    lab: Float[Tensor, "vote 3 row col"],
    weight: Float[Tensor, "vote row col"],
) -> Int[Tensor, "4 y x contrast"]:
    """Add up the votes of a slice: weight, and weight times each channel of Lab, in whole steps.

    Each goes to the nearest node of the place and is shared by two of the contrast.

    Args:
        lattice: Where.
        box: Of the image in the slice.
        contrast: 0..1.
        lab: CIE Lab of each photograph's vote.
        weight: 0..1 of each.
    """
    _, rows, cols, levels = lattice.shape
    row, col = lattice.places(box, contrast.shape, contrast.device)
    row_node = (row + 0.5).floor().long().clamp(0, rows - 1)[:, None]
    col_node = (col + 0.5).floor().long().clamp(0, cols - 1)
    place = contrast.clamp(0, 1) * (levels - 1)
    below = place.floor().clamp(max=levels - 2)
    node = (row_node * cols + col_node) * levels + below.long()
    counted = (weight.clamp(0, 1) * WEIGHT_STEPS).round()
    used = counted.sum(0) > 0
    node, part, counted = node[used], (place - below)[used], counted[:, used]
    upper = (counted * part).round()
    shift, steps = (
        torch.from_numpy(one)[None, :, None].to(lab.device) for one in (_LAB_SHIFT, _LAB_STEPS)
    )
    whole = ((lab[:, :, used] + shift) * steps).round().clamp(0, 255)
    size = rows * cols * levels
    total = torch.zeros(4, size, dtype=torch.float64, device=lab.device)
    for share, offset in ((counted - upper, 0), (upper, 1)):
        shares = torch.cat([share.sum(0)[None], (share[:, None] * whole).sum(0)]).double()
        for channel, values in enumerate(shares):
            total[channel] += torch.bincount(node + offset, values, minlength=size)
    return total.long().view(4, rows, cols, levels)


def mean_lab(
    sums: Float[Tensor, "4 z y x contrast"],
) -> tuple[Float[Tensor, "3 z y x contrast"], Float[Tensor, "z y x contrast"]]:
    """Return the mean colour of sums of votes in Lab, and their weight in votes."""
    weight = sums[0] / WEIGHT_STEPS
    whole = sums[1:] / sums[:1].clamp(min=_FEW)
    shape = (3,) + (1,) * weight.dim()
    shift, steps = (
        torch.from_numpy(one).view(shape).to(sums.device) for one in (_LAB_SHIFT, _LAB_STEPS)
    )
    return whole / steps - shift, weight
