import numpy as np
import pytest

from medcolor.color import lightness
from medcolor.evaluate.baselines import GreyTransfer, MeanColor, Reinhard, Welsh


def fitted(grey, lab):
    transfer = GreyTransfer()
    transfer.fit(grey, lab)
    return transfer


def test_each_level_becomes_the_mean_of_its_colours():
    random = np.random.default_rng(0)
    level = random.integers(0, 256, 5000)
    lab = random.uniform(-50, 90, (5000, 3))
    found = fitted(level / 255, lab)(level / 255)
    for value in np.unique(level):
        expected = lab[level == value].mean(axis=0)
        np.testing.assert_allclose(
            found[level == value], expected[None].repeat((level == value).sum(), 0), rtol=1e-4
        )


def test_no_other_transfer_function_is_nearer_to_what_it_was_fitted_to():
    random = np.random.default_rng(1)
    grey = random.random(4000)
    lab = np.stack([100 * grey, 30 * np.sin(6 * grey), 20 * grey**2], -1)
    lab += random.normal(0, 5, lab.shape)
    best = fitted(grey, lab)
    own = ((best(grey) - lab) ** 2).sum()
    for _ in range(20):
        other = best(grey) + random.normal(0, 1, (256, 3))[np.rint(255 * grey).astype(int)]
        assert ((other - lab) ** 2).sum() > own


def test_levels_never_seen_lie_between_their_neighbours():
    transfer = fitted(np.array([0.0, 1.0]), np.array([[0.0, 10, -10], [100, 30, 10]]))
    np.testing.assert_allclose(transfer(np.array([[0.2]]))[0, 0], [20, 14, -6], atol=1e-4)


def test_samples_may_come_in_parts():
    random = np.random.default_rng(2)
    grey, lab = random.random(500), random.random((500, 3))
    parts = GreyTransfer()
    parts.fit(grey[:200], lab[:200])
    parts.fit(grey[200:], lab[200:])
    np.testing.assert_allclose(parts(grey), fitted(grey, lab)(grey), rtol=1e-5)


def lab_image(random, shape=(30, 40)):
    grey = random.random(shape).astype(np.float32)
    lab = np.stack([lightness(grey), 20 + 30 * (grey > 0.5), 10 + 0 * grey], -1)
    return grey, lab.astype(np.float32)


def test_one_colour_and_reinhards_statistics():
    random = np.random.default_rng(3)
    grey, lab = lab_image(random)
    darker = 0.5 * grey
    mean = MeanColor(lab.reshape(-1, 3))(darker)
    np.testing.assert_allclose(mean[..., 1] - lab[..., 1].mean(), 0, atol=1e-3)
    np.testing.assert_allclose(mean[..., 2], 10, atol=1e-3)
    np.testing.assert_allclose(mean[..., 0], lightness(darker))
    moved = Reinhard(lab.reshape(-1, 3), darker.ravel())(darker)
    assert moved[..., 0].mean() == pytest.approx(lab[..., 0].mean(), abs=0.5)
    assert moved[..., 0].std() == pytest.approx(lab[..., 0].std(), abs=0.5)


def test_welsh_takes_the_colour_of_like_lightness_after_matching_statistics():
    random = np.random.default_rng(4)
    grey, lab = lab_image(random)
    body = np.ones(grey.shape, bool)
    paler = 0.25 + 0.5 * grey  # the same picture with less contrast
    welsh = Welsh([(lab, body)], paler.ravel(), random)
    found = welsh(paler.astype(np.float32))
    np.testing.assert_allclose(found[..., 0], lightness(paler), atol=1e-3)
    clear = np.abs(grey - 0.5) > 0.1
    assert (found[clear][:, 1] == lab[clear][:, 1]).mean() > 0.95
