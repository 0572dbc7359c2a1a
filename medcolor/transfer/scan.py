"""What a scan measures, in terms that colours can be a function of.

Display windows are made for eyes: fat and muscle of a CT lie 5 to 15 of 255 levels apart in the
widest. Here the values are freed of noise first, across no border stronger than it, and then put
on an axis on which most of the way lies where most of the tissue is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from medcolor.body import bounding_box
from medcolor.color import lightness
from medcolor.domain import Box, PixelShape, pixel_shape
from medcolor.filters.bilateral import bilateral
from medcolor.transfer.ramp import smooth_ramp

BASIS = 3
"""Functions of the contrast in which colours are linear in a neighbourhood."""

_KNOTS = 257
_RANK_SHARE = 0.7
"""Of equal use of the axis by all tissue, against equal steps of value."""

_NOISE_STEPS = 2.5
"""Standard deviations of the noise across which values are averaged to about 0.6."""

_LEAST_SIGMA_PX = 1.0
_SIGMA_WORKING_PX = 0.8
_HU_RANGE = -300.0, 1200.0
_HU_AIR = -750.0, -650.0
_AIR_RADIUS_PX = 4.0
"""Of the smallest disc of air where the unit is a scanner's own, in working pixels: the skull is
thinner."""

_AIR_STEP = 0.15
"""Of the distance from black to the border of air, in which tissue sets in where the unit is a
scanner's own: compact bone of MRI is hardly brighter."""

_NEIGHBOURS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_DEVIATION = 6 * 0.6745
"""Of the median of |image * _NEIGHBOURS| from the standard deviation of white noise."""

_SAMPLES = 200_000
_SOFT_PERCENTILES = 2, 85
"""Beyond lie partial volumes with air, and compact bone."""


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


def measure_scan(
    slices: Iterable[tuple[Float[np.ndarray, "_row _col"], Bool[np.ndarray, "_row _col"]]],
    spacing_mm: tuple[float, float],
    working_size_px: int,
    *,
    window: tuple[float, float],
    is_hounsfield: bool,
    air_below: float,
    cavity_below: float | None = None,
) -> ScanStatistics:
    """Find the statistics of a scan from some slices of it.

    Args:
        slices: Values, and which are body; at least one. Those without a body are left out.
        spacing_mm: Between rows, between columns.
        working_size_px: Of matching.
        window: Values displayed as black and as white.
        is_hounsfield: Whether values are Hounsfield units.
        air_below: Value between air and tissue, where they are not.
        cavity_below: Value up to which the mean of a cavity is that of air, where they are not; by
            default the same.
    """
    pixel = pixel_shape(*spacing_mm)
    shown, boxes = _bodies(slices, pixel)
    noise = _noise(shown)
    side_mm = float(np.median([_long_side(box, spacing_mm) for box in boxes]))
    working_mm = side_mm / working_size_px
    sigma = max(_LEAST_SIGMA_PX, _SIGMA_WORKING_PX * working_mm / min(spacing_mm))
    samples = [_sample(values, body, sigma, noise, pixel) for values, body in shown]
    tissue = np.sort(np.concatenate(samples))
    if is_hounsfield:
        low, high = _HU_RANGE
        air = _HU_AIR
    else:
        low, high = (float(one) for one in np.percentile(tissue, [0.5, 99.5]))
        high = max(high, low + noise)
        air = air_below, air_below + _AIR_STEP * (air_below - window[0])
    knots = np.linspace(low, high, _KNOTS)
    rank = np.searchsorted(tissue, knots, side="right") / len(tissue)
    axis = _RANK_SHARE * rank + (1 - _RANK_SHARE) * np.linspace(0, 1, _KNOTS)
    axis = (axis - axis[0]) / (axis[-1] - axis[0])
    black, white = window
    shown_as = lightness(np.clip((knots - black) / (white - black), 0, 1).astype(np.float32))
    return ScanStatistics(
        noise=noise,
        knots=tuple(knots.tolist()),
        contrast=tuple(np.round(axis, 6).tolist()),
        lightness=tuple(shown_as.tolist()),
        air=air,
        air_radius_px=0 if is_hounsfield else round(_AIR_RADIUS_PX * working_mm / min(spacing_mm)),
        cavity_below=air_below if cavity_below is None else cavity_below,
        soft=_soft_range(tissue, air, noise),
        working_px=(working_mm / spacing_mm[0], working_mm / spacing_mm[1]),
        sigma_px=sigma,
        box=_around(boxes),
        pixel=pixel,
    )


