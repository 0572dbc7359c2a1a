"""What a GPU runs, in Triton's interpreter, against what a CPU finds pair by pair."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from conftest import draw_slice

pytest.importorskip("triton")  # for Linux alone

from medcolor.features.extract import _extract_together, extract_pyramid
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.matching.coarse_to_fine import _match, match_coarse_to_fine
from medcolor.matching.finish_triton import vote_at_once
from medcolor.matching.many_pairs import ManyPairs
from medcolor.matching.searches import Searches
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.vote import vote

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="kernels are compiled here; jobs/check_gpu.py compares them"
)
PAIRS = [(0, 1), (1, 0)]


def picture(level, rows, cols):
    """The middle of a slice with some texture, so that no two matches are alike."""
    grey, labels = draw_slice(level, 48)
    noise = 0.1 * np.random.default_rng(int(100 * level)).standard_normal(grey.shape)
    shown = np.clip(grey + noise, 0, 1) * (labels > 0)
    top, left = 26 - rows // 2, 24 - cols // 2
    part = slice(top, top + rows), slice(left, left + cols)
    return shown[part].astype(np.float32), labels[part] > 0


@cache
def images(network, extract):
    slices = [extract(network, *picture(0.3, 32, 16)), extract(network, *picture(0.6, 14, 15))]
    photographs = [extract(network, *picture(0.8, 16, 30)), extract(network, *picture(0.5, 32, 28))]
    return [slices[one] for one, _ in PAIRS], [photographs[other] for _, other in PAIRS]


def on_gpu(network, grey, tissue):
    return _extract_together(network, [(grey, tissue)], 0)[0]


def directions(found, number, target, reference):
    """Return both fields of a pair without what lies beyond its images."""
    for field, image in (
        (found.target_to_reference, target),
        (found.reference_to_target, reference),
    ):
        rows, cols = image.tissue.shape[1:]
        part = field.position[number, :, :rows, :cols], field.similarity[number, :rows, :cols]
        yield part[0].long(), part[1]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"patch_px": (1, 3, 5, 3, 3), "tone_weight": 0.0, "finest_level": "relu3_1"},
        pytest.param(
            {
                "search": ("global", "global", "window", "window", "window"),
                "finest_level": "relu3_1",
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_pairs_of_several_shapes_find_at_once_what_each_finds_on_a_cpu(network, change):
    settings = MatchingSettings(**change)
    expected = match_coarse_to_fine(*images(network.module, extract_pyramid), settings)
    targets, references = images(network.module, on_gpu)

    many = ManyPairs.of(list(zip(targets, references, strict=True)), settings, None)
    found = _match(many, settings, None)

    for number, pair in enumerate(zip(targets, references, strict=True)):
        both = zip(
            directions(expected, number, *pair), directions(found, number, *pair), strict=True
        )
        for (position, score), (position2, score2) in both:
            same = (position == position2).all(0)
            assert float(same.float().mean()) > 0.99  # features are rounded to float16
            torch.testing.assert_close(score2[same], score[same], atol=1e-3, rtol=0)
        rows, cols = pair[0].tissue.shape[1:]
        sure, sure2 = (one.confidence[number, :rows, :cols] for one in (expected, found))
        assert float((sure - sure2).abs().mean()) < 0.01
        assert not found.target_to_reference.position[number, :, rows:].any()
        assert not found.confidence[number, :, cols:].any()


def test_what_a_pair_finds_and_says_does_not_depend_on_the_others(network):
    """Neither on their shapes nor on their order, to the bit."""
    settings = MatchingSettings(finest_level="relu3_1")
    targets, references = images(network.module, on_gpu)
    labs = [torch.rand(1, 3, *one.tissue.shape[1:]) for one in references]

    def hear(numbers):
        pairs = [(targets[number], references[number]) for number in numbers]
        found = _match(ManyPairs.of(pairs, settings, None), settings, None)
        values = [labs[number] for number in numbers]
        said = vote_at_once(Searches.of(pairs), found, values, patch_px=5, least_confidence=0.05)
        return found, said

    together, said = hear([1, 0])
    for place, number in enumerate([1, 0]):
        alone, said_alone = hear([number])
        pair = targets[number], references[number]
        for one, other in zip(
            directions(alone, 0, *pair), directions(together, place, *pair), strict=True
        ):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])
        rows, cols = targets[number].tissue.shape[1:]
        assert torch.equal(said_alone[0, :, :rows, :cols], said[place, :, :rows, :cols])


def test_votes_of_all_pairs_at_once_are_those_of_one_after_another(network):
    targets, references = images(network.module, extract_pyramid)
    found = match_coarse_to_fine(targets, references, MatchingSettings())
    source = torch.Generator().manual_seed(0)
    labs = [torch.rand(1, 3, *one.tissue.shape[1:], generator=source) for one in references]
    pairs = list(zip(targets, references, strict=True))
    forward = found.target_to_reference
    narrow = replace(found, target_to_reference=replace(forward, position=forward.position.int()))

    said = vote_at_once(Searches.of(pairs), narrow, labs, patch_px=5, least_confidence=0.05)

    for number, (target, reference) in enumerate(pairs):
        rows, cols = target.tissue.shape[1:]
        position = forward.position[number : number + 1, :, :rows, :cols]
        sure = found.confidence[number : number + 1, :rows, :cols].clamp(min=0.05)
        weight = target.tissue * sure
        lab, trust = vote(position, weight, labs[number], reference.tissue, patch_px=5)
        expected = torch.cat([lab, trust[:, None]], 1)[0]
        torch.testing.assert_close(said[number, :, :rows, :cols], expected, atol=1e-5, rtol=1e-5)
        assert not said[number, :, rows:].any()


def test_reconstructions_are_made_of_pairs_of_one_shape_as_of_one():
    """The network has fewer channels than a tensor core multiplies: zeros fill them up."""
    torch.manual_seed(5)
    spec = NetworkSpec(name="s", width=1 / 16, descriptor_size=8, descriptor_taps=("relu3_1",))
    network = GrayVGG19(spec).requires_grad_(False)
    settings = MatchingSettings(
        deconvolution_evaluations=3, finest_level="relu3_1",
        tone_weight=0.0, radius_px=(1, 1, 1, 1),
    )  # fmt: skip
    pictures = (
        [picture(0.3, 16, 32), picture(0.7, 16, 32)],
        [picture(0.5, 32, 16), picture(0.9, 32, 14)],
    )

    def match_on_gpu(extract):
        return [[extract(network, *one) for one in side] for side in pictures]

    expected = match_coarse_to_fine(*match_on_gpu(extract_pyramid), settings, network)
    targets, references = match_on_gpu(on_gpu)
    many = ManyPairs.of(list(zip(targets, references, strict=True)), settings, network)
    with torch.no_grad():
        found = _match(many, settings, None)

    for one, other in (
        (expected.target_to_reference, found.target_to_reference),
        (expected.reference_to_target, found.reference_to_target),
    ):
        rows, cols = one.similarity.shape[1:]
        same = (one.position == other.position[..., :rows, :cols]).all(1)
        assert float(same.float().mean()) > 0.95  # float16 all the way
