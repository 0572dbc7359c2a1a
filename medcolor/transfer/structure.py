"""The model's colours on the scan's own structure.

Equation 1 of the paper is S(T') - S(T) + T: what a smoother S leaves of the colours, and the
scan's detail. With the fast global smoother as S and the scan's lightness as T that takes the
photographs' lightness away and veils what borders the smoother does not see. Here S asks what is
explained instead of what is near: of T' is kept what a local linear function of the scan explains,
so that nothing is invented; and of T is added what a local linear function of the colours does not
explain, so that nothing is lost: a border between two tissues of one colour, say.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor.filters.local_regression import explain_locally
from medcolor.transfer.scan import ScanStatistics, basis
from medcolor.transfer.settings import TransferSettings

_COLOR_RIDGE = 1.0
"""Variance of L*, a*, b* in a window below which colours explain nothing of the scan."""

_BASIS_RIDGE = 5e-4
"""The same of functions of the contrast."""

_LIGHTNESS = 50.0
"""Of the scan's detail, in L*: that much for the range of most tissue, and for the whole range."""


@torch.no_grad()
def on_structure(
    colors: Float[Tensor, "3 row col"],
    contrast: Float[Tensor, "row col"],
    body: Bool[Tensor, "row col"],
    statistics: ScanStatistics,
    settings: TransferSettings,
) -> Float[Tensor, "3 row col"]:
    """Return CIE Lab: colours without structure of their own, with all of the scan's.

    Args:
        colors: Of the model, CIE Lab.
        contrast: Of the scan, freed of noise.
        body: Where there is anything.
        statistics: Of the scan: its basis.
        settings: Radii and gains.
    """
    guides = basis(contrast, statistics)
    pixel = statistics.pixel
    shorter = statistics.working_px[1] * pixel[1]  # sides of a pixel of the working grid
    radius = settings.structure_radius_px * shorter
    explained = explain_locally(colors * body, guides * body, body, radius, _BASIS_RIDGE, pixel)
    lightness = _LIGHTNESS * (guides[0] + guides[2]) * body
    radius = settings.detail_radius_px * shorter
    shown = explain_locally(lightness[None], explained, body, radius, _COLOR_RIDGE, pixel)[0]
    missing = settings.detail_gain * (lightness - shown) * body
    limit = settings.detail_limit
    explained[0] += limit * torch.tanh(missing / limit)
    return explained
