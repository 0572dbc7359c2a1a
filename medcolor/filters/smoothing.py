"""One face for the edge-preserving filters of the paper: fgs(image, guide) and its rivals.

All are linear in the image, so each can trust some pixels more than others:
f(weight * image) / f(weight). A smoother is built once for a guide and applied to several images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float

from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.settings import Settings

Image = Float[np.ndarray, "row col channel"]
Smoother = Callable[[Image], Image]

FilterName = Literal["fgs", "guided", "domain-nc", "domain-ic", "domain-rf", "wls"]

_DOMAIN_MODES = {"domain-nc": 0, "domain-ic": 1, "domain-rf": 2}
"""OpenCV's numbers: its ximgproc is not everywhere where this module is imported."""

_LEAST_TOTAL = 1e-6


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


def make_smoother(
    guide: Float[np.ndarray, "row col"],
    settings: SmoothingSettings,
    scale: float = 1.0,
    device: torch.device | None = None,
) -> Smoother:
    """Return a filter along the edges of `guide`, for images of at most four channels.

    Args:
        guide: Luminance 0..1; quantised to 8 bits for all but `wls`.
        settings: Which filter, and its parameters on the working grid.
        scale: Pixels of this grid for one of the working grid.
        device: Where `fgs` is computed; OpenCV does on CPUs.
    """
    if settings.filter == "wls":
        from medcolor.filters.weighted_least_squares import factorize  # SciPy: not on GPU machines

        return factorize(guide, settings.wls_smoothness * scale**2, settings.wls_exponent)
    levels = np.clip(np.rint(guide * 255), 0, 255).astype(np.uint8)
    if settings.filter == "fgs":
        smoothness, sigma = settings.smoothness * scale**2, settings.guide_sigma
        if device is not None and device.type != "cpu":
            return _on_device(levels, smoothness, sigma, device)
        if smoothness == 0:
            return lambda image: image
        return _applied(cv2.ximgproc.createFastGlobalSmootherFilter(levels, smoothness, sigma))
    if settings.filter == "guided":
        radius = max(1, round(settings.radius_px * scale))
        return _applied(cv2.ximgproc.createGuidedFilter(levels, radius, settings.epsilon))
    spatial, mode = settings.spatial_sigma_px * scale, _DOMAIN_MODES[settings.filter]
    return _applied(cv2.ximgproc.createDTFilter(levels, spatial, settings.range_sigma, mode=mode))


@runtime_checkable
class _OpenCVFilter(Protocol):
    def filter(self, src: np.ndarray) -> object:
        """Filter an image."""


def _applied(filter_: _OpenCVFilter) -> Smoother:
    def smooth(image: Image) -> Image:
        filtered = filter_.filter(np.ascontiguousarray(image, np.float32))
        return np.asarray(filtered, np.float32).reshape(image.shape)

    return smooth


def _on_device(
    levels: np.ndarray, smoothness: float, sigma: float, device: torch.device
) -> Smoother:
    guide = torch.from_numpy(levels).to(device)[None].float()

    def smooth(image: Image) -> Image:
        moved = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None]
        smoothed = smooth_batch(moved.float(), guide, smoothness, sigma)
        return smoothed[0].permute(1, 2, 0).cpu().numpy()

    return smooth


def smooth_weighted(
    smoother: Smoother, image: Image, weight: Float[np.ndarray, "row col"]
) -> Float[np.ndarray, "row col channel"]:
    """Smooth `image`, trusting each pixel by its `weight`.

        u = f(weight * image) / f(weight)

    With a weight of one everywhere this is the plain filter. Pixels of weight zero
    are filled in from their surroundings; where the weight vanishes all around,
    the result is zero.

    Args:
        smoother: Of `make_smoother`.
        image: At most three channels, any unit; the result keeps it.
        weight: 0 (unknown) .. 1 (trusted).
    """
    stacked = np.concatenate([image * weight[..., None], weight[..., None]], axis=-1)
    stacked = smoother(stacked.astype(np.float32))
    total = stacked[..., -1:]
    smoothed = stacked[..., :-1] / np.maximum(total, _LEAST_TOTAL)
    return np.where(total > _LEAST_TOTAL, smoothed, 0).astype(np.float32)
