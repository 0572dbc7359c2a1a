"""Measuring a scan: what the driver finds once, so that colours can be a function of the scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float

from medcolor.body import bounding_box
from medcolor.color import lightness
from medcolor.domain import Box, PixelShape, pixel_shape
from medcolor.filters.bilateral import bilateral
from medcolor.transfer.scan import KNOTS, NOISE_STEPS, ScanStatistics, known

_RANK_SHARE = 0.7
"""Of equal use of the axis by all tissue, against equal steps of value."""

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
    knots = np.linspace(low, high, KNOTS)
    rank = np.searchsorted(tissue, knots, side="right") / len(tissue)
    axis = _RANK_SHARE * rank + (1 - _RANK_SHARE) * np.linspace(0, 1, KNOTS)
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
    smooth = bilateral(torch.from_numpy(values), sigma, NOISE_STEPS * noise, pixel).numpy()[body]
    return np.asarray(smooth[:: max(1, len(smooth) // _SAMPLES)])
