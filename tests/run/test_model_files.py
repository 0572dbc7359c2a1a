"""What the colour model is made of, and its files: sums are exact, no damage goes unnoticed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as some

from medcolor.domain import Box, SliceVotes
from medcolor.errors import RunError
from medcolor.run.model_file import find_model, is_whole_model, model_bytes, settle_model
from medcolor.run.votes_files import (
    LostVotesError,
    read_sums,
    read_votes,
    votes_name,
    write_sums,
    write_votes,
)
from medcolor.transfer.ballot import Ballot, add_up, count_votes, join
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.model import ColorModel
from medcolor.transfer.settings import ModelSettings

SHAPE = (7, 3, 4, 5)
"""Nodes along z, y, x, contrast; a slab may begin within a layer."""

LATTICE = Lattice((2, 1), (1.5, 3.0, 2.5), SHAPE, 10.0)
DRAFT = ColorModel(
    LATTICE,
    50 * torch.rand(7, 3, 5, 3, 4, generator=torch.Generator().manual_seed(1)).half(),
    12.25,
)


def random_votes(z, seed):
    """Votes of one to three photographs on a small slice."""
    random = np.random.default_rng((seed, z))
    count = int(random.integers(1, 4))
    body = random.random((6, 8)) < 0.8
    lab = random.uniform((0, -90, -90), (100, 90, 90), (count, 6, 8, 3)).transpose(0, 3, 1, 2)
    return SliceVotes(
        z,
        Box(2, 8, 1, 9),
        body,
        random.random((6, 8)).astype(np.float16),
        lab.astype(np.float16),
        (random.random((count, 6, 8)) * body).astype(np.float16),
        tuple(float(one) for one in random.uniform(0.1, 1, count)),
    )


def sums_of(votes, slices, draft):
    there = [votes[z] for z in slices if votes[z] is not None]
    return count_votes(there, slices, LATTICE, draft, ModelSettings())


@given(data=some.data(), seed=some.integers(0, 2**32 - 1), is_weighted=some.booleans())
@limits(max_examples=30, deadline=None)
def test_sums_are_the_same_integers_however_slices_are_cut_into_slabs_and_batches(
    tmp_path_factory, data, seed, is_weighted
):
    depth = 10
    shown = data.draw(some.lists(some.booleans(), min_size=depth, max_size=depth))
    votes = [random_votes(z, seed) if one else None for z, one in enumerate(shown)]
    draft = DRAFT if is_weighted else None
    expected = add_up([sums_of(votes, range(depth), draft)], LATTICE)

    folder = tmp_path_factory.mktemp("sums")
    cuts = sorted({0, depth, *data.draw(some.lists(some.integers(1, depth - 1)))})
    numbers = data.draw(some.permutations(range(len(cuts) - 1)))  # whoever is done first
    for number in numbers:
        start, stop = cuts[number], cuts[number + 1]
        within = {start, stop, *data.draw(some.lists(some.integers(start, stop)))}
        batches = data.draw(some.permutations(list(pairwise(sorted(within)))))
        parts = [sums_of(votes, range(*batch), draft) for batch in batches]
        write_sums(folder, str(number), join(parts))

    total = add_up((read_sums(folder, str(number)) for number in numbers), LATTICE)
    assert total.dtype == torch.int64
    assert torch.equal(total, expected)
    assert (total[0].sum() > 0) == any(shown)


def damaged(content, step):
    """Yield a file with each bit flipped that a step comes to, and cut short everywhere."""
    for bit in range(3, 8 * len(content), step):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    for length in range(0, len(content), step):
        yield content[:length]


def test_no_damage_to_votes_makes_others_of_them(tmp_path):
    write_votes(tmp_path, 3, random_votes(3, 0))
    path = tmp_path / votes_name(3)
    content, lost = path.read_bytes(), 0
    whole = read_votes(tmp_path, range(3, 4))[3]
    for changed in damaged(content, 5):
        path.write_bytes(changed)
        try:
            found = read_votes(tmp_path, range(3, 4))[3]
        except LostVotesError:
            lost += 1
            continue
        assert (found.box, found.nearness) == (whole.box, whole.nearness)
        for name in ("body", "contrast", "lab", "trust"):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert lost > len(content)


def test_no_damage_to_sums_makes_others_of_them(tmp_path):
    whole = Ballot(2, torch.randint(0, 99, (4, 1, 2, 3, 2), generator=torch.Generator()))
    write_sums(tmp_path, "sums", whole)
    content, lost = (tmp_path / "sums").read_bytes(), 0
    for changed in damaged(content, 5):
        (tmp_path / "sums").write_bytes(changed)
        try:
            found = read_sums(tmp_path, "sums")
        except LostVotesError:
            lost += 1
            continue
        assert found.first_layer == whole.first_layer
        assert torch.equal(found.sums, whole.sums)
    assert lost > len(content)


def test_no_damage_to_a_model_makes_another_of_it(tmp_path):
    path = tmp_path / "model.npz"
    content, lost = model_bytes(DRAFT, "0123"), 0
    settle_model(path, content, LATTICE, "0123")
    for changed in damaged(content, 5):
        path.write_bytes(changed)
        found = find_model(path, LATTICE, "0123")
        assert is_whole_model(path, "0123") == (found is not None)
        if found is None:
            lost += 1
            continue
        assert torch.equal(found.curve, DRAFT.curve)
        assert found.lightness_error == DRAFT.lightness_error
    assert lost > len(content)


def test_numpy_reads_a_model_from_its_file(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(model_bytes(DRAFT, "0123"))
    with np.load(path) as stored:
        np.testing.assert_array_equal(stored["curve"], DRAFT.curve.numpy())
        assert stored["lightness_error"] == 12.25


def test_a_model_of_another_run_or_lattice_is_none(tmp_path):
    path = tmp_path / "model.npz"
    settle_model(path, model_bytes(DRAFT, "0123"), LATTICE, "0123")
    assert find_model(path, LATTICE, "0123") is not None
    assert find_model(path, LATTICE, "4567") is None
    assert find_model(path, Lattice((2, 1), (1.5, 3.0, 2.5), (7, 4, 3, 5), 10.0), "0123") is None


def test_of_two_models_of_a_run_the_first_stays_and_a_damaged_one_gives_way(tmp_path):
    """Drivers on unlike machines may differ in the last bits; a volume has the colours of one."""
    path = tmp_path / "model.npz"
    slightly = ColorModel(LATTICE, DRAFT.curve + 0.125, 12.25)
    first, second = (model_bytes(one, "0123") for one in (DRAFT, slightly))
    settle_model(path, first, LATTICE, "0123")
    settle_model(path, second, LATTICE, "0123")
    assert path.read_bytes() == first
    for left in (first[:100], model_bytes(DRAFT, "of a run that was forced away")):
        path.write_bytes(left)
        settle_model(path, second, LATTICE, "0123")
        assert path.read_bytes() == second


def test_votes_that_are_gone_are_no_empty_slice(tmp_path):
    write_votes(tmp_path, 3, None)
    assert read_votes(tmp_path, range(3, 4)) == {3: None}
    with pytest.raises(RunError, match="gone"):
        read_votes(tmp_path, range(4, 5))
