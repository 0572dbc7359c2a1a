import cv2
import numpy as np
import pytest
from oracles import dense_smoother

from medcolor.filters import smooth_weighted


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_with_full_weight_it_is_opencvs_filter(random):
    image = random.normal(size=(20, 31, 3)).astype(np.float32) * 50
    guide = random.random((20, 31)).astype(np.float32)

    smooth = smooth_weighted(image, guide, np.ones_like(guide), smoothness=32.0, guide_sigma=10.0)

    expected = cv2.ximgproc.fastGlobalSmootherFilter(
        np.rint(guide * 255).astype(np.uint8), image, lambda_=32, sigma_color=10
    )
    np.testing.assert_allclose(smooth, expected, atol=2e-3)


def test_a_single_row_is_three_exact_solves_with_falling_lambda(random):
    signal = random.normal(size=25).astype(np.float32)
    guide = np.rint(random.random(25) * 255)

    smooth = smooth_weighted(
        signal[None, :, None],
        (guide / 255).astype(np.float32)[None],
        np.ones((1, 25), np.float32),
        smoothness=8.0,
        guide_sigma=40.0,
    )

    expected = signal
    for smoothness in (8, 2, 0.5):
        expected = dense_smoother(expected, guide, smoothness, 40)
    np.testing.assert_allclose(smooth[0, :, 0], expected, atol=1e-4)


def test_pixels_without_weight_take_the_values_around_them():
    image = np.full((9, 9, 1), 7.0, np.float32)
    weight = np.ones((9, 9), np.float32)
    weight[3:6, 3:6] = 0
    image[3:6, 3:6] = -1000

    smooth = smooth_weighted(
        image, np.zeros((9, 9), np.float32), weight, smoothness=5.0, guide_sigma=9.0
    )

    np.testing.assert_allclose(smooth, 7, atol=1e-4)


def test_nothing_known_gives_zero_and_no_nan():
    zeros = np.zeros((4, 5), np.float32)

    smooth = smooth_weighted(zeros[..., None] + 3, zeros, zeros, smoothness=5.0, guide_sigma=9.0)

    assert not smooth.any()
