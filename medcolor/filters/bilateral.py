"""Bilateral filter (Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815) on any device."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medcolor.domain import SQUARE, PixelShape


@torch.no_grad()
def bilateral(
    image: Float[Tensor, "row col"],
    sigma_px: float,
    sigma_value: float,
    pixel: PixelShape = SQUARE,
) -> Float[Tensor, "row col"]:
    """Average each pixel with those near it in place and in value.

    OpenCV does it on a CPU where pixels are square; elsewhere the same sum over a disc is taken of
    shifted images.

    Args:
        image: Any unit; the border is reflected.
        sigma_px: Standard deviation in pixels' shorter sides; the disc has radius
            max(1, round(1.5 sigma_px)).
        sigma_value: Standard deviation in the image's unit, > 0.
        pixel: Shape of the pixels. What is long between rows may be nothing between columns.
    """
    radius = max(1, round(1.5 * sigma_px))
    if image.device.type == "cpu" and pixel == SQUARE:
        smooth = cv2.bilateralFilter(image.numpy(), 2 * radius + 1, sigma_value, sigma_px)
        return torch.from_numpy(np.asarray(smooth))
    return _by_shifts(image, radius, sigma_px, sigma_value, pixel)


def _by_shifts(
    image: Float[Tensor, "row col"],
    radius: int,
    sigma_px: float,
    sigma_value: float,
    pixel: PixelShape,
) -> Float[Tensor, "row col"]:
    rows, cols = image.shape
    high, wide = (int(radius / side) for side in pixel)
    row_at, col_at = (
        _reflected(size, reach, image.device)
        for size, reach in zip(image.shape, (high, wide), strict=True)
    )
    framed = image[row_at][:, col_at]
    total, mass = torch.zeros_like(image), torch.zeros_like(image)
    for row in range(2 * high + 1):
        for col in range(2 * wide + 1):
            squared = ((row - high) * pixel[0]) ** 2 + ((col - wide) * pixel[1]) ** 2
            if squared > radius**2:
                continue
            moved = framed[row : row + rows, col : col + cols]
            away = (moved - image) / sigma_value
            weight = torch.exp(-0.5 * (away * away + squared / sigma_px**2))
            total += weight * moved
            mass += weight
    return total / mass


def _reflected(size: int, reach: int, device: torch.device) -> Int[Tensor, " place"]:
    """Return the places of an axis and `reach` more at both ends, reflected however short it is."""
    period = max(2 * (size - 1), 1)
    place = torch.arange(-reach, size + reach, device=device).abs() % period
    return torch.minimum(place, period - place)
