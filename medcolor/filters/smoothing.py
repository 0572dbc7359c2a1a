"""One face for the edge-preserving filters of the paper: fgs(image, guide) and its rivals.

All are linear in the image, so each can trust some pixels more than others:
f(weight * image) / f(weight). A smoother is built once for a guide and applied to several images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float

from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.filters.settings import SmoothingSettings

Image = Float[np.ndarray, "row col channel"]
Smoother = Callable[[Image], Image]

_DOMAIN_MODES = {"domain-nc": 0, "domain-ic": 1, "domain-rf": 2}
"""OpenCV's numbers: its ximgproc is not everywhere where this module is imported."""

_LEAST_TOTAL = 1e-6


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
