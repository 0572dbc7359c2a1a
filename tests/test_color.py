import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from medcolor.color import (
    encode_gamma,
    grey_of,
    lab_to_srgb,
    lightness,
    linear_to_srgb,
    srgb_to_lab,
    srgb_to_linear,
)


@pytest.fixture
def colors():
    return np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)


def test_lab_agrees_with_scikit_image(colors):
    # Its white point has four digits, ours is exactly that of the matrix.
    np.testing.assert_allclose(srgb_to_lab(colors), rgb2lab(colors), atol=0.03)


def test_lab_goes_and_returns(colors):
    np.testing.assert_allclose(lab_to_srgb(srgb_to_lab(colors)), colors, atol=1e-4)


def test_back_conversion_agrees_with_scikit_image_inside_the_gamut(colors):
    lab = rgb2lab(colors)
    np.testing.assert_allclose(lab_to_srgb(lab.astype(np.float32)), lab2rgb(lab), atol=2e-3)


def test_a_grey_pixel_has_no_chroma_and_the_lightness_of_its_grey():
    grey = np.linspace(0, 1, 256, dtype=np.float32)
    lab = srgb_to_lab(np.repeat(grey[:, None], 3, axis=1))
    assert np.abs(lab[:, 1:]).max() < 1e-4
    np.testing.assert_allclose(lab[:, 0], lightness(grey), atol=1e-4)
    assert lab[0, 0] == pytest.approx(0, abs=1e-5)
    assert lab[-1, 0] == pytest.approx(100, abs=1e-4)


def test_the_grey_of_a_colour_keeps_its_lightness(colors):
    np.testing.assert_allclose(lightness(grey_of(colors)), srgb_to_lab(colors)[..., 0], atol=1e-3)


def test_linear_light_goes_and_returns(colors):
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(colors)), colors, atol=1e-5)


def test_gamma_two_undoes_gamma_one_half(colors):
    np.testing.assert_allclose(encode_gamma(encode_gamma(colors, 0.5), 2.0), colors, atol=1e-6)
