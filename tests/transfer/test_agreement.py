import numpy as np
import pytest

from medcolor.color import lightness
from medcolor.transfer.agreement import Vote, blend_votes

SHAPE = (20, 30)


@pytest.fixture
def grey():
    return np.random.default_rng(0).random(SHAPE).astype(np.float32)


def vote(light, chroma, nearness=1.0, trust=1.0):
    lab = np.stack([light, np.full(SHAPE, chroma), np.zeros(SHAPE)], -1).astype(np.float32)
    return Vote(lab, lab, np.full(SHAPE, trust, np.float32), nearness)


def test_a_reference_whose_lightness_is_the_scans_is_heard_most(grey):
    right, wrong = vote(lightness(grey), 10.0), vote(lightness(grey)[::-1, ::-1], 50.0)
    both = blend_votes([right, wrong], grey, 5.0)
    differs = np.abs(right.lab[..., 0] - wrong.lab[..., 0]) > 60
    assert both.lab[differs][:, 1].mean() < 20
    assert blend_votes([right, wrong], grey, 0.0).lab[..., 1].mean() == pytest.approx(30)


@pytest.mark.parametrize("law", [lambda g: 1 - g, lambda g: 0.2 + 0.3 * g])
def test_how_grey_goes_with_lightness_is_learnt(grey, law):
    """Of three references two follow one law, turned over or flattened; the third is noise."""
    noise = 100 * np.random.default_rng(1).random(SHAPE)
    votes = [vote(100 * law(grey), 10.0), vote(100 * law(grey), 10.0), vote(noise, 50.0)]
    found = blend_votes(votes, grey, 5.0)
    astray = np.abs(noise - 100 * law(grey)) > 50
    assert found.lab[astray][:, 1].mean() < 15


def test_weights_are_nearness_and_the_root_of_trust(grey):
    light = lightness(grey)
    found = blend_votes([vote(light, 0.0, 3.0), vote(light, 40.0, 1.0)], grey, 5.0)
    np.testing.assert_allclose(found.lab[..., 1], 10, atol=1e-3)
    found = blend_votes([vote(light, 0.0, trust=1.0), vote(light, 30.0, trust=0.25)], grey, 5.0)
    np.testing.assert_allclose(found.lab[..., 1], 10, atol=1e-3)


def test_one_reference_is_itself_and_trusted_less_where_it_disagrees(grey):
    light = lightness(grey)
    light[5, 5] = (light[5, 5] + 50) % 100
    only = vote(light, 7.0)
    found = blend_votes([only], grey, 5.0)
    np.testing.assert_allclose(found.lab, only.lab, atol=1e-4)
    assert found.trust[5, 5] < 0.1
    assert found.trust[5, 6] > 0.9


def test_no_trust_at_all_gives_zero_and_no_nan(grey):
    found = blend_votes([vote(lightness(grey), 7.0, trust=0.0)] * 2, grey, 5.0)
    assert not found.trust.any()
    assert np.isfinite(found.lab).all()
