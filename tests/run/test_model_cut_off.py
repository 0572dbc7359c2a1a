"""Runs with a colour model that are cut off, lose what lies between passes, or share an output."""

from __future__ import annotations

import errno
import json
import re
import threading

import pytest
from model_runs import (
    OTHER,
    SLABS,
    Cut,
    colorize,
    flip,
    matched_slabs,
    model_of,
    settings_of,
)
from trees import tree_bytes

from medcolor.errors import RunError
from medcolor.run import driver, fit, workers
from medcolor.run.ledger import Ledger
from medcolor.run.votes_files import votes_name
from medcolor.storage import durable

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("model_cut_off")


# A run that is cut off between any two writes


STEPS = {
    "votes": r"votes/\w+/00003\.npz",
    "sums": r"votes/\w+/sums--00001\.npz",
    "mark of matching": r"done/match-slab00001\.json",
    "draft": r"votes/\w+/draft-\w+\.npz",
    "sums again": r"votes/\w+/sums-\w+-00002\.npz",
    "model": r"model\.npz",
    "shard": r"0/c/0/1/0/0",
    "mark of a shard": r"done/level0-slab00001\.json",
    "record": r"run\.json",
}


def cut_at(monkeypatch, pattern, *, is_before):
    """End the process before or after a file of this name takes it."""

    def cutting(real):
        def named(part, path):
            is_it = re.search(rf"/{pattern}$", path.as_posix())
            if is_it and is_before:
                raise Cut
            done = real(part, path)
            if is_it:
                raise Cut
            return done

        return named

    for name in ("move_into_place", "_link"):
        monkeypatch.setattr(durable, name, cutting(getattr(durable, name)))


def assert_it_ends_without_matching(small, output, monkeypatch, truth):
    """The same command again, undisturbed, ends with the same bytes and matches nothing."""
    monkeypatch.undo()
    matched = matched_slabs(monkeypatch)
    assert colorize(small, output).is_complete
    assert matched == []
    assert tree_bytes(output) == truth


