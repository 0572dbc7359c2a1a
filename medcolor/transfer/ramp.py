"""A step without edges."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def smooth_ramp(
    values: Float[np.ndarray, "*grid"], low: float, high: float
) -> Float[np.ndarray, "*grid"]:
    """Return 0 up to `low`, 1 from `high` on, smooth between; 1 everywhere if they are equal."""
    if high <= low:
        return np.ones_like(values)
    part = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(part**2 * (3 - 2 * part), np.float32)
