"""Opacity of each voxel: straight alpha, 0 outside the body.

The paper takes the scan's luminance. A renderer multiplies this alpha with its own opacity
settings; colours are not multiplied by it.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medcolor.transfer.ramp import smooth_ramp
from medcolor.transfer.settings import OpacitySettings


def opacity(
    luminance: Float[np.ndarray, "row col"],
    body: Bool[np.ndarray, "row col"],
    settings: OpacitySettings,
) -> Float[np.ndarray, "row col"]:
    """Return alpha, 0..1, of a slice of display grey 0..1."""
    alpha = np.ones_like(luminance) if settings.base == "body" else luminance
    alpha = alpha * smooth_ramp(luminance, *settings.window)
    if settings.gradient:
        steps = (cv2.Sobel(luminance, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
        border = np.minimum(np.hypot(*steps) / settings.full_gradient, 1)
        alpha = np.asarray(alpha * (1 - settings.gradient * (1 - border)))
    return np.asarray(np.where(body, alpha, 0), np.float32)
