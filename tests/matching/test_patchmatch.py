import pytest
import torch

from medcolor.errors import InputError
from medcolor.matching.patchmatch import improve_matches
from medcolor.matching.search import similarity_table

EVERYWHERE = torch.ones(24, 20) > 0


@pytest.fixture
def pair():
    """Features of an image and of the same moved by (3, 5), with noise; both smooth."""
    source = torch.Generator().manual_seed(3)
    coarse = torch.randn(1, 6, 6, 5, generator=source)
    own = torch.nn.functional.interpolate(coarse, size=(24, 20), mode="bicubic")[0]
    other = own.roll((3, 5), (1, 2)) + 0.2 * torch.randn(6, 24, 20, generator=source)
    return [torch.nn.functional.normalize(part, dim=0) for part in (own, other)]


def anywhere(seed=0):
    source = torch.Generator().manual_seed(seed)
    size = torch.tensor([24, 20])[:, None, None]
    return (torch.rand(2, 24, 20, generator=source) * size).long()


def improve(pair, start, rounds=10, radius_px=24, leave_cost=0.0, masks=(EVERYWHERE, EVERYWHERE)):
    return improve_matches(
        *pair,
        start,
        start,
        *masks,
        leave_cost,
        patch_px=3,
        radius_px=radius_px,
        rounds=rounds,
    )


def scores_at(table, position):
    rows, cols = torch.meshgrid(torch.arange(24), torch.arange(20), indexing="ij")
    return table[rows, cols, position[0], position[1]]


def test_energy_comes_within_a_hundredth_of_the_optimum_from_anywhere(pair):
    table = similarity_table(*(part[None] for part in pair), 3)[0]
    best = table.flatten(2).amax(2).mean()

    position, score = improve(pair, anywhere())

    torch.testing.assert_close(score, scores_at(table, position))
    assert float(score.mean()) > 0.99 * float(best)


def test_more_rounds_never_hurt_and_the_start_alone_is_far_worse(pair):
    means = [float(improve(pair, anywhere(), rounds=n)[1].mean()) for n in (0, 1, 3, 10)]
    assert means == sorted(means)
    assert means[0] < 0.5 * means[-1]


def test_propagation_alone_spreads_one_right_match(pair):
    rows, cols = torch.meshgrid(torch.arange(24), torch.arange(20), indexing="ij")
    start = torch.zeros(2, 24, 20, dtype=torch.long)
    start[:, 10, 7] = torch.tensor([13, 12])  # moved by (3, 5)

    position, _ = improve(pair, start, radius_px=0, rounds=4)

    inner = (slice(2, 18), slice(2, 12))
    right = (position[0] == rows + 3) & (position[1] == cols + 5)
    assert float(right[inner].float().mean()) > 0.8


def test_masks_are_kept_and_unsearched_cells_stay(pair):
    own_mask, other_mask = torch.rand(24, 20) < 0.7, torch.zeros(24, 20) > 0
    other_mask[5:15, 5:15] = True
    start = anywhere()

    position, score = improve(pair, start, masks=(own_mask, other_mask))

    assert bool(other_mask[position[0], position[1]][own_mask].all())
    assert torch.equal(position[:, ~own_mask], start[:, ~own_mask])
    assert not score[~own_mask].any()


def test_what_it_costs_to_leave_counts(pair):
    start = anywhere()
    position, _ = improve(pair, start, leave_cost=100.0)
    assert torch.equal(position, start)


def test_another_device_is_refused_with_a_remedy():
    dead = torch.zeros(2, 4, 4, device="meta")
    where = torch.zeros(2, 4, 4, dtype=torch.long, device="meta")
    mask = torch.ones(4, 4, device="meta") > 0
    with pytest.raises(InputError, match="meta"):
        improve_matches(
            dead,
            dead,
            where,
            where,
            mask,
            mask,
            0.0,
            patch_px=3,
            radius_px=1,
            rounds=1,
        )
