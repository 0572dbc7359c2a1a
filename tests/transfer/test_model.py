"""The colour model: what is summed up, what it learns, what it falls back to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medcolor.domain import Box, SliceVotes
from medcolor.transfer.ballot import Ballot, add_up, count_votes, join, learn_colors
from medcolor.transfer.lattice import Lattice, mean_lab, splat
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.model import fit_model
from medcolor.transfer.settings import ModelSettings

SETTINGS = ModelSettings()
FAT, MUSCLE = np.array([75.0, 8.0, 28.0]), np.array([28.0, 22.0, 14.0])
DEPTH, SIDE = 12, 96
BOX = Box(0, SIDE, 0, SIDE)


def scan_of(z):
    """Fat on the left, muscle on the right, the border moving from slice to slice; in HU."""
    values = np.full((SIDE, SIDE), 55.0, np.float32)
    values[:, : 40 + z] = -100.0
    noise = np.random.default_rng(z).normal(0, 5, values.shape)
    return (values + noise).astype(np.float32)


@pytest.fixture(scope="module")
def statistics():
    body = np.ones((SIDE, SIDE), bool)
    return measure_scan(
        [(scan_of(z), body) for z in range(DEPTH)],
        (1.0, 1.0),
        SIDE,
        window=(-350.0, 650.0),
        is_hounsfield=True,
        air_below=0.0,
    )


@pytest.fixture(scope="module")
def lattice(statistics):
    return Lattice.over(DEPTH, (1.0, 1.0, 1.0), statistics, SETTINGS)


def votes_of(z, statistics, wrong=0.0, photographs=2):
    """Votes for the true colours; a share of them, in blocks, for those of the other tissue."""
    from medcolor.transfer.scan import describe_scan

    random = np.random.default_rng([7, z])
    contrast = describe_scan(torch.from_numpy(scan_of(z)), statistics).numpy()
    is_fat = scan_of(z) < -20
    lab = np.empty((photographs, 3, SIDE, SIDE))
    for one in lab:
        blocks = random.random((SIDE // 8, SIDE // 8)) < wrong
        swapped = is_fat ^ np.kron(blocks, np.ones((8, 8), bool))
        one[:] = np.where(swapped, FAT[:, None, None], MUSCLE[:, None, None])
    everywhere = np.ones((photographs, SIDE, SIDE), np.float16)
    return SliceVotes(
        z,
        BOX,
        np.ones((SIDE, SIDE), bool),
        contrast.astype(np.float16),
        lab.astype(np.float16),
        everywhere,
        (1.0,) * photographs,
    )


def colors_of(model, statistics, z=5):
    """Return the model's colours of fat and of muscle, far from their border."""
    contrast = torch.from_numpy(votes_of(z, statistics).contrast).float()
    found = model.read(z, BOX, contrast)
    return found[:, 20:70, 8:30].mean((1, 2)).numpy(), found[:, 20:70, 65:90].mean((1, 2)).numpy()


def test_votes_are_added_up_where_they_belong(lattice):
    random = np.random.default_rng(0)
    contrast = torch.from_numpy(random.random((9, 7)).astype(np.float32))
    lab = torch.from_numpy(random.uniform(0, 60, (2, 3, 9, 7)).astype(np.float32))
    weight = torch.from_numpy(random.random((2, 9, 7)).astype(np.float32))
    found = splat(lattice, BOX, contrast, lab, weight)

    _, rows, cols, levels = lattice.shape
    expected = np.zeros((4, rows, cols, levels), np.int64)
    row, col = lattice.places(BOX, (9, 7), contrast.device)
    for vote, y, x in np.ndindex(2, 9, 7):
        node = min(int(row[y] + 0.5), rows - 1), min(int(col[x] + 0.5), cols - 1)
        place = contrast[y, x] * (levels - 1)
        below = min(int(place), levels - 2)
        counted = round(float(weight[vote, y, x]) * 255)
        upper = round(float(counted * (place - below)))
        whole = (lab[vote, :, y, x] + torch.tensor([0.0, 128, 128])) * torch.tensor([2.55, 1, 1])
        for share, level in ((counted - upper, below), (upper, below + 1)):
            expected[(0, *node, level)] += share
            for channel in range(3):
                expected[(1 + channel, *node, level)] += share * round(float(whole[channel]))
    np.testing.assert_array_equal(found, expected)


def test_a_mean_of_votes_is_their_colour(lattice):
    lab = torch.tensor([50.0, -20.0, 30.0])[None, :, None, None].expand(1, 3, 4, 4)
    sums = splat(lattice, BOX, torch.full((4, 4), 0.5), lab, torch.ones(1, 4, 4))
    mean, weight = mean_lab(sums[:, None].double())
    seen = mean[:, weight > 0]
    assert float((seen - torch.tensor([50.0, -20, 30])[:, None]).abs().max()) < 0.5
    assert float(weight.sum()) == pytest.approx(16)


