"""The colours of a whole body: a curve from the scan's contrast to colour at every place.

All votes of all slices take part. From wide neighbourhoods to narrow: the mean colour of each
contrast over a wide neighbourhood, corrected by a narrower one as far as that has votes, then in
the narrowest by a local linear function of a few functions of the contrast (`scan.basis`). A
combination that nobody has seen falls back to the wider neighbourhood.

What is summed up, and how votes that went astray lose their weight, is in `transfer.ballot`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.domain import Box
from medcolor.transfer.lattice import Lattice, mean_lab
from medcolor.transfer.scan import BASIS, ScanStatistics, basis, displayed_lightness
from medcolor.transfer.settings import ModelSettings

_FEW = 1e-6
_LAYERS_AT_ONCE = 16
_LOCAL_SHARE = 0.5
"""Of the correction in the narrowest neighbourhood in what is stretched: there few votes may point
the wrong way, and what is stretched that way runs away."""


@dataclass(frozen=True)
class ColorModel:
    """Colour as a function of place and contrast."""

    lattice: Lattice
    curve: Float16[Tensor, "z 3 contrast y x"]
    """CIE Lab at every node."""

    lightness_error: float
    """Root mean square distance of its lightness from that of the scan as displayed, over all
    votes, in L*. Small where the scan shows what photographs show, as a gray photograph does."""

    def to(self, device: torch.device) -> ColorModel:
        """Return the same on a device."""
        return replace(self, curve=self.curve.to(device))

    def read(
        self, z: int, box: Box, contrast: Float[Tensor, "row col"]
    ) -> Float[Tensor, "3 row col"]:
        """Return the colour of every pixel of an image of `box` in slice `z`, Lab."""
        return _interpolate(self._layer(self.curve, z), self.lattice, box, contrast)

    def _layer(self, nodes: Float16[Tensor, "z 3 *rest"], z: int) -> Float[Tensor, "3 ..."]:
        """Interpolate between the layers on both sides of a slice."""
        place = min(z / self.lattice.step[0], len(nodes) - 1)
        below = min(int(place), max(len(nodes) - 2, 0))
        part = place - below
        if part == 0:
            return nodes[below].float()
        return nodes[below].float() * (1 - part) + nodes[below + 1].float() * part


def _interpolate(
    layer: Float[Tensor, "3 contrast y x"],
    lattice: Lattice,
    box: Box,
    contrast: Float[Tensor, "row col"],
) -> Float[Tensor, "3 row col"]:
    """Interpolate linearly between nodes of one layer."""
    row, col = lattice.places(box, contrast.shape, contrast.device)
    # grid_sample wants (x, y, z) in -1..1 from the first node to the last.
    wanted = [
        (2 * col / max(layer.shape[3] - 1, 1) - 1).expand_as(contrast),
        (2 * row / max(layer.shape[2] - 1, 1) - 1)[:, None].expand_as(contrast),
        2 * contrast.clamp(0, 1) - 1,
    ]
    grid = torch.stack(wanted, -1)[None, None]
    sampled = F.grid_sample(layer[None], grid, padding_mode="border", align_corners=True)
    return sampled[0, :, 0]


@torch.no_grad()
def fit_model(
    sums: Int[Tensor, "4 z y x contrast"],
    lattice: Lattice,
    statistics: ScanStatistics,
    settings: ModelSettings,
    *,
    is_draft: bool = False,
) -> ColorModel:
    """Fit the model to the sums of all votes.

    Of a whole body they are large. Beside them there are one smoothed copy in float32 and the
    curves; all else is done for one channel or a few layers at a time.

    Args:
        sums: Of `lattice.splat`, by layer.
        lattice: Their nodes.
        statistics: Of the scan: its basis.
        settings: How much must be known to be believed.
        is_draft: Whether votes are to be judged by it: its contrast is stretched.
    """
    stretch = settings.stretch if is_draft else 1.0
    total = sums.sum((1, 2, 3), keepdim=True).float()
    curve, _ = mean_lab(total)  # of the whole body
    whole, _ = mean_lab(total.sum(4, keepdim=True))
    weight_all = total[0].sum()
    curve = torch.where(total[:1] > 1e-4 * weight_all, curve, whole)
    curve, mean = curve.expand(3, *lattice.shape).clone(), whole
    for widths in settings.widths_cells:
        blurred = _blur(sums, (*widths, settings.contrast_blur))
        cell = lattice.cell_px * _volume(widths)
        for some in _layers(lattice):
            own, weight = mean_lab(blurred[:, some])
            curve[:, some] = _toward(curve[:, some], own, weight, settings.wide_doubt * cell)
        marginal, mass = mean_lab(blurred.sum(4, keepdim=True))
        mean = _toward(mean, marginal, mass, settings.mean_doubt * cell)
        del blurred  # before there is another
    blurred = _blur(sums, (*settings.narrow_cells, 0.0))
    mean = mean.expand(3, *lattice.shape[:3], 1)
    for some in _layers(lattice):
        here = curve[:, some]
        local = _local_correction(blurred[:, some], here, lattice, statistics, settings)
        moved = (stretch - 1) * (here + _LOCAL_SHARE * local - mean[:, some])
        curve[:, some] = here + moved + local
    del blurred
    error = _lightness_error(sums, curve, lattice, statistics)
    return ColorModel(lattice, curve.permute(1, 0, 4, 2, 3).half().contiguous(), error)


def _lightness_error(
    sums: Int[Tensor, "4 z y x contrast"],
    curve: Float[Tensor, "3 z y x contrast"],
    lattice: Lattice,
    statistics: ScanStatistics,
) -> float:
    """Return the root mean square distance in L* between curves and the displayed scan."""
    axis = torch.linspace(0, 1, sums.shape[4], device=sums.device)
    shown, total = displayed_lightness(axis, statistics), 0.0
    for some in _layers(lattice):
        missed = curve[0, some] - shown
        total += float((sums[0, some].double() * missed.square()).sum())
    return math.sqrt(total / max(float(sums[0].sum()), _FEW))


def _toward(
    prior: Float[Tensor, "3 _z _y _x contrast"],
    own: Float[Tensor, "3 z y x contrast"],
    weight: Float[Tensor, "z y x contrast"],
    doubt: float,
) -> Float[Tensor, "3 z y x contrast"]:
    """Move a prior toward what votes say, half way where their weight is `doubt`."""
    return prior + weight / (weight + doubt) * (own - prior)


def _local_correction(
    blurred: Float[Tensor, "4 z y x contrast"],
    curve: Float[Tensor, "3 z y x contrast"],
    lattice: Lattice,
    statistics: ScanStatistics,
    settings: ModelSettings,
) -> Float[Tensor, "3 z y x contrast"]:
    """Fit what the curve leaves by a linear function of the basis, in every cell."""
    own, weight = mean_lab(blurred)
    axis = torch.linspace(0, 1, lattice.shape[3], device=blurred.device)
    functions = torch.cat([basis(axis, statistics), torch.ones_like(axis)[None]])
    doubt = settings.narrow_doubt * lattice.cell_px * _volume(settings.narrow_cells)
    products = torch.einsum("zyxv,iv,jv->zyxij", weight, functions, functions)
    products = products + doubt * torch.eye(BASIS + 1, device=blurred.device)
    wanted = torch.einsum("zyxv,iv,czyxv->zyxic", weight, functions, own - curve)
    slopes = torch.linalg.solve(products, wanted)
    return torch.einsum("zyxic,iv->czyxv", slopes, functions)


def _volume(widths: tuple[float, ...]) -> float:
    """Return the cells that a Gaussian window of these standard deviations holds, about."""
    return float(torch.tensor([max(1.0, 2.5 * width) for width in widths]).prod())


def _layers(lattice: Lattice) -> Iterator[slice]:
    """Yield some layers of a lattice after the others."""
    for first in range(0, lattice.shape[0], _LAYERS_AT_ONCE):
        yield slice(first, first + _LAYERS_AT_ONCE)


def _blur(
    sums: Int[Tensor, "channel z y x contrast"], widths: tuple[float, ...]
) -> Float[Tensor, "channel z y x contrast"]:
    """Add up what Gaussian windows see: weights are 1 at their centre, not at their sum."""
    blurred = torch.empty(sums.shape, dtype=torch.float32, device=sums.device)
    for channel, plane in enumerate(sums):
        seen = plane.float()
        for axis, width in enumerate(widths):
            if width > 0 and seen.shape[axis] > 1:
                node = torch.arange(seen.shape[axis], dtype=torch.float32, device=sums.device)
                window = torch.exp(-0.5 * ((node[:, None] - node) / width) ** 2)
                seen = torch.tensordot(window, seen, ([1], [axis])).movedim(0, axis)
        blurred[channel] = seen
    return blurred
