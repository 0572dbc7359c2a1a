"""Opacity of each voxel: straight alpha, 0 outside the body.

The paper takes the scan's luminance. A renderer multiplies this alpha with its own opacity
settings; colours are not multiplied by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medcolor.settings import Settings
from medcolor.transfer.ramp import smooth_ramp


@dataclass(frozen=True, kw_only=True)
class OpacitySettings(Settings):
    """Alpha, as a product of rules."""

    base: Literal["luminance", "body"] = "luminance"
    """luminance: the scan's display grey (the paper). body: 1 in the body."""

    window: tuple[float, float] = (0.0, 0.0)
    """Display grey, 0..1, at which a tissue begins to show and shows fully: (0.4, 0.6) leaves
    what is darker than 0.4 transparent. Equal values switch the rule off."""

    gradient: float = 0.0
    """How far alpha is that of borders between tissues alone: 0 (not) .. 1 (the inside of an
    even tissue is transparent). Levoy 1988 (doi:10.1109/38.511)."""

    full_gradient: float = 0.1
    """Change of display grey from pixel to pixel that counts as a border."""

    @property
    def is_luminance(self) -> bool:
        """Whether alpha is the scan's display grey alone."""
        return self.base == "luminance" and self.window[0] == self.window[1] and not self.gradient

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        low, high = self.window
        if not 0 <= low <= high <= 1:
            raise ValueError("window must be two display greys, 0 <= low <= high <= 1")
        if not 0 <= self.gradient <= 1 or self.full_gradient <= 0:
            raise ValueError("gradient must lie in 0..1, full_gradient be > 0")


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