@pytest.mark.parametrize("is_before", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", STEPS)
def test_a_run_cut_off_between_any_two_writes_goes_on_to_the_same_bytes(
    small, output, monkeypatch, truth, step, is_before
):
    cut_at(monkeypatch, STEPS[step], is_before=is_before)
    with pytest.raises(Cut):
        colorize(small, output)
    monkeypatch.undo()
    folder = Ledger.folder_of(output)
    for votes in folder.glob("votes/*"):  # what a killed writer leaves
        (votes / f".partial-{'0f' * 16}-00003.npz").write_bytes(b"half of it")
    done = {int(one.stem[-5:]) for one in folder.glob("done/match-*.json")}
    has_model = (folder / "model.npz").exists()
    matched = matched_slabs(monkeypatch)
    assert colorize(small, output).is_complete
    assert set(matched) == (set() if has_model else set(range(SLABS)) - done)
    assert tree_bytes(output) == truth
    assert not (folder / "votes").exists()
    assert (folder / "model.npz").is_file()


def damage_before_fit(monkeypatch, damage, *, again=False):
    """Damage files between the passes: before the first fit, or after the draft is counted."""
    real, fits = fit._fit, []

    def fitted(plan, tasks, draft, **options):
        if not fits and bool(draft) == again:
            fits.append(draft)
            damage(plan.votes)
        return real(plan, tasks, draft, **options)

    monkeypatch.setattr(fit, "_fit", fitted)


def flip_sums(folder):
    for number in (0, 2):
        flip(folder / f"sums--{number:05}.npz")


def test_sums_whose_bits_flipped_are_made_again_by_the_same_command(
    small, output, monkeypatch, truth
):
    damage_before_fit(monkeypatch, flip_sums)
    with pytest.raises(RunError, match=r"sums--00000\.npz: damaged\. Run the same command again"):
        colorize(small, output)
    monkeypatch.undo()
    assert not model_of(output).exists()
    matched = matched_slabs(monkeypatch)
    assert colorize(small, output).is_complete
    assert matched == [0, 2]
    assert tree_bytes(output) == truth


def test_sums_counted_again_that_are_lost_cost_no_matching(small, output, monkeypatch, truth):
    def damage(folder):
        next(folder.glob("sums-?*-00001.npz")).unlink()

    damage_before_fit(monkeypatch, damage, again=True)
    with pytest.raises(RunError, match="gone"):
        colorize(small, output)
    assert_it_ends_without_matching(small, output, monkeypatch, truth)


def test_a_draft_that_is_lost_ends_the_run_in_a_line_and_costs_no_matching(
    small, output, monkeypatch, truth
):
    real = workers.CountSlab.__init__

    def begin(self, plan, draft):
        plan.draft(draft).unlink()
        real(self, plan, draft)

    monkeypatch.setattr(workers.CountSlab, "__init__", begin)
    with pytest.raises(RunError, match=r"no whole draft\. Run the same command again"):
        colorize(small, output)
    assert_it_ends_without_matching(small, output, monkeypatch, truth)


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), pytest.param(flip, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("look", ["photograph", "paper", "as of a gray photograph"])
def test_votes_that_are_lost_before_they_are_read_are_matched_again_the_next_time(
    small, output, monkeypatch, made, look, damage
):
    settings, where = settings_of(look), "make_model" if look == "photograph" else "color_tasks"
    real = getattr(driver, where)

    def lost(plan, *others, **options):
        for z in (4, 7):
            damage(plan.votes / votes_name(z))
        return real(plan, *others, **options)

    monkeypatch.setattr(driver, where, lost)
    report = colorize(small, output, settings)
    stage = "count" if look == "photograph" else "level0"
    assert {(one.task.stage, one.task.number) for one in report.failures} == {
        (stage, 2),
        (stage, 3),
    }
    monkeypatch.undo()
    matched = matched_slabs(monkeypatch)
    assert colorize(small, output, settings).is_complete
    assert matched == [2, 3]
    assert tree_bytes(output) == tree_bytes(made / look / "v.ome.zarr")


def test_a_slab_that_cannot_be_counted_is_listed_and_nothing_is_coloured(
    small, output, monkeypatch, truth
):
    real = workers.count_votes

    def poisoned(votes, slices, lattice, draft, *others):
        if draft is not None and slices.start == 5:
            raise ValueError("poison")
        return real(votes, slices, lattice, draft, *others)

    monkeypatch.setattr(workers, "count_votes", poisoned)
    report = colorize(small, output)
    assert not report.is_complete
    assert not list(output.glob("0/c/0/*"))
    (line,) = (Ledger.folder_of(output) / "failures.jsonl").read_text().splitlines()
    task = json.loads(line)["task"]
    assert (task["stage"], task["start"], task["stop"]) == ("count", 4, 6)
    assert_it_ends_without_matching(small, output, monkeypatch, truth)


@pytest.mark.parametrize("name", ["draft-", "model.npz"])
def test_a_disk_that_is_full_when_the_model_is_written(small, output, monkeypatch, truth, name):
    real = durable.temporary_name

    def no_room(path):
        if path.name.startswith(name):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(durable, "temporary_name", no_room)
    with pytest.raises(RunError, match="the disk is full"):
        colorize(small, output)
    monkeypatch.undo()
    assert colorize(small, output).is_complete
    assert tree_bytes(output) == truth


# Two drivers on one output


POINTS = {
    "before matching": (driver, "match_tasks"),
    "before the first fit": (driver, "make_model"),
    "before the draft is read": (workers.CountSlab, "__init__"),
    "before votes are counted again": (workers.CountSlab, "__call__"),
    "before the model is written": (fit, "settle_model"),
    "before colouring": (driver, "color_tasks"),
    "before a shard is written": (workers, "write_slab"),
}


def late(point, look):
    """Return a case for the run of all tests."""
    return pytest.param(point, look, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("point", "look"),
    [
        *((point, "photograph") for point in POINTS),
        *(
            late(point, "paper")
            for point in POINTS
            if not re.search("draft|fit|votes|model", point)
        ),
        *(
            late(point, "as of a gray photograph")
            for point in POINTS
            if not re.search("match", point)
        ),
    ],
)
def test_a_driver_that_ends_takes_nothing_from_a_slower_one(
    small, output, monkeypatch, made, point, look
):
    where, name = POINTS[point]
    real, overtaken = getattr(where, name), []

    def slow(*arguments, **options):
        if not overtaken:
            overtaken.append(True)
            assert colorize(small, output, settings_of(look)).is_complete
        return real(*arguments, **options)

    monkeypatch.setattr(where, name, slow)
    report = colorize(small, output, settings_of(look))
    assert overtaken
    assert report.is_complete
    assert tree_bytes(output) == tree_bytes(made / look / "v.ome.zarr")
    folder = Ledger.folder_of(output)
    assert not (folder / "votes").exists()
    assert not (folder / "failures.jsonl").exists()
    assert json.loads((folder / "run.json").read_text())["complete"]


def test_votes_that_a_run_writes_which_was_forced_away_do_not_count_for_the_other(
    small, output, monkeypatch, otherwise
):
    """It is in the midst of a slab that the other has matched already, and is about to count."""
    writing, matched, written = (threading.Event() for _ in range(3))
    real_votes, real_model, reports = workers.write_votes, driver.make_model, []

    def write(folder, z, votes):
        is_slow = z == 2 and not writing.is_set()
        if is_slow:
            writing.set()
            assert matched.wait(100)
        size = real_votes(folder, z, votes)
        if is_slow:
            written.set()
        return size

    def fitted(*arguments):
        matched.set()
        assert written.wait(100)
        return real_model(*arguments)

    monkeypatch.setattr(workers, "write_votes", write)
    slow = threading.Thread(target=lambda: reports.append(colorize(small, output)))
    slow.start()
    assert writing.wait(100)
    monkeypatch.setattr(driver, "make_model", fitted)
    assert colorize(small, output, OTHER, force=True).is_complete
    slow.join()
    assert not reports[0].is_complete
    assert tree_bytes(output) == tree_bytes(otherwise)
    assert model_of(output).read_bytes() == model_of(otherwise).read_bytes()
    assert json.loads((Ledger.folder_of(output) / "run.json").read_text())["complete"]
    assert not (Ledger.folder_of(output) / "failures.jsonl").exists()
