import numpy as np
import pytest
import torch

from medcolor.domain import SQUARE
from medcolor.filters.bilateral import _by_shifts, bilateral


@pytest.fixture
def image():
    random = np.random.default_rng(0)
    steps = np.where(np.arange(24)[:, None] < 12, 0.0, 100.0)
    return (steps + random.normal(0, 5, (24, 20))).astype(np.float32)


def by_hand(image, radius, sigma_px, sigma_value, pixel=SQUARE):
    framed = np.pad(image.astype(np.float64), radius, mode="reflect")
    found = np.zeros(image.shape)
    offsets = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    squared = ((offsets * np.array(pixel)[:, None, None]) ** 2).sum(0)
    for row, col in np.ndindex(image.shape):
        near = framed[row : row + 2 * radius + 1, col : col + 2 * radius + 1]
        away = (near - image[row, col]) / sigma_value
        weight = np.exp(-0.5 * (away**2 + squared / sigma_px**2)) * (squared <= radius**2)
        found[row, col] = (weight * near).sum() / weight.sum()
    return found


def test_both_ways_are_the_sum_that_is_written_down(image):
    expected = by_hand(image, 2, 1.2, 12.0)
    tensor = torch.from_numpy(image)
    np.testing.assert_allclose(_by_shifts(tensor, 2, 1.2, 12.0, SQUARE), expected, atol=1e-3)
    # OpenCV reads the exponential from a table.
    np.testing.assert_allclose(bilateral(tensor, 1.2, 12.0), expected, atol=0.05)


@pytest.mark.parametrize("pixel", [(1.0, 1.3), (2.0, 1.0), (1.0, 2.0), (1.0, 30.0)])
def test_the_disc_is_round_in_millimetres(image, pixel):
    expected = by_hand(image, 4, 2.8, 12.0, pixel)
    found = bilateral(torch.from_numpy(image), 2.8, 12.0, pixel)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1), (2, 3)])
def test_images_smaller_than_the_disc_are_reflected_as_opencv_does(shape):
    image = torch.from_numpy(np.random.default_rng(0).random(shape, np.float32))
    shifted = _by_shifts(image, 4, 2.8, 1.0, SQUARE)
    np.testing.assert_allclose(shifted, bilateral(image, 2.8, 1.0), atol=1e-3)


def test_noise_goes_and_the_border_stays(image):
    smooth = bilateral(torch.from_numpy(image), 1.5, 15.0).numpy()
    assert smooth[:12].std() < 0.6 * image[:12].std()
    assert smooth[12].mean() - smooth[11].mean() > 95
