"""Settings of smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.settings import Settings

FilterName = Literal["fgs", "guided", "domain-nc", "domain-ic", "domain-rf", "wls"]


@dataclass(frozen=True, kw_only=True)
class SmoothingSettings(Settings):
    """The edge-preserving filter of equation 1. Grey levels of the guide count 0..255."""

    filter: FilterName = "fgs"
    """fgs: fast global smoother (Min et al. 2014). guided: guided filter (He et al. 2013).
    domain-nc, -ic, -rf: domain transform (Gastal and Oliveira 2011) by normalised convolution,
    interpolated convolution, recursion. wls: weighted least squares (Farbman et al. 2008), slow."""

    smoothness: float = 32.0
    """fgs: lambda >= 0, weight of the smoothness term on the working
    grid of features.working_size_px; finer grids use it times the squared ratio of
    pixel sizes, so that the same tissue is smoothed alike. 0 smooths nothing."""

    guide_sigma: float = 200.0
    """fgs: grey-level step of the guide across which smoothing falls to 1/e; 200 is nearly blind
    to edges."""

    radius_px: int = 16
    """guided: half side of the window, in working pixels (the paper: 16)."""

    epsilon: float = 2.0
    """guided: variance of the guide, in squared grey levels, below which it is taken for flat
    (the paper: 2)."""

    spatial_sigma_px: float = 8.0
    """domain: standard deviation in working pixels (the paper: 8)."""

    range_sigma: float = 200.0
    """domain: standard deviation in grey levels of the guide (the paper: 200)."""

    wls_smoothness: float = 0.2
    """wls: lambda >= 0 on the working grid, scaled as `smoothness` is (the paper: 0.2)."""

    wls_exponent: float = 1.8
    """wls: alpha, sensitivity to steps of the guide's log-luminance (the paper: 1.8)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if min(self.smoothness, self.wls_smoothness) < 0:
            raise ValueError("smoothness and wls_smoothness must be >= 0")
        if min(self.guide_sigma, self.spatial_sigma_px, self.range_sigma) <= 0:
            raise ValueError("guide_sigma, spatial_sigma_px and range_sigma must be > 0")
        if self.radius_px < 1 or self.epsilon <= 0 or self.wls_exponent <= 0:
            raise ValueError("radius_px must be >= 1, epsilon and wls_exponent > 0")


PAPER_FIGURE_6 = {
    "guided": SmoothingSettings(filter="guided", radius_px=16, epsilon=2.0),
    "domain-nc": SmoothingSettings(filter="domain-nc", spatial_sigma_px=8.0, range_sigma=200.0),
    "wls": SmoothingSettings(filter="wls", wls_smoothness=0.2, wls_exponent=1.8),
    "fgs": SmoothingSettings(filter="fgs", smoothness=32.0, guide_sigma=200.0),
}
"""The filters of the paper's figure 6 with its numbers, read as grey levels 0..255."""
