"""Smooth deformations."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

from medcolor.features.synthetic.noise import smooth_noise, uniform

Warp = Float[Tensor, "batch row col 2"]
"""For each pixel of the warped image its (col, row) in the original, in the -1..1
coordinates of `grid_sample` with `align_corners=False`."""


def random_warp(
    generator: Generator,
    batch: int,
    size_px: int,
    *,
    rotation_deg: float = 22.0,
    zoom: float = 1.25,
    shift: float = 0.15,
) -> Warp:
    """Draw a smooth deformation with rotation, scale and shift.

    Args:
        generator: Source of randomness.
        batch: How many.
        size_px: Side of the images.
        rotation_deg: Largest rotation.
        zoom: Largest scale, and the inverse of the smallest.
        shift: Largest shift, in half sides.
    """
    angle = uniform(generator, (batch,), -rotation_deg, rotation_deg) * math.pi / 180
    overall = uniform(generator, (batch, 1), 1 / zoom, zoom)
    scale = overall * uniform(generator, (batch, 2), 0.92, 1.08)
    moved = uniform(generator, (batch, 2), -shift, shift)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0] = scale[:, 0] * torch.cos(angle)
    theta[:, 0, 1] = -scale[:, 0] * torch.sin(angle)
    theta[:, 1, 0] = scale[:, 1] * torch.sin(angle)
    theta[:, 1, 1] = scale[:, 1] * torch.cos(angle)
    theta[:, :, 2] = moved
    grid = F.affine_grid(theta, [batch, 1, size_px, size_px], align_corners=False)
    coarse = smooth_noise(generator, batch, 2, size_px, size_px / 3.5)
    fine = smooth_noise(generator, batch, 2, size_px, size_px / 8)
    strength = uniform(generator, (batch, 1, 1, 1), 0.0, 1.0)
    return grid + (strength * (0.07 * coarse + 0.025 * fine)).permute(0, 2, 3, 1)


def centre_on_body(labels: Int[Tensor, "batch row col"], half_side: float) -> Warp:
    """Return the warp that shows each body centred, as the product's `body_square` does.

    Args:
        labels: 0 is background; where there is nothing else the image stays as it is.
        half_side: Half side of what is shown, in standard deviations of the body's pixels
            along the wider axis.
    """
    size_px = labels.shape[-1]
    shown = (labels > 0).float()
    count = shown.sum((1, 2))
    axis = (2 * torch.arange(size_px) + 1) / size_px - 1
    theta = torch.zeros(len(labels), 2, 3)
    deviations = []
    for number, profile in enumerate((shown.sum(1), shown.sum(2))):  # columns, then rows
        mean = (profile * axis).sum(1) / count.clamp(min=1)
        variance = (profile * (axis - mean[:, None]) ** 2).sum(1) / count.clamp(min=1)
        theta[:, number, 2] = mean
        deviations.append(variance.sqrt())
    scale = half_side * torch.stack(deviations).amax(0)
    scale = torch.where(count > 0, scale.clamp(min=1 / size_px), 1.0)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    return F.affine_grid(theta, [len(labels), 1, size_px, size_px], align_corners=False)


def warp_labels(labels: Int[Tensor, "batch row col"], warp: Warp) -> Int[Tensor, "batch row col"]:
    """Resample labels by nearest neighbour; what lies outside is background."""
    warped = F.grid_sample(
        labels[:, None].float(), warp, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return warped[:, 0].long()


def warp_image(image: Float[Tensor, "batch 1 row col"], warp: Warp) -> Tensor:
    """Resample an image linearly."""
    return F.grid_sample(image, warp, padding_mode="border", align_corners=False)
