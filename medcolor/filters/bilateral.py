"""Bilateral filter (Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815) on any device."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def bilateral(
    image: Float[Tensor, "row col"], sigma_px: float, sigma_value: float
) -> Float[Tensor, "row col"]:
    """Average each pixel with those near it in place and in value.

    OpenCV does it on a CPU; elsewhere the same sum over a disc is taken of shifted images.

    Args:
        image: Any unit; the border is reflected.
        sigma_px: Standard deviation in pixels; the disc has radius max(1, round(1.5 sigma_px)).
        sigma_value: Standard deviation in the image's unit, > 0.
    """
    radius = max(1, round(1.5 * sigma_px))
    if image.device.type == "cpu":
        smooth = cv2.bilateralFilter(image.numpy(), 2 * radius + 1, sigma_value, sigma_px)
        return torch.from_numpy(np.asarray(smooth))
    return _by_shifts(image, radius, sigma_px, sigma_value)


def _by_shifts(
    image: Float[Tensor, "row col"], radius: int, sigma_px: float, sigma_value: float
) -> Float[Tensor, "row col"]:
    rows, cols = image.shape
    framed = F.pad(image[None, None], (radius,) * 4, mode="reflect")[0, 0]
    total, mass = torch.zeros_like(image), torch.zeros_like(image)
    for row in range(2 * radius + 1):
        for col in range(2 * radius + 1):
            squared = (row - radius) ** 2 + (col - radius) ** 2
            if squared > radius**2:
                continue
            moved = framed[row : row + rows, col : col + cols]
            away = (moved - image) / sigma_value
            weight = torch.exp(-0.5 * (away * away + squared / sigma_px**2))
            total += weight * moved
            mass += weight
    return total / mass
