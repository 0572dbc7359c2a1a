import cv2
import numpy as np
import pytest
from conftest import COLORS, draw_slice
from skimage.color import deltaE_ciede2000

from medcolor.color import grey_of, lightness, srgb_to_lab
from medcolor.colorize import colorize_slice
from medcolor.config import RunSettings
from medcolor.domain import SQUARE, ReferenceSlice, TargetSlice
from medcolor.features.settings import FeatureSettings
from medcolor.prepared import prepare_reference
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.settings import TransferSettings

FEATURES = FeatureSettings(working_size_px=64)
LOOKS = ["photograph", "scan", "paper"]


def photograph(level=0.4, size=64, colors=COLORS):
    labels = draw_slice(level, size)[1]
    return ReferenceSlice("r", colors[labels], labels > 0)


def color(network, target, reference, **transfer):
    settings = RunSettings(features=FEATURES, transfer=TransferSettings(**transfer))
    statistics = measure_scan(
        [(target.values, target.body)],
        (1.0, 1.0),
        64,
        window=(0.0, 1.0),
        is_hounsfield=False,
        air_below=0.0,
    )
    prepared = prepare_reference(reference, network.module, settings)
    given = [(prepared, 1.0)], network.module, settings, statistics, Stopwatch()
    return colorize_slice(target, *given)


def as_target(reference, disguise=None):
    grey = grey_of(reference.rgb.astype(np.float32) / 255)
    if disguise is not None:
        grey = np.where(reference.tissue, disguise(grey), 0).astype(np.float32)
    return TargetSlice(grey, grey, reference.tissue, 3, grey, SQUARE)


@pytest.mark.parametrize("look", ["photograph", "scan"])
def test_a_photograph_without_its_colours_gets_them_back_from_itself(network, look):
    reference = photograph()
    result = color(network, as_target(reference), reference, look=look)
    truth = srgb_to_lab(reference.rgb.astype(np.float32) / 255)
    found = srgb_to_lab(result.rgba[..., :3].astype(np.float32) / 255)
    error = deltaE_ciede2000(found, truth)[reference.tissue]
    assert np.median(error) < 1.0
    assert error.mean() < 2.5


def test_a_scan_of_another_contrast_gets_the_photographs_lightness(network):
    """Its tissues differ by a third of what they differ by on the photograph."""
    reference = photograph()
    target = as_target(reference, lambda grey: 0.6 + 0.3 * grey)
    result = color(network, target, reference)
    truth = srgb_to_lab(reference.rgb.astype(np.float32) / 255)[..., 0]
    found = srgb_to_lab(result.rgba[..., :3].astype(np.float32) / 255)[..., 0]
    plain = lightness(target.luminance)
    inner = cv2.erode(target.body.astype(np.uint8), np.ones((5, 5))) > 0
    assert np.abs(plain - truth)[inner].mean() > 10
    assert np.abs(found - truth)[inner].mean() < 0.4 * np.abs(plain - truth)[inner].mean()


@pytest.mark.parametrize("look", LOOKS)
def test_a_grey_reference_gives_grey(network, look):
    grey_colors = np.repeat(np.arange(5, dtype=np.uint8)[:, None] * 50, 3, axis=1)
    reference = photograph(0.6, colors=grey_colors)
    result = color(network, as_target(photograph()), reference, look=look)
    rgb = result.rgba[..., :3].astype(int)
    assert np.ptp(rgb, axis=-1).max() <= 2


@pytest.mark.parametrize("look", LOOKS)
def test_alpha_is_the_luminance_and_the_background_is_empty(network, look):
    target = as_target(photograph())
    result = color(network, target, photograph(0.7), look=look)
    np.testing.assert_array_equal(
        result.rgba[..., 3], np.where(target.body, np.rint(255 * target.luminance), 0)
    )
    assert not result.rgba[~target.body].any()
    assert result.z == 3


def test_an_empty_slice_stays_empty(network):
    nothing = np.zeros((30, 40), np.float32)
    target = TargetSlice(nothing, nothing, nothing > 0, 0, nothing, SQUARE)
    assert not color(network, target, photograph()).rgba.any()
