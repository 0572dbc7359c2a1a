"""What votes of one grey level in one neighbourhood agree on: a transfer function for every place.

Single matches err; all matches of one grey level in one neighbourhood err less, and where
the scan is flat they are all there is. The votes are averaged in a bilateral grid (Chen,
Paris, Durand 2007, doi:10.1145/1276377.1276506), again and again with less weight for those
that disagree with the last average (Welsch's estimator), so that wrong matches do not pull it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from medcolor.filters.settings import PoolingSettings

_LEAST_MASS = 1e-9


@torch.inference_mode()
def pool_votes(
    lab: Float[np.ndarray, "row col 3"],
    grey: Float[np.ndarray, "row col"],
    weight: Float[np.ndarray, "row col"],
    settings: PoolingSettings,
) -> Float[np.ndarray, "row col 3"]:
    """Move colours toward what pixels near in place and alike in grey level agree on.

    Args:
        lab: Votes, CIE Lab.
        grey: 0..1, of the scan.
        weight: >= 0, trust in each vote; pixels of weight zero are not heard.
        settings: `spread` is not used here.
    """
    if not weight.any() or (settings.share == 0 and settings.fallback_below == 0):
        return lab
    grid = _BilateralGrid(torch.from_numpy(grey), settings.cell_px, settings.levels)
    votes, trust = torch.from_numpy(lab).permute(2, 0, 1), torch.from_numpy(weight)
    mean = grid.mean(votes, trust)
    for _ in range(settings.rounds):
        distance = (votes - mean).square().sum(0)
        mean = grid.mean(votes, trust * torch.exp(-distance / (2 * settings.tolerance**2)))
    share = torch.full_like(trust, settings.share)
    if settings.fallback_below:
        doubt = (1 - trust / settings.fallback_below).clamp(min=0)
        share = share + (1 - share) * doubt
    return (votes + share * (mean - votes)).permute(1, 2, 0).numpy()


class _BilateralGrid:
    """Cells along rows, columns and grey levels of one slice."""

    def __init__(self, grey: Float[Tensor, "row col"], cell_px: int, levels: int) -> None:
        """Find the place of every pixel in the grid."""
        rows, cols = grey.shape
        row = (torch.arange(rows) / cell_px)[:, None].expand(rows, cols)
        col = (torch.arange(cols) / cell_px)[None, :].expand(rows, cols)
        place = torch.stack([row, col, grey.clamp(0, 1) * (levels - 1)])
        self._shape = round((rows - 1) / cell_px) + 1, round((cols - 1) / cell_px) + 1, levels
        last = torch.tensor(self._shape)[:, None, None] - 1
        nearest = torch.minimum(place.round().long(), last)
        self._cell = (
            (nearest[0] * self._shape[1] + nearest[1]) * self._shape[2] + nearest[2]
        ).flatten()
        # grid_sample wants (x, y, z) in -1..1 from the first cell's centre to the last's.
        self._place = (2 * place / last.clamp(min=1) - 1).flip(0).permute(1, 2, 0)[None, None]

    def mean(
        self, values: Float[Tensor, "channel row col"], weight: Float[Tensor, "row col"]
    ) -> Float[Tensor, "channel row col"]:
        """Return the weighted mean around every pixel; its own value where nobody is heard."""
        carried = torch.cat([values * weight, weight[None]]).flatten(1)
        cells = torch.zeros(len(carried), math.prod(self._shape))
        cells.index_add_(1, self._cell, carried)
        blurred = _blur(cells.view(-1, 1, *self._shape))
        read = F.grid_sample(
            blurred.transpose(0, 1), self._place, padding_mode="border", align_corners=True
        )[0, :, 0]
        mass = read[-1:]
        return torch.where(mass > _LEAST_MASS, read[:-1] / mass.clamp(min=_LEAST_MASS), values)


def _blur(
    cells: Float[Tensor, "channel 1 row col level"],
) -> Float[Tensor, "channel 1 row col level"]:
    """Blur by a Gaussian of one cell along rows and columns, by 1-2-1 along levels."""
    gauss = torch.exp(-0.5 * torch.arange(-3.0, 4.0).square())
    level = torch.tensor([1.0, 2.0, 1.0])
    for axis, kernel in ((2, gauss), (3, gauss), (4, level)):
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[axis], padding[axis - 2] = len(kernel), len(kernel) // 2
        cells = F.conv3d(cells, (kernel / kernel.sum()).view(shape), padding=padding)
    return cells
