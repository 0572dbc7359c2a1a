import numpy as np
import pytest
import torch

from medcolor.filters.bilateral import _by_shifts, bilateral


@pytest.fixture
def image():
    random = np.random.default_rng(0)
    steps = np.where(np.arange(24)[:, None] < 12, 0.0, 100.0)
    return (steps + random.normal(0, 5, (24, 20))).astype(np.float32)


def by_hand(image, radius, sigma_px, sigma_value):
    framed = np.pad(image.astype(np.float64), radius, mode="reflect")
    found = np.zeros(image.shape)
    offsets = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    squared = (offsets**2).sum(0)
    for row, col in np.ndindex(image.shape):
        near = framed[row : row + 2 * radius + 1, col : col + 2 * radius + 1]
        away = (near - image[row, col]) / sigma_value
        weight = np.exp(-0.5 * (away**2 + squared / sigma_px**2)) * (squared <= radius**2)
        found[row, col] = (weight * near).sum() / weight.sum()
    return found


def test_both_ways_are_the_sum_that_is_written_down(image):
    expected = by_hand(image, 2, 1.2, 12.0)
    tensor = torch.from_numpy(image)
    np.testing.assert_allclose(_by_shifts(tensor, 2, 1.2, 12.0), expected, atol=1e-3)
    # OpenCV reads the exponential from a table.
    np.testing.assert_allclose(bilateral(tensor, 1.2, 12.0), expected, atol=0.05)


def test_noise_goes_and_the_border_stays(image):
    smooth = bilateral(torch.from_numpy(image), 1.5, 15.0).numpy()
    assert smooth[:12].std() < 0.6 * image[:12].std()
    assert smooth[12].mean() - smooth[11].mean() > 95
