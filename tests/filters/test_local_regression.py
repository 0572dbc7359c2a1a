import numpy as np
import pytest
import torch

from medcolor.filters.local_regression import explain_locally

RADIUS = 3


@pytest.fixture
def guides():
    source = torch.Generator().manual_seed(0)
    return torch.rand(3, 22, 18, generator=source)


@pytest.fixture
def everywhere():
    return torch.ones(22, 18, dtype=torch.bool)


def by_hand(image, guides, mask, ridge, high=RADIUS, wide=RADIUS):
    """Fit every window by itself, then average the fits of the windows that hold a pixel."""
    rows, cols = mask.shape
    fits = np.zeros((rows, cols, 4))
    windows = {}
    for row, col in np.ndindex(rows, cols):
        near = (
            slice(max(0, row - high), row + high + 1),
            slice(max(0, col - wide), col + wide + 1),
        )
        windows[row, col], kept = near, mask[near]
        x, y = guides[(slice(None), *near)][:, kept], image[near][kept]
        centred = x - x.mean(1, keepdims=True)
        variance = centred @ centred.T / kept.sum() + ridge * np.eye(3)
        slopes = np.linalg.solve(variance, centred @ (y - y.mean()) / kept.sum())
        fits[row, col] = [*slopes, y.mean() - slopes @ x.mean(1)]
    found = np.zeros((rows, cols))
    for place in zip(*np.nonzero(mask), strict=True):
        near = windows[place]
        mean = fits[near][mask[near]].mean(0)
        found[place] = mean[:3] @ guides[(slice(None), *place)] + mean[3]
    return found


def test_it_is_least_squares_in_every_window(guides, everywhere):
    source = np.random.default_rng(1)
    image = source.random((22, 18)).astype(np.float32)
    mask = everywhere.clone()
    mask[:6, :7] = False
    found = explain_locally(
        torch.from_numpy(image)[None] * mask, guides * mask, mask, float(RADIUS), 0.01
    )
    expected = by_hand(image.astype(float), guides.double().numpy(), mask.numpy(), 0.01)
    np.testing.assert_allclose(found[0], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("pixel", "radii"), [((3.0, 1.0), (1, 3)), ((1.0, 2.0), (3, 2)), ((30.0, 1.0), (0, 3))]
)
def test_windows_are_square_in_millimetres(guides, everywhere, pixel, radii):
    image = np.random.default_rng(1).random((22, 18)).astype(np.float32)
    found = explain_locally(
        torch.from_numpy(image)[None], guides, everywhere, float(RADIUS), 0.01, pixel
    )
    expected = by_hand(
        image.astype(float), guides.double().numpy(), everywhere.numpy(), 0.01, *radii
    )
    np.testing.assert_allclose(found[0], expected, atol=2e-4)


@pytest.mark.parametrize("radius", [3, 9])
def test_what_the_guides_explain_is_kept(guides, everywhere, radius):
    image = 2 * guides[:1] - 3 * guides[1:2] + guides[2:] + 7
    found = explain_locally(image, guides, everywhere, float(radius), 1e-6)
    assert float((found - image).abs().max()) < (0.01 if radius < 6 else 0.6)


def test_what_they_do_not_explain_is_averaged_away(everywhere):
    noise = torch.rand(1, 22, 18, generator=torch.Generator().manual_seed(2))
    found = explain_locally(noise, torch.zeros(3, 22, 18), everywhere, 5.0, 1e-3)
    assert float(found.std()) < 0.2 * float(noise.std())


def test_what_lies_outside_the_mask_is_never_seen(guides, everywhere):
    mask = everywhere.clone()
    mask[10:] = False
    image = torch.where(mask, 1.0, 50.0)[None]
    found = explain_locally(image * mask, guides * mask, mask, 4.0, 1e-3)
    torch.testing.assert_close(found[0], mask.float(), atol=1e-4, rtol=0)
