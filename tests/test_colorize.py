import numpy as np
import pytest
from conftest import COLORS, draw_slice
from skimage.color import deltaE_ciede2000

from medcolor.color import grey_of, lightness, srgb_to_lab
from medcolor.colorize import (
    colorize_slice,
    prepare_reference,
)
from medcolor.config import RunSettings
from medcolor.domain import ReferenceSlice, TargetSlice
from medcolor.features.settings import FeatureSettings
from medcolor.filters.settings import SmoothingSettings
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.settings import TransferSettings

FEATURES = FeatureSettings(working_size_px=64)


def photograph(level=0.4, size=64, colors=COLORS):
    labels = draw_slice(level, size)[1]
    return ReferenceSlice("r", colors[labels], labels > 0)


def color(network, target, reference, **transfer):
    return colorize_slice(
        target,
        [(prepare_reference(reference, network.module, FEATURES), 1.0)],
        network.module,
        RunSettings(features=FEATURES, transfer=TransferSettings(**transfer)),
        Stopwatch(),
    )


def as_target(reference):
    grey = grey_of(reference.rgb.astype(np.float32) / 255)
    return TargetSlice(grey, grey, reference.tissue, 3)


def test_a_photograph_without_its_colours_gets_them_back_from_itself(network):
    reference = photograph()
    result = color(network, as_target(reference), reference)
    truth = srgb_to_lab(reference.rgb.astype(np.float32) / 255)
    found = srgb_to_lab(result.rgba[..., :3].astype(np.float32) / 255)
    error = deltaE_ciede2000(found, truth)[reference.tissue]
    # Edges are smoothed a little; the flat insides are exact within rounding.
    assert np.median(error) < 1.0
    assert error.mean() < 2.5


def test_a_grey_reference_gives_grey(network):
    grey_colors = np.repeat(np.arange(5, dtype=np.uint8)[:, None] * 50, 3, axis=1)
    result = color(network, as_target(photograph()), photograph(0.6, colors=grey_colors))
    rgb = result.rgba[..., :3].astype(int)
    assert np.ptp(rgb, axis=-1).max() <= 1


def test_alpha_is_the_luminance_and_the_background_is_empty(network):
    target = as_target(photograph())
    result = color(network, target, photograph(0.7))
    np.testing.assert_array_equal(
        result.rgba[..., 3], np.where(target.body, np.rint(255 * target.luminance), 0)
    )
    assert not result.rgba[~target.body].any()
    assert result.z == 3


def test_the_scans_luminance_can_be_kept(network):
    target = as_target(photograph())
    result = color(network, target, photograph(0.9), reference_luminance=0.0)
    found = lightness(grey_of(result.rgba[..., :3].astype(np.float32) / 255))
    difference = np.abs(found - lightness(target.luminance))[target.body]
    # Gamma and clipping to the gamut move saturated colours by a few units.
    assert np.median(difference) < 1.5
    assert difference.mean() < 3


def test_an_empty_slice_stays_empty(network):
    nothing = np.zeros((30, 40), np.float32)
    target = TargetSlice(nothing, nothing, nothing > 0, 0)
    assert not color(network, target, photograph()).rgba.any()


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_equation_1_leaves_a_scan_alone_that_was_reconstructed_perfectly(gamma):
    luminance = np.random.default_rng(0).random((40, 30)).astype(np.float32)
    own = srgb_to_lab(np.repeat(luminance[..., None], 3, axis=-1))
    everywhere = np.ones((40, 30), bool)

    result = equation_1(
        luminance,
        everywhere,
        own,
        everywhere.astype(np.float32),
        TransferSettings(gamma=gamma),
        SmoothingSettings(),
    )

    np.testing.assert_allclose(result, np.repeat(luminance[..., None], 3, axis=-1), atol=2e-3)


def test_equation_1_keeps_structure_that_the_reconstruction_lost():
    luminance = np.full((40, 40), 0.5, np.float32)
    luminance[20, 20] = 0.9
    flat = np.zeros((20, 20, 3), np.float32) + np.array([60, 20, 30], np.float32)

    result = equation_1(
        luminance,
        np.ones((40, 40), bool),
        flat,
        np.ones((20, 20), np.float32),
        TransferSettings(),
        SmoothingSettings(guide_sigma=200.0),
    )

    grey = grey_of(result)
    assert grey[20, 20] - grey[5, 5] > 0.2
    assert (result[..., 0] > result[..., 2] + 0.1).all()


def test_a_slice_nobody_votes_for_stays_grey():
    luminance = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    nothing = np.zeros((16, 16, 3), np.float32)
    result = equation_1(
        luminance,
        np.ones((16, 16), bool),
        nothing,
        nothing[..., 0],
        TransferSettings(),
        SmoothingSettings(),
    )
    np.testing.assert_allclose(result, np.repeat(luminance[..., None], 3, -1), atol=2e-3)
