"""Fast global smoother, Min et al. 2014 (doi:10.1109/TIP.2014.2366600), by OpenCV.

OpenCV alternates exact one-dimensional solves along columns and rows, three
times, with lambda, lambda/4 and lambda/16. Its guide is 8 bit and sigma counts
in its grey levels, 0..255: the only reading in which the paper's sigma of 200
means anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class SmoothingSettings(Settings):
    """Fast global smoother, Min et al. 2014."""

    smoothness: float = 60.0
    """lambda >= 0 (the paper: 32), weight of the smoothness term on the working
    grid of features.working_size_px; finer grids use it times the squared ratio of
    pixel sizes, so that the same tissue is smoothed alike. 0 smooths nothing."""

    guide_sigma: float = 5.0
    """Grey-level step of the guide (0..255) across which smoothing falls to 1/e
    (the paper: 200, which is nearly blind to edges)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.smoothness < 0:
            raise ValueError("smoothness must be >= 0")
        if self.guide_sigma <= 0:
            raise ValueError("guide_sigma must be > 0")


def smooth_weighted(
    image: Float[np.ndarray, "row col channel"],
    guide: Float[np.ndarray, "row col"],
    weight: Float[np.ndarray, "row col"],
    *,
    smoothness: float,
    guide_sigma: float,
) -> Float[np.ndarray, "row col channel"]:
    """Smooth `image` except across edges of `guide`, trusting each pixel by its `weight`.

        u = fgs(weight * image, guide) / fgs(weight, guide)

    With a weight of one everywhere this is the plain filter. Pixels of weight zero
    are filled in from their surroundings; where the weight vanishes all around,
    the result is zero.

    Args:
        image: At most three channels, any unit; the result keeps it.
        guide: Luminance 0..1, quantised to 8 bits as OpenCV wants it.
        weight: 0 (unknown) .. 1 (trusted).
        smoothness: lambda >= 0 on this grid.
        guide_sigma: In grey levels 0..255.
    """
    guide_8bit = np.clip(np.rint(guide * 255), 0, 255).astype(np.uint8)
    stacked = np.concatenate([image * weight[..., None], weight[..., None]], axis=-1)
    if smoothness > 0:
        stacked = cv2.ximgproc.fastGlobalSmootherFilter(
            guide_8bit, stacked.astype(np.float32), lambda_=smoothness, sigma_color=guide_sigma
        )
    total = stacked[..., -1:]
    return np.where(total > 1e-6, stacked[..., :-1] / np.maximum(total, 1e-6), 0).astype(np.float32)
