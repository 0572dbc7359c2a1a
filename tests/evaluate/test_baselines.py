import numpy as np

from medcolor.evaluate.baselines import GreyTransfer


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
