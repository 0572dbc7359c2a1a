"""How pairs are put together for a GPU, tried on a CPU and on fakes."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import COLORS, draw_slice

from medcolor import votes
from medcolor.config import RunSettings
from medcolor.domain import SQUARE, ReferenceSlice, TargetSlice
from medcolor.errors import RunError
from medcolor.features.extract import extract_pyramids
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.features.settings import FeatureSettings
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.memory import pair_bytes
from medcolor.matching.settings import MatchingSettings
from medcolor.pair_limit import GPU_PAIRS, PairLimit, pairs_at_once
from medcolor.prepared import crop_slice, prepare_references
from medcolor.stopwatch import Stopwatch
from medcolor.votes import Pair, gather_votes, vote_colors, warm_up

SETTINGS = RunSettings(features=FeatureSettings(working_size_px=48))


@pytest.fixture(scope="module")
def heard(network):
    """Three crops of several shapes, each with photographs of its own in an order of its own."""
    grey, labels = zip(*(draw_slice(level, 48) for level in (0.1, 0.5, 0.9)), strict=True)
    targets = [
        TargetSlice(shown := one.astype(np.float32), shown, tissue > 0, z, shown, SQUARE)
        for z, (one, tissue) in enumerate(zip(grey, labels, strict=True))
    ]
    crops = [crop_slice(target, SETTINGS.features) for target in targets]
    photographs = [
        ReferenceSlice(
            str(level), COLORS[draw_slice(level, size)[1]], draw_slice(level, size)[1] > 0
        )
        for level, size in ((0.2, 48), (0.6, 60), (0.8, 40))
    ]
    prepared = prepare_references(photographs, network.module, SETTINGS)
    orders = (0, 1, 2), (2, 0), (1,)
    references = [[(prepared[one], 1.0 + one) for one in order] for order in orders]
    return crops, references


def gather(network, heard, limit):
    return gather_votes(*heard, network.module, SETTINGS, Stopwatch(), limit)


def assert_equal(one, other):
    for votes_one, votes_other in zip(one, other, strict=True):
        for a, b in zip(votes_one, votes_other, strict=True):
            for name in ("lab", "trust"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.skipif(torch.cuda.is_available(), reason="compiled here; see jobs/check_gpu.py")
def test_all_photographs_vote_at_once_as_one_after_another(network, heard):
    """What a GPU's kernel says, on its way to the host, is cut to the slice it is about."""
    pytest.importorskip("triton")
    crops, references = heard
    images = extract_pyramids(network.module, [crop.picture for crop in crops])
    pairs = [Pair(images[0], references[0][0][0]), Pair(images[1], references[1][1][0])]
    both = [[getattr(pair, name) for pair in pairs] for name in ("target", "reference")]
    found = match_coarse_to_fine(both[0], [one.pyramid for one in both[1]], SETTINGS.matching)
    narrow = found.target_to_reference.position.int()
    forward = replace(found.target_to_reference, position=narrow)
    said = votes._vote_together(
        replace(found, target_to_reference=forward), pairs, SETTINGS.transfer
    )
    expected = vote_colors(found, pairs, SETTINGS.transfer)
    for crop, one, other in zip(crops[:2], said.opened(), expected.opened(), strict=True):
        part, wanted = one.inside(crop), other.inside(crop)
        assert part.trust.shape == crop.body.shape
        np.testing.assert_allclose(part.lab, wanted.lab, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(part.trust, wanted.trust, rtol=1e-4, atol=1e-4)


def test_what_is_compiled_ahead_is_the_whole_way(network):
    """No error, whatever is set; on a GPU it is done before the first slab."""
    warm_up(network.module, SETTINGS)
    paper = MatchingSettings(deconvolution_evaluations=3, tone_weight=0.0)
    warm_up(network.module, SETTINGS.model_copy(update={"matching": paper}))


@pytest.mark.parametrize("pairs", [2, 4, 24])
def test_how_many_pairs_are_matched_at_once_decides_no_bit(network, heard, pairs):
    assert_equal(gather(network, heard, PairLimit(1)), gather(network, heard, PairLimit(pairs)))


def test_memory_that_does_not_hold_the_pairs_halves_them_and_is_told(
    network, heard, monkeypatch, caplog
):
    real, tried = votes.match_coarse_to_fine, []

    def match(targets, *rest):
        tried.append(len(targets))
        if len(targets) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(targets, *rest)

    expected, limit = gather(network, heard, PairLimit(1)), PairLimit(6)
    monkeypatch.setattr(votes, "match_coarse_to_fine", match)
    with caplog.at_level(logging.WARNING):
        found = gather(network, heard, limit)
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1]
    assert (limit.pairs, limit.halvings) == (1, 2)
    assert "does not hold 6 pairs at once: 3 from now on" in caplog.text
    assert_equal(expected, found)


def test_memory_that_does_not_hold_one_pair_is_an_error_of_one_line(network, heard, monkeypatch):
    def match(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(votes, "match_coarse_to_fine", match)
    with pytest.raises(RunError, match=r"single slice and photograph.*working_size_px"):
        gather(network, heard, PairLimit(1))


def test_slices_without_a_body_take_no_place(network):
    assert gather_votes([], [], network.module, SETTINGS, Stopwatch()) == []


def a_gpu(monkeypatch, gigabytes):
    """A full-width network on a GPU of so much memory."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, gigabytes * 2**30))
    with torch.device("meta"):
        return GrayVGG19(NetworkSpec(name="full", descriptor_size=8))


def test_a_gpu_takes_as_many_pairs_as_it_holds(monkeypatch):
    fast = RunSettings(features=FeatureSettings(working_size_px=448))
    everywhere = MatchingSettings(search=("global", "global", "global", "window", "window"))
    tables = fast.model_copy(update={"matching": everywhere})  # of all cells of relu3_1
    large = a_gpu(monkeypatch, 80)
    assert pairs_at_once(large, fast) == GPU_PAIRS
    assert pairs_at_once(large, fast, most=7) == 7
    large = a_gpu(monkeypatch, 24)
    assert 8 <= pairs_at_once(large, tables) < GPU_PAIRS
    assert pairs_at_once(large, tables, share=0.25) < pairs_at_once(large, tables) / 2
    assert pairs_at_once(a_gpu(monkeypatch, 1), tables) == 1


def test_a_cpu_takes_one_pair_after_another(network):
    assert pairs_at_once(network.module, SETTINGS, most=24) == 1


def test_the_memory_of_a_pair_is_that_of_what_is_found_for_it():
    settings = MatchingSettings()
    foretold = pair_bytes(448, 448, settings)
    fields = sum(24 * (448 >> index) ** 2 for index in (0, 1, 2, 3, 4))
    table, said = 4 * 28**4, 4 * 5 * 448**2
    assert fields + table + said == pytest.approx(foretold, rel=0.01)
