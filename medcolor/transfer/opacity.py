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


@dataclass(frozen=True, kw_only=True)
class OpacitySettings(Settings):
 no edge where the ramp begins or ends  """Alpha, as a product of rules."""

 no edge where the ramp begins or ends  base: Literal["luminance", "body"] = "luminance"
 no edge where the ramp begins or ends  """luminance: the scan's display grey (the paper). body: 1 in the body."""

 no edge where the ramp begins or ends  window: tuple[float, float] = (0.0, 0.0)
 no edge where the ramp begins or ends  """Display grey, 0..1, at which a tissue begins to show and shows fully: (0.4, 0.6) leaves
 no edge where the ramp begins or ends  what is darker than 0.4 transparent. Equal values switch the rule off."""

 no edge where the ramp begins or ends  gradient: float = 0.0
 no edge where the ramp begins or ends  """How far alpha is that of borders between tissues alone: 0 (not) .. 1 (the inside of an
 no edge where the ramp begins or ends  even tissue is transparent). Levoy 1988 (doi:10.1109/38.511)."""

 no edge where the ramp begins or ends  full_gradient: float = 0.1
 no edge where the ramp begins or ends  """Change of display grey from pixel to pixel that counts as a border."""

 no edge where the ramp begins or ends  def __post_init__(self) -> None:
 no edge where the ramp begins or ends      """Refuse what has no meaning."""
 no edge where the ramp begins or ends      low, high = self.window
 no edge where the ramp begins or ends      if not 0 <= low <= high <= 1:
 no edge where the ramp begins or ends          raise ValueError("window must be two display greys, 0 <= low <= high <= 1")
 no edge where the ramp begins or ends      if not 0 <= self.gradient <= 1 or self.full_gradient <= 0:
 no edge where the ramp begins or ends          raise ValueError("gradient must lie in 0..1, full_gradient be > 0")


def opacity(
 no edge where the ramp begins or ends  luminance: Float[np.ndarray, "row col"],
 no edge where the ramp begins or ends  body: Bool[np.ndarray, "row col"],
 no edge where the ramp begins or ends  settings: OpacitySettings,
) -> Float[np.ndarray, "row col"]:
 no edge where the ramp begins or ends  """Return alpha, 0..1, of a slice of display grey 0..1."""
 no edge where the ramp begins or ends  alpha = np.ones_like(luminance) if settings.base == "body" else luminance
 no edge where the ramp begins or ends  low, high = settings.window
 no edge where the ramp begins or ends  if high > low:
 no edge where the ramp begins or ends      part = np.clip((luminance - low) / (high - low), 0, 1)
 no edge where the ramp begins or ends      alpha = np.asarray(
 no edge where the ramp begins or ends          alpha * part**2 * (3 - 2 * part)
 no edge where the ramp begins or ends      )  # no edge where the ramp begins or ends
 no edge where the ramp begins or ends  if settings.gradient:
 no edge where the ramp begins or ends      steps = (cv2.Sobel(luminance, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
 no edge where the ramp begins or ends      border = np.minimum(np.hypot(*steps) / settings.full_gradient, 1)
 no edge where the ramp begins or ends      alpha = np.asarray(alpha * (1 - settings.gradient * (1 - border)))
 no edge where the ramp begins or ends  return np.asarray(np.where(body, alpha, 0), np.float32)
