"""What the network sees of slices whose pixels are not square."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import draw_slice

from medcolor.domain import SQUARE, TargetSlice, VolumeGeometry, pixel_shape
from medcolor.features.extract import describe
from medcolor.features.settings import FeatureSettings
from medcolor.prepared import crop_slice, described_picture

SETTINGS = FeatureSettings(working_size_px=64)
IDENTITY = tuple(tuple(float(row == col) for col in range(4)) for row in range(4))


def slice_of(axis, count, level=0.4, size=96):
    """A slice of which so many rows or columns are averaged; its shape is known."""
    grey, labels = draw_slice(level, size)

    def averaged(image):
        parts = np.moveaxis(image, axis, 0).reshape(size // count, count, size).mean(1)
        return np.ascontiguousarray(np.moveaxis(parts, 0, axis), np.float32)

    pixel = pixel_shape(*((float(count), 1.0) if axis == 0 else (1.0, float(count))))
    shown = averaged(grey)
    body, outline = averaged(labels > 0) >= 0.5, labels > 0
    return TargetSlice(shown, shown, body, 7, shown, pixel, outline)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("count", [2, 4, 8])
def test_what_is_matched_has_the_shape_of_the_body(axis, count):
    square, thick = (crop_slice(slice_of(axis, one), SETTINGS) for one in (1, count))
    assert max(thick.body.shape) == SETTINGS.working_size_px
    assert np.abs(np.subtract(thick.body.shape, square.body.shape)).max() <= 64 * count / 96 + 1
    high, wide = (np.ptp(np.flatnonzero(thick.body.any(axis))) + 1 for axis in (1, 0))
    high2, wide2 = (np.ptp(np.flatnonzero(square.body.any(axis))) + 1 for axis in (1, 0))
    assert high / wide == pytest.approx(high2 / wide2, rel=0.06)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("count", [2, 4, 8])
def test_what_is_described_is_alike(network, axis, count):
    """More than where the outline is a staircase of long pixels, or pixels are taken for square."""
    own, thick = slice_of(axis, 1), slice_of(axis, count)
    stairs = replace(thick, outline=None)
    flat = replace(stairs, pixel=SQUARE)
    described = [
        describe(network.module, *described_picture(one)) for one in (own, thick, stairs, flat)
    ]
    likeness = np.stack(described[1:]) @ described[0]
    assert likeness[0] > likeness[1] > likeness[2]


def test_slices_in_square_pixels_are_described_as_they_are():
    target = slice_of(0, 1)
    grey, body = described_picture(replace(target, outline=None))
    assert grey is target.matched_luminance
    np.testing.assert_array_equal(body, target.body)


@pytest.mark.parametrize("spacing_mm", [(3.0, 0.02, 0.02), (1.0, 1.0, 1.0 + 5e-4)])
def test_pixels_that_are_square_but_for_rounding_are_square(spacing_mm):
    assert VolumeGeometry((1, 1, 1), spacing_mm, IDENTITY).pixel == SQUARE


@pytest.mark.parametrize("unit", [1.0, 0.005, 40.0])
def test_the_shape_of_a_pixel_has_no_unit(unit):
    assert pixel_shape(4 * unit, unit) == pytest.approx((4, 1))
    assert pixel_shape(unit, 1.3 * unit) == pytest.approx((1, 1.3))


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (1, 1), (3, 200)])
@pytest.mark.parametrize("pixel", [(30.0, 1.0), (1.0, 30.0), (1.3, 1.0)])
def test_thin_slices_and_absurd_pixels_are_cut_out_all_the_same(network, shape, pixel):
    grey = np.random.default_rng(0).random(shape, np.float32)
    target = TargetSlice(grey, grey, np.ones(shape, bool), 0, grey, pixel)
    crop = crop_slice(target, SETTINGS)
    assert crop.body.all()
    assert max(crop.body.shape) == SETTINGS.working_size_px
    assert np.isfinite(describe(network.module, *described_picture(target))).all()