def _bodies(
    slices: Iterable[tuple[np.ndarray, np.ndarray]], pixel: PixelShape
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[Box]]:
    """Cut the bodies out of slices that show one; of a scan that shows none, take all of it."""
    shown, boxes, empty = [], [], []
    for values, body in slices:
        box = bounding_box(body, pixel=pixel)
        if box is None:
            empty.append(values)
        else:
            boxes.append(box)
            shown.append((known(values[box.slices]), body[box.slices]))
    if not shown:
        boxes = [Box(0, one.shape[0], 0, one.shape[1]) for one in empty]
        shown = [(known(one), np.ones(one.shape, bool)) for one in empty]
    return shown, boxes


def _around(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all."""
    return Box(
        min(one.row_start for one in boxes),
        max(one.row_stop for one in boxes),
        min(one.col_start for one in boxes),
        max(one.col_stop for one in boxes),
    )


def _soft_range(
    tissue: Float[np.ndarray, " sample"], air: tuple[float, float], noise: float
) -> tuple[float, float]:
    """Return the range of most tissue, air left out."""
    solid = tissue[tissue > air[1]]
    low, high = np.percentile(solid if len(solid) else tissue, _SOFT_PERCENTILES)
    return float(low), float(max(high, low + noise))


def known(values: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
    """Return values in which what was not scanned is as low as the lowest that was.

    In memory of their own, row by row: readers give views that torch does not take, and mapped
    files.
    """
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    return np.array(values, np.float32, order="C")


def _noise(shown: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the median over slices of the noise inside the body (Immerkaer 1996)."""
    found, spread = [], []
    for values, body in shown:
        inner = cv2.erode(body.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
        inner = inner if inner.any() else body
        rough = np.abs(cv2.filter2D(values, -1, _NEIGHBOURS, borderType=cv2.BORDER_REFLECT))
        found.append(float(np.median(rough[inner])) / _DEVIATION)
        spread.append(float(values[body].std()))
    # Drawn images have none: then a thousandth of what values vary by.
    return max(float(np.median(found)), 1e-3 * max(spread), 1e-6)


def _long_side(box: Box, spacing_mm: tuple[float, float]) -> float:
    """Return the long side of a box in mm."""
    return max(side * step for side, step in zip(box.shape, spacing_mm, strict=True))


def _sample(
    values: np.ndarray, body: np.ndarray, sigma: float, noise: float, pixel: PixelShape
) -> Float[np.ndarray, " sample"]:
    smooth = bilateral(torch.from_numpy(values), sigma, _NOISE_STEPS * noise, pixel).numpy()[body]
    return np.asarray(smooth[:: max(1, len(smooth) // _SAMPLES)])


def describe_scan(
    values: Float[Tensor, "row col"], statistics: ScanStatistics
) -> Float[Tensor, "row col"]:
    """Return the contrast of finite values, freed of noise: their place on the axis, 0..1."""
    noise = _NOISE_STEPS * statistics.noise
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
    even = np.interp(np.linspace(0, 1, _KNOTS), statistics.contrast, at_knots)
    table = torch.tensor(even.astype(np.float32), device=contrast.device)
    return _between(table, contrast.clamp(0, 1) * (_KNOTS - 1))


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
