import numpy as np
import pytest
import torch

from medcolor.features.pyramid import FeaturePyramid
from medcolor.matching.tone import append_tone, read_curve, teach_tone, tone_curve


def pyramid(luminance):
    """Two levels of dead features: tone is all there is."""
    tones = luminance[None], torch.nn.functional.avg_pool2d(luminance[None], 2)
    masks = tuple(torch.ones_like(tone, dtype=torch.bool) for tone in tones)
    levels = {index: torch.zeros(1, 3, *tone.shape[1:]) for index, tone in enumerate(tones)}
    lengths = {index: torch.zeros_like(tone) for index, tone in enumerate(tones)}
    extent = (tuple(luminance.shape),)
    return FeaturePyramid(levels, lengths, masks, tones, extent, luminance[None], masks[0])


def one_curve(own, other, weight):
    curve, explained = tone_curve(own[None], other[None], weight[None])
    return curve, explained[0]


def test_a_curve_is_learnt_whether_it_rises_or_falls_and_its_spread_is_kept():
    own = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    for law in (lambda t: 0.2 + 0.5 * t, lambda t: 0.9 - 0.7 * t, lambda t: (2 * t - 1) ** 2):
        curve, explained = one_curve(own, law(own), torch.ones(2000))
        assert explained > 0.96
        inner = torch.linspace(0.2, 0.8, 20)
        np.testing.assert_allclose(read_curve(curve, inner[None])[0], law(inner), atol=0.06)


def test_noise_explains_nothing_and_half_of_it_half():
    source = torch.Generator().manual_seed(1)
    own, noise = torch.rand(5000, generator=source), torch.randn(5000, generator=source)
    assert one_curve(own, noise, torch.ones(5000))[1] < 0.01
    mixed = own + own.std() * noise  # half of the variance
    assert one_curve(own, mixed, torch.ones(5000))[1] == pytest.approx(0.5, abs=0.04)


def test_nothing_trusted_or_one_tone_tell_nothing():
    own = torch.rand(50, generator=torch.Generator().manual_seed(2))
    assert one_curve(own, own, torch.zeros(50))[1] == 0
    assert one_curve(own, torch.full((50,), 0.4), torch.ones(50))[1] == 0


def test_tone_draws_like_to_like_through_an_inverted_contrast():
    source = torch.Generator().manual_seed(3)
    blocks = torch.rand(8, 8, generator=source).repeat_interleave(2, 0).repeat_interleave(2, 1)
    target, reference = pyramid(1 - blocks), pyramid(blocks)
    rows, cols = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    tone = teach_tone(target, reference, 0, torch.stack([rows, cols])[None], torch.ones(1, 8, 8))
    assert float(tone.explained) > 0.95
    share = torch.tensor([0.5])
    own = append_tone(target.levels[0], tone.own, target.masks[0], share)
    other = append_tone(reference.levels[0], tone.other, reference.masks[0], share)
    score = (own * other).sum(1)
    assert float(score.min()) > 0.5 * 0.95
    assert float(own.square().sum(1).max()) == pytest.approx(0.5, abs=0.05)


def test_tone_takes_its_share_of_the_score_and_no_more():
    source = torch.Generator().manual_seed(4)
    plain = torch.nn.functional.normalize(torch.rand(3, 4, 4, generator=source), dim=0)
    tone, mask = torch.rand(4, 4, generator=source), torch.ones(4, 4) > 0
    for share in (0.0, 0.3):
        parts = (part[None] for part in (plain, tone, mask, torch.tensor(share)))
        joined = append_tone(*parts)[0].flatten(1)
        angle = 3 * (tone.flatten()[:, None] - tone.flatten())
        expected = (1 - share) * plain.flatten(1).T @ plain.flatten(1) + share * torch.cos(angle)
        torch.testing.assert_close(joined.T @ joined, expected)
