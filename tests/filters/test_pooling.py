import numpy as np
import pytest

from medcolor.filters.pooling import pool_votes
from medcolor.filters.settings import PoolingSettings
from medcolor.filters.spread import match_spread

FULL = PoolingSettings(share=1.0, cell_px=8, levels=8, rounds=5)
WIDER = 1.0, 1.6
PLAIN = PoolingSettings(share=1.0, cell_px=8, levels=8, rounds=0)


def random_case(seed=0, shape=(37, 29)):
    random = np.random.default_rng(seed)
    lab = random.uniform(-40, 90, (*shape, 3)).astype(np.float32)
    grey = random.random(shape, dtype=np.float32)
    weight = random.random(shape, dtype=np.float32)
    return lab, grey, weight


def brute_force(lab, grey, weight, cell_px, levels):
    """Average over cells written out: nearest cell in, Gaussian between cells, linear out."""
    rows, cols = grey.shape
    place = np.stack([*np.mgrid[0:rows, 0:cols] / cell_px, np.clip(grey, 0, 1) * (levels - 1)])
    size = [round((rows - 1) / cell_px) + 1, round((cols - 1) / cell_px) + 1, levels]
    last = np.array(size)[:, None, None] - 1
    total = np.zeros((*size, 4))
    for i, j in np.ndindex(rows, cols):
        cell = tuple(np.minimum(np.rint(place[:, i, j]), last[:, 0, 0]).astype(int))
        total[cell] += weight[i, j] * np.append(lab[i, j], 1)
    gauss = np.exp(-0.5 * np.arange(-3, 4.0) ** 2)
    for axis, kernel in enumerate((gauss / gauss.sum(), gauss / gauss.sum(), [0.25, 0.5, 0.25])):
        half = len(kernel) // 2
        total = np.apply_along_axis(np.convolve, axis, total, kernel)
        total = np.take(total, np.arange(half, half + size[axis]), axis)
    result = np.empty_like(lab)
    for i, j in np.ndindex(rows, cols):
        found = np.zeros(4)
        low = np.floor(np.clip(place[:, i, j], 0, last[:, 0, 0])).astype(int)
        share = np.clip(place[:, i, j], 0, last[:, 0, 0]) - low
        for corner in np.ndindex(2, 2, 2):
            part = np.where(corner, share, 1 - share).prod()
            found += part * total[tuple(np.minimum(low + corner, last[:, 0, 0]))]
        result[i, j] = found[:3] / found[3]
    return result


def test_the_mean_is_that_of_cells_written_out():
    lab, grey, weight = random_case()
    expected = brute_force(lab, grey, weight, 8, 8)
    np.testing.assert_allclose(pool_votes(lab, grey, weight, PLAIN), expected, atol=2e-3)


def test_one_colour_stays_itself_and_share_0_changes_nothing():
    lab, grey, weight = random_case()
    same = np.broadcast_to(np.float32([50, 20, 10]), lab.shape).copy()
    np.testing.assert_allclose(pool_votes(same, grey, weight, FULL), same, atol=1e-3)
    nothing = PoolingSettings(share=0.0, fallback_below=0.0)
    np.testing.assert_array_equal(pool_votes(lab, grey, weight, nothing), lab)


def test_wrong_votes_do_not_pull_the_others():
    """Two tissues by grey level; three votes in ten carry the other's colour."""
    random = np.random.default_rng(1)
    bright = random.random((64, 64)) < 0.5
    colors = np.float32([[30, 30, 20], [75, 5, 25]])
    wrong = random.random((64, 64)) < 0.3
    lab = colors[(bright ^ wrong).astype(int)]
    grey = np.where(bright, 0.8, 0.2).astype(np.float32)
    weight = np.ones_like(grey)
    robust = pool_votes(lab, grey, weight, PoolingSettings(share=1.0))
    plain = pool_votes(lab, grey, weight, PoolingSettings(share=1.0, rounds=0))
    truth = colors[bright.astype(int)]
    assert np.abs(robust - truth).max() < 1.5
    assert np.abs(plain - truth).max() > 10


def test_pixels_of_weight_zero_are_not_heard():
    lab, grey, weight = random_case()
    deaf = np.random.default_rng(2).random(grey.shape) < 0.4
    weight = np.where(deaf, 0, weight)
    other = np.where(deaf[..., None], 1e3, lab).astype(np.float32)
    found = pool_votes(other, grey, weight, FULL)
    np.testing.assert_allclose(found[~deaf], pool_votes(lab, grey, weight, FULL)[~deaf], atol=1e-3)


def test_the_same_grey_level_far_away_has_a_colour_of_its_own():
    lab = np.zeros((20, 200, 3), np.float32)
    lab[:, :100] = [40, 40, 0]
    lab[:, 100:] = [40, 0, 40]
    grey = np.full((20, 200), 0.5, np.float32)
    found = pool_votes(lab, grey, np.ones_like(grey), FULL)
    np.testing.assert_allclose(found[:, :40], lab[:, :40], atol=0.5)
    np.testing.assert_allclose(found[:, 160:], lab[:, 160:], atol=0.5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (16, 16)])
def test_any_size_and_no_votes_at_all_are_defined(shape):
    lab, grey, weight = random_case(shape=shape)
    for heard in (weight, 0 * weight):
        assert np.isfinite(pool_votes(lab, grey, heard, PoolingSettings())).all()
        assert np.isfinite(match_spread(lab, lab, heard, 1.0, WIDER)).all()


def test_spread_is_that_of_the_matches_and_the_mean_stays():
    matched, _, weight = random_case()
    narrow = (0.8 * (matched - 10) + 7).astype(np.float32)
    wide = match_spread(narrow, matched, weight, 1.0, WIDER)

    def moments(image):
        mean = np.average(image.reshape(-1, 3), axis=0, weights=weight.ravel())
        square = np.average((image.reshape(-1, 3) - mean) ** 2, axis=0, weights=weight.ravel())
        return mean, np.sqrt(square)

    np.testing.assert_allclose(moments(wide)[0], moments(narrow)[0], atol=1e-2)
    np.testing.assert_allclose(moments(wide)[1], moments(matched)[1], rtol=1e-3)
    np.testing.assert_array_equal(match_spread(narrow, matched, weight, 0.0, WIDER), narrow)


def test_colours_are_never_narrowed_nor_widened_without_bound():
    lab, _, weight = random_case()
    np.testing.assert_allclose(match_spread(lab, 0.5 * lab, weight, 1.0, WIDER), lab, atol=1e-3)
    flat = np.full_like(lab, 5)
    np.testing.assert_allclose(match_spread(flat, lab, weight, 1.0, WIDER), flat, atol=1e-3)


def test_votes_nobody_trusts_yield_to_what_their_grey_level_got_around_them():
    random = np.random.default_rng(8)
    grey = (random.random((40, 40)) < 0.5).astype(np.float32)
    lab = np.stack([50 + 0 * grey, 40 * grey, 0 * grey], -1).astype(np.float32)
    truth = lab.copy()
    weight = np.ones_like(grey)
    astray = random.random(grey.shape) < 0.2
    lab[astray] = [0, -60, 60]
    weight[astray] = 0.02
    settings = PoolingSettings(share=0.0, fallback_below=0.1)
    moved = pool_votes(lab, grey, weight, settings)
    assert np.abs(moved - truth)[astray].mean() < 0.35 * np.abs(lab - truth)[astray].mean()
    np.testing.assert_array_equal(moved[~astray], lab[~astray])
