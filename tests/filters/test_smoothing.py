import cv2
import numpy as np
import pytest
import torch
from oracles import dense_smoother

from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.filters.settings import PAPER_FIGURE_6, SmoothingSettings
from medcolor.filters.smoothing import make_smoother, smooth_weighted
from medcolor.filters.weighted_least_squares import system

EVERY = ["fgs", "guided", "domain-nc", "domain-ic", "domain-rf", "wls"]


@pytest.fixture
def random():
    return np.random.default_rng(3)


def fgs(smoothness, guide_sigma):
    return SmoothingSettings(smoothness=smoothness, guide_sigma=guide_sigma)


def levels(guide):
    return np.rint(guide * 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_filters_are_opencvs_at_the_scale_of_the_grid(random, scale):
    image = random.normal(size=(20, 31, 3)).astype(np.float32) * 50
    guide = random.random((20, 31)).astype(np.float32)
    ximgproc = cv2.ximgproc
    expected = {
        fgs(32.0, 10.0): ximgproc.fastGlobalSmootherFilter(
            levels(guide), image, lambda_=32 * scale**2, sigma_color=10
        ),
        SmoothingSettings(filter="guided", radius_px=3, epsilon=5.0): ximgproc.guidedFilter(
            levels(guide), image, int(3 * scale), 5
        ),
    }
    for name, mode in (("nc", 0), ("ic", 1), ("rf", 2)):
        settings = SmoothingSettings(
            filter=f"domain-{name}", spatial_sigma_px=4.0, range_sigma=90.0
        )
        expected[settings] = ximgproc.dtFilter(levels(guide), image, 4 * scale, 90, mode=mode)
    for settings, result in expected.items():
        found = make_smoother(guide, settings, scale)(image)
        np.testing.assert_allclose(found, result, atol=2e-3)


def test_weighted_least_squares_equals_a_dense_solve(random):
    guide, image = random.random((7, 9)), random.normal(size=(7, 9, 2)).astype(np.float32)
    settings = SmoothingSettings(filter="wls", wls_smoothness=0.3, wls_exponent=1.2)
    log, matrix = np.log(guide + 1e-4), np.eye(63)
    for row in range(7):
        for col in range(9):
            for to in ((row + 1, col), (row, col + 1)):
                if to[0] < 7 and to[1] < 9:
                    pull = 0.3 / (abs(log[row, col] - log[to]) ** 1.2 + 1e-4)
                    one, two = row * 9 + col, to[0] * 9 + to[1]
                    matrix[[one, two], [one, two]] += pull
                    matrix[[one, two], [two, one]] -= pull

    found = make_smoother(guide, settings)(image)

    expected = np.linalg.solve(matrix, image.reshape(63, 2)).reshape(7, 9, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_other_image_has_less_of_the_energy_that_least_squares_minimise(random):
    guide, image = random.random((8, 8)), random.normal(size=64)
    laplacian = system(guide, 2.0, 1.5).toarray() - np.eye(64)
    settings = SmoothingSettings(filter="wls", wls_smoothness=2.0, wls_exponent=1.5)

    def energy(u):
        return ((u - image) ** 2).sum() + u @ laplacian @ u

    best = make_smoother(guide, settings)(image.reshape(8, 8, 1)).ravel()
    for _ in range(20):
        assert energy(best) < energy(best + 0.01 * random.normal(size=64))
    assert np.abs(laplacian.sum(1)).max() < 1e-9  # a constant costs nothing


@pytest.mark.parametrize("name", EVERY)
def test_every_filter_keeps_constants_and_edges_and_lowers_noise(random, name):
    guide = np.zeros((40, 40), np.float32) + 0.1
    guide[:, 20:] = 0.9
    noise = random.normal(size=(40, 40, 1)).astype(np.float32)
    step = (guide > 0.5).astype(np.float32)[..., None] * 10
    edges = SmoothingSettings(
        filter=name, smoothness=60.0, guide_sigma=5.0, range_sigma=20.0, wls_smoothness=5.0
    )
    smooth = make_smoother(guide, edges)
    np.testing.assert_allclose(smooth(np.ones_like(step)), 1, atol=1e-4)
    np.testing.assert_allclose(smooth(step), step, atol=0.6)
    assert smooth(noise).std() < 0.7 * noise.std()


def test_the_batched_smoother_is_opencvs_within_a_grey_level(random):
    image = (random.random((3, 37, 50, 3)) * 255).astype(np.float32)
    guide = random.integers(0, 256, (3, 37, 50)).astype(np.uint8)
    for smoothness, sigma in ((32.0, 200.0), (60.0, 5.0), (0.5, 1.0), (0.0, 9.0)):
        found = smooth_batch(
            torch.from_numpy(image).permute(0, 3, 1, 2),
            torch.from_numpy(guide).float(),
            smoothness,
            sigma,
        )
        for one, picture, result in zip(guide, image, found, strict=True):
            expected = picture
            if smoothness:
                expected = cv2.ximgproc.fastGlobalSmootherFilter(
                    one, picture, lambda_=smoothness, sigma_color=sigma
                )
            np.testing.assert_allclose(result.permute(1, 2, 0).numpy(), expected, atol=0.05)


def test_a_single_row_is_three_exact_solves_with_falling_lambda(random):
    signal = random.normal(size=25).astype(np.float32)
    guide = np.rint(random.random(25) * 255)

    smoother = make_smoother((guide / 255).astype(np.float32)[None], fgs(8.0, 40.0))
    smooth = smooth_weighted(smoother, signal[None, :, None], np.ones((1, 25), np.float32))

    expected = signal
    for smoothness in (8, 2, 0.5):
        expected = dense_smoother(expected, guide, smoothness, 40)
    np.testing.assert_allclose(smooth[0, :, 0], expected, atol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_pixels_without_weight_take_the_values_around_them(name):
    image = np.full((9, 9, 1), 7.0, np.float32)
    weight = np.ones((9, 9), np.float32)
    weight[3:6, 3:6] = 0
    image[3:6, 3:6] = -1000

    smoother = make_smoother(np.zeros((9, 9), np.float32), SmoothingSettings(filter=name))

    np.testing.assert_allclose(smooth_weighted(smoother, image, weight), 7, atol=1e-2)


def test_nothing_known_gives_zero_and_no_nan():
    zeros = np.zeros((4, 5), np.float32)

    smooth = smooth_weighted(make_smoother(zeros, fgs(5.0, 9.0)), zeros[..., None] + 3, zeros)

    assert not smooth.any()


def test_the_papers_numbers_are_those_of_its_figure_6():
    assert (PAPER_FIGURE_6["fgs"].smoothness, PAPER_FIGURE_6["fgs"].guide_sigma) == (32, 200)
    assert (PAPER_FIGURE_6["guided"].radius_px, PAPER_FIGURE_6["guided"].epsilon) == (16, 2)
    assert {name: made.filter for name, made in PAPER_FIGURE_6.items()} == {
        "guided": "guided", "domain-nc": "domain-nc", "wls": "wls", "fgs": "fgs"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"smoothness": -1.0}, "smoothness"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"radius_px": 0}, "radius"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        SmoothingSettings(**wrong)
