"""Settings of smoothing and pooling."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    smoothness: float = 60.0
    """fgs: lambda >= 0 (the paper: 32), weight of the smoothness term on the working
    grid of features.working_size_px; finer grids use it times the squared ratio of
    pixel sizes, so that the same tissue is smoothed alike. 0 smooths nothing."""

    guide_sigma: float = 5.0
    """fgs: grey-level step of the guide across which smoothing falls to 1/e
    (the paper: 200, which is nearly blind to edges)."""

    luminance_sigma: float = 40.0
    """fgs: the same for the luminance (the paper: 200). Wide, so that the scan's own edges stay:
    what moves to the reference's is the brightness of whole regions."""

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
        if (
            min(self.guide_sigma, self.luminance_sigma, self.spatial_sigma_px, self.range_sigma)
            <= 0
        ):
            raise ValueError("guide_sigma, luminance_sigma, spatial and range_sigma must be > 0")
        if self.radius_px < 1 or self.epsilon <= 0 or self.wls_exponent <= 0:
            raise ValueError("radius_px must be >= 1, epsilon and wls_exponent > 0")

    @property
    def of_luminance(self) -> SmoothingSettings:
        """The filter of the luminance; the same unless it is `fgs`."""
        return replace(self, guide_sigma=self.luminance_sigma) if self.filter == "fgs" else self


PAPER_FIGURE_6 = {
    "guided": SmoothingSettings(filter="guided", radius_px=16, epsilon=2.0),
    "domain-nc": SmoothingSettings(filter="domain-nc", spatial_sigma_px=8.0, range_sigma=200.0),
    "wls": SmoothingSettings(filter="wls", wls_smoothness=0.2, wls_exponent=1.8),
    "fgs": SmoothingSettings(
        filter="fgs", smoothness=32.0, guide_sigma=200.0, luminance_sigma=200.0
    ),
}
"""The filters of the paper's figure 6 with its numbers, read as grey levels 0..255."""


@dataclass(frozen=True, kw_only=True)
class PoolingSettings(Settings):
    """Pooling of votes by place and grey level."""

    share: float = 0.4
    """How far a pixel's colour moves to what its grey level got around it: 0 (every pixel
    on its own) .. 1 (a transfer function for every place). The paper has neither this
    nor `spread`: 0 for both."""

    fallback_below: float = 0.0
    """Trust, 0..1, below which a vote yields to the pooled colour, wholly at 0: there the grey
    level and the neighbourhood may know more than the match. 0 lets none yield by trust."""

    cell_px: int = 32
    """Standard deviation of a neighbourhood, in working pixels."""

    levels: int = 40
    """Grey levels told apart; each reaches into its neighbours. At least 2."""

    tolerance: float = 7.0
    """Distance in CIE Lab from the average at which a vote's weight has fallen to 0.61."""

    rounds: int = 5
    """Averages after the first, each with the weights of the last; 0 takes the plain mean."""

    spread: float = 0.5
    """How far the standard deviations of L*, a* and b* over the slice are brought back
    to those of the single matches, which averaging narrows: 0 (not) .. 1 (fully)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 <= self.share <= 1 or not 0 <= self.spread <= 1:
            raise ValueError("share and spread must lie in 0..1")
        if not 0 <= self.fallback_below <= 1:
            raise ValueError("fallback_below must lie in 0..1")
        if self.cell_px < 1 or self.levels < 2 or self.rounds < 0 or self.tolerance <= 0:
            raise ValueError("cell_px >= 1, levels >= 2, rounds >= 0 and tolerance > 0 are needed")
