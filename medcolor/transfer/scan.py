"""What a scan measures, in terms that colours can be a function of.

Display windows are made for eyes: fat and muscle of a CT lie 5 to 15 of 255 levels apart in the
widest. Here the values are freed of noise first, across no border stronger than it, and then put
on an axis on which most of the way lies where most of the tissue is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from medcolor.domain import Box, PixelShape
from medcolor.filters.bilateral import bilateral
from medcolor.transfer.ramp import smooth_ramp

BASIS = 3
"""Functions of the contrast in which colours are linear in a neighbourhood."""

KNOTS = 257
"""Of the axis."""

NOISE_STEPS = 2.5
"""Standard deviations of the noise across which values are averaged to about 0.6."""


@dataclass(frozen=True)
class ScanStatistics:
    """What is found once a volume, by the driver, so that no voxel depends on who computes it."""

    noise: float
    """Standard deviation, in the scan's unit, > 0."""

    knots: tuple[float, ...]
    """Values, evenly spaced, in the scan's unit."""

    contrast: tuple[float, ...]
    """Place of each knot on the axis, 0..1, rising."""

    lightness: tuple[float, ...]
    """L* that each knot is displayed with."""

    air: tuple[float, float]
    """Value up to which nothing is there, and from which on all is tissue."""

    air_radius_px: int
    """Radius, in pixels' shorter sides, of the smallest disc of air. In MRI compact bone and fluid
    may be as dark, and are thin; 0 where values tell air for sure."""

    cavity_below: float
    """Value up to which the mean of such a disc is that of air, and not of a dark organ."""

    soft: tuple[float, float]
    """Values between which most tissue lies: without the densest and the emptiest."""

    working_px: tuple[float, float]
    """Voxels (along rows, along columns) of a pixel of the working grid of a body of median
    size."""

    sigma_px: float
    """Of the filter that takes noise away, in pixels' shorter sides."""

    box: Box
    """Around the bodies of all slices that were looked at."""

    pixel: PixelShape
    """Of slices."""


def known(values: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
    """Return values in which what was not scanned is as low as the lowest that was.

    In memory of their own, row by row: readers give views that torch does not take, and mapped
    files.
    """
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    return np.array(values, np.float32, order="C")


def describe_scan(
    values: Float[Tensor, "row col"], statistics: ScanStatistics
) -> Float[Tensor, "row col"]:
    """Return the contrast of finite values, freed of noise: their place on the axis, 0..1."""
    noise = NOISE_STEPS * statistics.noise
    denoised = bilateral(values, statistics.sigma_px, noise, statistics.pixel)
    return contrast_of(denoised, statistics)


def contrast_of(values: Float[Tensor, ...], statistics: ScanStatistics) -> Float[Tensor, ...]:
    """Return the place of values on the axis, 0..1."""
    low, high = statistics.knots[0], statistics.knots[-1]
    axis = torch.tensor(statistics.contrast, dtype=torch.float32, device=values.device)
    return _between(
        axis, ((values - low) * ((len(axis) - 1) / (high - low))).clamp(0, len(axis) - 1)
    )


def basis(contrast: Float[Tensor, ...], statistics: ScanStatistics) -> Float[Tensor, ...]:
    """Return the functions of the scan in which colours are linear in a neighbourhood.

    The value within the range of most tissue, its square, and the value in the whole range, of the
    order of 1: three tissues side by side may have any three colours.
    """
    low, high = statistics.knots[0], statistics.knots[-1]
    value = _along_axis(contrast, statistics.knots, statistics)
    soft_low, soft_high = statistics.soft
    soft = (value.clamp(soft_low, soft_high) - soft_low) / (soft_high - soft_low) - 0.5
    return torch.stack([soft, 2 * soft * soft, (value.clamp(min=soft_low) - low) / (high - low)])


def displayed_lightness(
    contrast: Float[Tensor, ...], statistics: ScanStatistics
) -> Float[Tensor, ...]:
    """Return the L* that a contrast is displayed with."""
    return _along_axis(contrast, statistics.lightness, statistics)


def _along_axis(
    contrast: Float[Tensor, ...], at_knots: tuple[float, ...], statistics: ScanStatistics
) -> Float[Tensor, ...]:
    """Return what is known at the knots, at places on the axis."""
    even = np.interp(np.linspace(0, 1, KNOTS), statistics.contrast, at_knots)
    table = torch.tensor(even.astype(np.float32), device=contrast.device)
    return _between(table, contrast.clamp(0, 1) * (KNOTS - 1))


def _between(table: Float[Tensor, " knot"], place: Float[Tensor, ...]) -> Float[Tensor, ...]:
    """Interpolate linearly between the entries of a table, at places 0 .. its last entry."""
    below = place.floor().clamp(max=len(table) - 2)
    index, part = below.long(), place - below
    return table[index] * (1 - part) + table[index + 1] * part


def tissue_share(
    values: Float[np.ndarray, "row col"], statistics: ScanStatistics
) -> Float[np.ndarray, "row col"]:
    """Return how far a voxel holds tissue and not air, 0..1."""
    share = smooth_ramp(values, *statistics.air)
    if not statistics.air_radius_px:
        return share
    radius, pixel = statistics.air_radius_px, statistics.pixel
    disc = _disc(radius, pixel)
    # Single voxels of noise are no tissue, and none is air: means decide. Opened, they leave what a
    # disc fits into; its voxels reach a little beyond the means that are dark enough.
    mean = _blurred(values, radius / 2, pixel)
    is_dark = (mean <= statistics.cavity_below).astype(np.uint8)
    cavities = cv2.dilate(cv2.morphologyEx(is_dark, cv2.MORPH_OPEN, disc), disc)
    near = _blurred(cavities.astype(np.float32), max(radius / 4, 0.5), pixel)
    # A blur of ones is one but for rounding.
    return np.asarray(np.maximum(share, (1 - near).round(6)), np.float32)


def _blurred(
    image: Float[np.ndarray, "row col"], sigma_px: float, pixel: PixelShape
) -> Float[np.ndarray, "row col"]:
    """Return an image blurred by so many of its pixels' shorter sides."""
    high, wide = (max(sigma_px / side, 1e-3) for side in pixel)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), wide, sigmaY=high))


def _disc(radius_px: int, pixel: PixelShape) -> UInt8[np.ndarray, "row col"]:
    """Return which pixels a disc holds, of a radius in their shorter sides."""
    high, wide = (round(radius_px / side) for side in pixel)
    # OpenCV's ellipse of a single row is a single pixel.
    form = cv2.MORPH_ELLIPSE if min(high, wide) else cv2.MORPH_RECT
    return np.asarray(cv2.getStructuringElement(form, (2 * wide + 1, 2 * high + 1)), np.uint8)
