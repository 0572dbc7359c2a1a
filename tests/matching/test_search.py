import itertools
import sys
from functools import partial

import pytest
import torch
from oracles import best_match, patch_score, unit_features

from medcolor.matching import window_cpu, window_torch
from medcolor.matching.search import (
    search_global,
    search_window,
    similarity_at,
    similarity_table,
    window_cost,
)

KERNELS = [window_cpu, window_torch]
if sys.platform == "linux":  # Triton is for Linux
    from medcolor.matching import window_triton

    KERNELS.append(window_triton)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("patch", [1, 3, 5])
def test_every_entry_of_the_table_is_the_mean_cosine_of_two_patches(generator, patch):
    target, reference = unit_features(generator, 4, 5, 6), unit_features(generator, 4, 4, 3)

    table = similarity_table(target[None], reference[None], patch)[0]

    for row, col, row2, col2 in itertools.product(range(5), range(6), range(4), range(3)):
        expected = patch_score(target, reference, (row, col), (row2, col2), patch)
        assert float(table[row, col, row2, col2]) == pytest.approx(expected, abs=1e-6)


def test_given_matches_are_scored_as_the_table_scores_them(generator):
    own, other = unit_features(generator, 4, 5, 6), unit_features(generator, 4, 4, 3)
    rows = torch.randint(0, 4, (5, 6), generator=generator)
    position = torch.stack([rows, torch.randint(0, 3, (5, 6), generator=generator)])
    table = similarity_table(own[None], other[None], 3)[0]
    rows, cols = torch.meshgrid(torch.arange(5), torch.arange(6), indexing="ij")
    expected = table[rows, cols, position[0], position[1]]
    found = similarity_at(own[None], other[None], position[None], 3)[0]
    torch.testing.assert_close(found, expected)


def test_global_search_equals_brute_force_in_both_directions(generator):
    target, reference = unit_features(generator, 4, 6, 5), unit_features(generator, 4, 4, 6)
    target_mask = torch.rand(6, 5, generator=generator) < 0.6
    reference_mask = torch.rand(4, 6, generator=generator) < 0.6
    prior = -0.3 * torch.rand(6, 5, 4, 6, generator=generator)
    table = similarity_table(target[None], reference[None], 3)

    forward, backward = search_global(
        table, prior[None], prior[None], target_mask[None], reference_mask[None]
    )

    allowed = [tuple(cell) for cell in reference_mask.nonzero().tolist()]
    for row, col in itertools.product(range(6), range(5)):
        penalty = partial(lambda at, to: -float(prior[at][to]), (row, col))
        place, score = best_match(target, reference, (row, col), allowed, 3, penalty)
        assert tuple(forward.position[0, :, row, col].tolist()) == place
        assert float(forward.similarity[0, row, col]) == pytest.approx(score, abs=1e-6)
    allowed = [tuple(cell) for cell in target_mask.nonzero().tolist()]
    for row, col in itertools.product(range(4), range(6)):
        penalty = partial(lambda at, to: -float(prior[to][at]), (row, col))
        place, _ = best_match(reference, target, (row, col), allowed, 3, penalty)
        assert tuple(backward.position[0, :, row, col].tolist()) == place


@pytest.mark.parametrize(("radius", "patch"), [(2, 3), (3, 1), (1, 5), (0, 3)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_window_search_equals_brute_force(generator, kernel, radius, patch):
    """Two pairs at once; features that float16 holds exactly, as the Triton kernel reads them."""
    own, other = (
        torch.stack([unit_features(generator, 5, *shape) for _ in range(2)]).half().float()
        for shape in ((8, 12), (10, 6))
    )
    coarse = torch.stack(
        [
            torch.randint(0, 5, (2, 4, 6), generator=generator),
            torch.randint(0, 3, (2, 4, 6), generator=generator),
        ],
        1,
    )
    own_mask = torch.rand(2, 8, 12, generator=generator) < 0.8
    mask = torch.rand(2, 10, 6, generator=generator) < 0.5
    leave = torch.tensor([0.02, 0.05])

    position, similarity = kernel.search_blocks(
        own, other, 2 * coarse, own_mask, mask, window_cost(radius, leave), patch
    )

    for pair, row, col in itertools.product(range(2), range(8), range(12)):
        start = [2 * int(coarse[pair, a, row // 2, col // 2]) + (row, col)[a] % 2 for a in (0, 1)]
        bounds = zip(start, (10, 6), strict=True)
        window = [range(max(0, s - radius), min(n, s + radius + 1)) for s, n in bounds]
        candidates = [to for to in itertools.product(*window) if mask[pair][to]]
        found = tuple(position[pair, :, row, col].tolist())
        if not candidates or not own_mask[pair, row, col]:
            assert found == tuple(start)
            continue

        def penalty(to, start=start, step=float(leave[pair])):
            return step * ((to[0] - start[0]) ** 2 + (to[1] - start[1]) ** 2) ** 0.5

        place, score = best_match(own[pair], other[pair], (row, col), candidates, patch, penalty)
        assert found == place
        assert float(similarity[pair, row, col]) == pytest.approx(score, abs=1e-5)


def test_dead_features_keep_the_upsampled_match_and_give_no_nan():
    dead = torch.zeros(1, 4, 8, 8)
    coarse = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"))[None]

    everywhere = torch.ones(1, 8, 8) > 0
    field = search_window(
        dead,
        dead,
        coarse,
        everywhere,
        everywhere,
        radius_px=2,
        patch_px=3,
        leave_cost=torch.zeros(1),
    )

    rows, cols = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    assert torch.equal(field.position[0], torch.stack([rows, cols]))
    assert torch.isfinite(field.similarity).all()