@pytest.mark.parametrize("slab", [1, 2, 5, 12])
def test_sums_do_not_depend_on_slabs_or_their_order(statistics, lattice, slab):
    votes = [votes_of(z, statistics, 0.3) for z in range(DEPTH)]
    whole = add_up([count_votes(votes, range(DEPTH), lattice, None, SETTINGS)], lattice)
    slabs = [range(first, min(first + slab, DEPTH)) for first in range(0, DEPTH, slab)]
    parts = [count_votes([votes[z] for z in one], one, lattice, None, SETTINGS) for one in slabs]
    assert torch.equal(add_up(parts[::-1], lattice), whole)
    joined = join(parts)
    assert joined.first_layer == 0
    assert torch.equal(joined.sums, whole[:, : joined.sums.shape[1]])


def test_colours_of_both_tissues_are_learnt(statistics, lattice):
    model = learn_colors(
        [votes_of(z, statistics) for z in range(DEPTH)], lattice, statistics, SETTINGS
    )
    fat, muscle = colors_of(model, statistics)
    assert np.linalg.norm(fat - FAT) < 2
    assert np.linalg.norm(muscle - MUSCLE) < 2


def test_wrong_votes_do_not_make_colours_pale(statistics, lattice):
    """A third of the votes has the colours of the other tissue: means are a third of the way."""
    votes = [votes_of(z, statistics, 0.35) for z in range(DEPTH)]
    means = learn_colors(votes, lattice, statistics, replace(SETTINGS, rounds=0))
    model = learn_colors(votes, lattice, statistics, SETTINGS)

    def off(one):
        fat, muscle = colors_of(one, statistics)
        return max(np.linalg.norm(fat - FAT), np.linalg.norm(muscle - MUSCLE))

    assert off(means) > 12
    assert off(model) < 5


def test_what_nobody_has_seen_here_has_the_colour_of_the_wider_neighbourhood(statistics, lattice):
    """Muscle at the far left, where there is fat alone."""
    votes = [votes_of(z, statistics) for z in range(DEPTH)]
    model = learn_colors(votes, lattice, statistics, SETTINGS)
    muscle = float(torch.from_numpy(votes[0].contrast[50, 90:].astype(np.float32)).mean())
    found = model.read(5, Box(40, 48, 0, 8), torch.full((8, 8), muscle))
    assert np.linalg.norm(found.mean((1, 2)).numpy() - MUSCLE) < 6


def test_borders_of_the_scan_are_hardly_heard(statistics, lattice):
    """Matches there are a pixel or two beside them."""
    votes = votes_of(5, statistics, photographs=1)
    inside = replace(votes, contrast=np.full_like(votes.contrast, 0.5))

    def weight(one):
        return int(count_votes([one], range(5, 6), lattice, None, SETTINGS).sums[0].sum())

    assert weight(inside) == 255 * (SIDE * SIDE)
    assert weight(votes) < 0.97 * weight(inside)


def test_slices_between_two_layers_take_from_both(statistics, lattice):
    votes = [votes_of(z, statistics) for z in range(DEPTH)]
    model = learn_colors(votes, lattice, statistics, SETTINGS)
    model = replace(model, lattice=replace(lattice, step=(4.0, *lattice.step[1:])))
    layers = [model.read(z, BOX, torch.full((4, 4), 0.5)) for z in (0, 2, 4)]
    torch.testing.assert_close(layers[1], (layers[0] + layers[2]) / 2, atol=0.05, rtol=0)


def test_a_body_that_nobody_votes_for_has_some_colour(statistics, lattice):
    empty = torch.zeros(4, *lattice.shape, dtype=torch.int64)
    model = fit_model(empty, lattice, statistics, SETTINGS)
    assert bool(model.curve.isfinite().all())
    assert model.lightness_error >= 0


def test_the_lattice_has_bounded_size_for_whole_bodies(statistics):
    large = replace(statistics, box=Box(0, 4000, 0, 6000))
    lattice = Lattice.over(1878, (1.0, 0.33, 0.33), large, SETTINGS)
    assert max(lattice.shape[1:3]) <= 65
    assert lattice.layer(1877) == lattice.shape[0] - 1


def test_layers_of_slabs_overlap_when_joined():
    one = Ballot(2, torch.ones(4, 2, 1, 1, 2, dtype=torch.int64))
    other = Ballot(3, torch.ones(4, 3, 1, 1, 2, dtype=torch.int64))
    joined = join([other, one])
    assert joined.first_layer == 2
    assert joined.sums[0, :, 0, 0, 0].tolist() == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"cell_px": 0.0}, "cell_px"),
        ({"contrast_levels": 1}, "contrast_levels"),
        ({"rounds": -1}, "rounds"),
        ({"wide_doubt": 0.0}, "doubt"),
        ({"widths_cells": ((1.0, 2.0, -1.0),)}, "widths_cells"),
        ({"photographic_below": -1.0}, "photographic_below"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        ModelSettings(**wrong)
