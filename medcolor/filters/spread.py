"""Standard deviations of one image moved to those of another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def match_spread(
    image: Float[np.ndarray, "row col channel"],
    like: Float[np.ndarray, "row col channel"],
    weight: Float[np.ndarray, "row col"],
    strength: float,
    gains: tuple[float, float],
) -> Float[np.ndarray, "row col channel"]:
    """Scale each channel about its mean toward the standard deviation of another image.

    Args:
        image: Any unit; the result keeps it.
        like: Has the deviations that are wanted.
        weight: >= 0 of each pixel in mean and deviation.
        strength: 0 (nothing) .. 1 (fully).
        gains: Least and largest factor, at full strength.
    """
    total = weight.sum()
    if strength == 0 or total == 0:
        return image

    def moments(part: Float[np.ndarray, "row col channel"]) -> tuple[np.ndarray, np.ndarray]:
        mean = np.einsum("rcn,rc->n", part, weight) / total
        variance = np.einsum("rcn,rc->n", (part - mean) ** 2, weight) / total
        return mean, np.sqrt(variance)

    mean, own = moments(image)
    _, wanted = moments(like)
    gain = np.clip(wanted / np.maximum(own, 1e-3), *gains) ** strength
    return np.asarray(mean + gain * (image - mean), np.float32)
