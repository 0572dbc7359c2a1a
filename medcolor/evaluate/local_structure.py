"""Whose structure the colours show: the scan's, or one of their own.

Both are shares of local variance, asked of local linear functions: what is brighter in a scan may
be darker in a photograph, and three tissues side by side may have any three colours. The body's
outline counts: there colours end, and so does what the scan shows. One flat colour keeps 0.15 of a
head at 1 mm.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, uniform_filter

Image = Float[np.ndarray, "row col"]
Lab = Float[np.ndarray, "row col 3"]
Mask = Bool[np.ndarray, "row col"]

SOFT_HU = (-150.0, 150.0)
"""The range in which most tissues lie."""

_BONE_HU = 1000.0
_BLUR_PX = 1.2
_RADIUS_PX = 7
_RIM_PX = 5
_LEAST_SHARE = 1e-3
_RIDGE = 1e-3


class LocalStructure:
    """Sums over slices of how far scan and colours explain each other."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept, self._explained = np.zeros(2), np.zeros(2)

    def add(self, colors: Lab, scan: Image, body: Mask) -> None:
        """Add a slice.

        Args:
            colors: CIE Lab.
            scan: HU, or other values brought to -150..150.
            body: Pixels that count.
        """
        soft, whole = (_blurred(np.clip(scan, SOFT_HU[0], top)) for top in (SOFT_HU[1], _BONE_HU))
        shown = [_blurred(channel) for channel in np.moveaxis(colors * body[..., None], -1, 0)]
        self._kept += explained_variance(soft, shown, body)
        guides = [soft, soft * soft / SOFT_HU[1], whole]
        for channel in shown:
            self._explained += explained_variance(channel, guides, body)

    @property
    def kept(self) -> float:
        """Share of the scan's local variance that the colours show; NaN without any."""
        return _share(self._kept)

    @property
    def invented(self) -> float:
        """Share of the colours' local variance that the scan does not explain; NaN without any."""
        return 1 - _share(self._explained)


def explained_variance(
    image: Image, guides: list[Image], mask: Mask, radius_px: int = _RADIUS_PX
) -> tuple[float, float]:
    """Return the local variance of an image that linear functions of guides explain, and all of it.

    In the square window around every pixel the image is fitted by least squares, with a ridge of
    a thousandth of the guides' mean variance. Both are sums over the pixels of the mask two or
    more from its rim.

    Args:
        image: Any unit.
        guides: In units of the order of the image's.
        mask: Pixels that count in windows.
        radius_px: Half side of the windows.
    """
    side, counts = 2 * radius_px + 1, mask.astype(np.float64)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((_RIM_PX, _RIM_PX), np.uint8)) > 0
    share = np.maximum(uniform_filter(counts, side)[inner], _LEAST_SHARE)

    def mean(values: Image) -> Float[np.ndarray, " pixel"]:
        return np.asarray(uniform_filter(values * counts, side)[inner] / share)

    own, means = mean(image), [mean(guide) for guide in guides]
    with_image = np.stack(
        [mean(guide * image) - m * own for guide, m in zip(guides, means, strict=True)], -1
    )
    between = np.stack(
        [
            np.stack([mean(a * b) - m * n for b, n in zip(guides, means, strict=True)], -1)
            for a, m in zip(guides, means, strict=True)
        ],
        -2,
    )
    trace = np.trace(between, axis1=-2, axis2=-1)
    ridge = _RIDGE * (1 + trace / len(guides))
    slopes = np.linalg.solve(
        between + ridge[:, None, None] * np.eye(len(guides)), with_image[..., None]
    )[..., 0]
    variance = np.maximum(mean(image * image) - own * own, 0)
    return float(np.minimum((slopes * with_image).sum(-1), variance).sum()), float(variance.sum())


def _blurred(image: np.ndarray) -> Image:
    return np.asarray(gaussian_filter(image.astype(np.float64), _BLUR_PX))


def _share(sums: Float[np.ndarray, " part"]) -> float:
    return float(sums[0] / sums[1]) if sums[1] > 0 else float("nan")
