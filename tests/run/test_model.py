"""What a run does when the colour model of a volume, or what it is made of, is lost."""

from __future__ import annotations

import errno
import json
import re
import shutil
import threading

import numpy as np
import pytest
from conftest import make_photographs, make_scan
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.errors import RunError
from medcolor.run import driver, fit, ledger, workers
from medcolor.run.ledger import Ledger
from medcolor.run.status import read_status
from medcolor.run.votes_files import votes_name, write_votes
from medcolor.storage import durable
from medcolor.volume.store import read_slices

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("model")

SETS = (
    *("features.working_size_px=48", "store.slab_slices=2", "store.chunk=[2,16,16]"),
    "compute.threads=1",
)
SLABS = 4
LOOKS = {
    "photograph": ("transfer.look=photograph",),
    "scan": ("transfer.look=scan",),
    "paper": ("transfer.look=paper",),
    "as of a gray photograph": ("transfer.look=photograph", "model.photographic_below=100"),
}
"""In the last there is a model, and slices need their own votes all the same."""


def settings_of(look="photograph", *more):
    return load_settings(None, [*SETS, *LOOKS[look], *more])


SETTINGS = settings_of()
OTHER = settings_of("photograph", "transfer.vote_patch_px=9", "model.tolerance=3")
"""Other votes in files of the same sizes, other colours on the same lattice."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    scan = make_scan(folder / "scan.nii", slices=2 * SLABS, size=40)
    return scan, make_photographs(folder / "photographs", count=4)


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    """Finished volumes with their ledgers, by look; to be copied."""
    folder = tmp_path_factory.mktemp("made")
    for look in LOOKS:
        output = folder / look / "v.ome.zarr"
        assert medcolor.colorize_volume(*inputs, output, settings=settings_of(look)).is_complete
    return folder


@pytest.fixture(scope="module")
def other(inputs, tmp_path_factory):
    """A volume of other settings."""
    output = tmp_path_factory.mktemp("other") / "v.ome.zarr"
    assert medcolor.colorize_volume(*inputs, output, settings=OTHER).is_complete
    return output


@pytest.fixture
def truth(made):
    return tree_bytes(made / "photograph" / "v.ome.zarr")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "v.ome.zarr"


def a_copy(made, tmp_path, look="photograph"):
    shutil.copytree(made / look, tmp_path / "copy")
    return tmp_path / "copy" / "v.ome.zarr"


def colorize(inputs, output, settings=SETTINGS, **options):
    return medcolor.colorize_volume(*inputs, output, settings=settings, **options)


def shard(volume, number):
    return volume / "0" / "c" / "0" / str(number) / "0" / "0"


def model_of(volume):
    return Ledger.folder_of(volume) / "model.npz"


def matched_slabs(monkeypatch):
    """Return a list that will hold the slabs that are matched from now on."""
    found, real = [], workers.MatchSlab.__call__

    def match(self, task):
        found.append(task.number)
        return real(self, task)

    monkeypatch.setattr(workers.MatchSlab, "__call__", match)
    return found


def poison_votes(monkeypatch, bad):
    """Let no votes of a slice be written."""

    def poisoned(folder, z, votes):
        if z == bad:
            raise ValueError("poison")
        return write_votes(folder, z, votes)

    monkeypatch.setattr(workers, "write_votes", poisoned)


def never(*_, **__):
    raise AssertionError("no worker of this kind is needed")


# A shard that is lost


@pytest.mark.parametrize("look", ["photograph", "scan"])
def test_a_lost_shard_of_a_finished_volume_is_made_again_from_the_model_alone(
    inputs, made, tmp_path, monkeypatch, look
):
    volume = a_copy(made, tmp_path, look)
    before, model = tree_bytes(volume), model_of(volume).read_bytes()
    shard(volume, 1).unlink()
    for kind in ("MatchSlab", "CountSlab"):
        monkeypatch.setattr(driver, kind, never)
    report = colorize(inputs, volume, settings_of(look))
    assert (report.slabs_done, report.slabs_kept) == (1, SLABS - 1)
    assert tree_bytes(volume) == before
    assert model_of(volume).read_bytes() == model


@pytest.mark.parametrize("look", ["paper", "as of a gray photograph"])
def test_where_slices_need_their_own_votes_a_lost_shard_is_matched_again_alone(
    inputs, made, tmp_path, monkeypatch, look
):
    volume = a_copy(made, tmp_path, look)
    before = tree_bytes(volume)
    shard(volume, 2).unlink()
    matched = matched_slabs(monkeypatch)
    poison_votes(monkeypatch, 4)
    report = colorize(inputs, volume, settings_of(look))
    failed = {(one.task.stage, one.task.number) for one in report.failures}
    assert failed == {("match", 2), ("level0", 2)}
    monkeypatch.setattr(workers, "write_votes", write_votes)
    assert colorize(inputs, volume, settings_of(look)).slabs_done == 1
    assert set(matched) == {2}
    assert tree_bytes(volume) == before
    assert not (Ledger.folder_of(volume) / "votes").exists()


def of_another_run(path, other):
    path.write_bytes(model_of(other).read_bytes())


DAMAGES = {
    "gone": lambda path, _: path.unlink(),
    "empty": lambda path, _: path.write_bytes(b""),
    "cut": lambda path, _: path.write_bytes(path.read_bytes()[:-40]),
    "of another run": of_another_run,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_with_a_model_that_is_lost_a_lost_shard_costs_matching_and_no_bit(
    inputs, made, other, tmp_path, monkeypatch, truth, damage
):
    volume = a_copy(made, tmp_path)
    model = model_of(volume).read_bytes()
    assert medcolor.verify_volume(volume)[0].notes == ()
    DAMAGES[damage](model_of(volume), other)
    (found,) = medcolor.verify_volume(volume)
    assert found.is_whole
    assert "model.npz is damaged or gone" in str(found)
    shard(volume, 1).unlink()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, volume).slabs_done == 1
    assert matched == list(range(SLABS))
    assert tree_bytes(volume) == truth
    assert model_of(volume).read_bytes() == model
    assert medcolor.verify_volume(volume)[0].notes == ()


def test_a_finished_volume_needs_no_model(inputs, made, tmp_path, monkeypatch, truth):
    volume = a_copy(made, tmp_path)
    model_of(volume).unlink()
    monkeypatch.setattr(driver, "MatchSlab", never)
    assert colorize(inputs, volume).is_complete
    assert tree_bytes(volume) == truth


def test_a_slab_that_can_no_more_be_matched_is_a_failure_though_its_shard_is_there(
    inputs, made, tmp_path, monkeypatch, truth
):
    """Its votes count for the shard that is lost."""
    volume = a_copy(made, tmp_path)
    model_of(volume).unlink()
    shard(volume, 1).unlink()
    poison_votes(monkeypatch, 7)
    report = colorize(inputs, volume)
    assert [(one.task.stage, one.task.number) for one in report.failures] == [("match", 3)]
    assert not shard(volume, 1).exists()
    monkeypatch.setattr(workers, "write_votes", write_votes)
    assert colorize(inputs, volume).is_complete
    assert tree_bytes(volume) == truth


def test_status_counts_slabs_as_matched_once_there_is_a_model(made, tmp_path):
    volume = a_copy(made, tmp_path)
    shard(volume, 1).unlink()
    medcolor.verify_volume(volume)
    (status,) = read_status(volume)
    assert status.slabs == {"match": (SLABS, SLABS), "level0": (SLABS - 1, SLABS)}
    model_of(volume).unlink()
    (status,) = read_status(volume)
    assert status.slabs["match"] == (0, SLABS)


# A run that is cut off between any two writes


class Cut(BaseException):
    """As if the process was killed."""


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


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_run_cut_off_between_any_two_writes_goes_on_to_the_same_bytes(
    inputs, output, monkeypatch, truth, step, is_before
):
    cut_at(monkeypatch, STEPS[step], is_before=is_before)
    with pytest.raises(Cut):
        colorize(inputs, output)
    monkeypatch.undo()
    folder = Ledger.folder_of(output)
    done = {int(one.stem[-5:]) for one in folder.glob("done/match-*.json")}
    has_model = (folder / "model.npz").exists()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, output).is_complete
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


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def flip_sums(folder):
    for number in (0, 2):
        flip(folder / f"sums--{number:05}.npz")


def test_sums_whose_bits_flipped_are_made_again_by_the_same_command(
    inputs, output, monkeypatch, truth
):
    damage_before_fit(monkeypatch, flip_sums)
    with pytest.raises(RunError, match=r"sums--00000\.npz: damaged\. Run the same command again"):
        colorize(inputs, output)
    monkeypatch.undo()
    assert not model_of(output).exists()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, output).is_complete
    assert matched == [0, 2]
    assert tree_bytes(output) == truth


def test_sums_counted_again_that_are_lost_cost_no_matching(inputs, output, monkeypatch, truth):
    def damage(folder):
        next(folder.glob("sums-?*-00001.npz")).unlink()

    damage_before_fit(monkeypatch, damage, again=True)
    with pytest.raises(RunError, match="gone"):
        colorize(inputs, output)
    monkeypatch.undo()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, output).is_complete
    assert matched == []
    assert tree_bytes(output) == truth


def test_a_draft_that_is_lost_ends_the_run_in_a_line_and_costs_no_matching(
    inputs, output, monkeypatch, truth
):
    real = workers.CountSlab.__init__

    def begin(self, plan, draft):
        plan.draft(draft).unlink()
        real(self, plan, draft)

    monkeypatch.setattr(workers.CountSlab, "__init__", begin)
    with pytest.raises(RunError, match=r"no whole draft\. Run the same command again"):
        colorize(inputs, output)
    monkeypatch.undo()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, output).is_complete
    assert matched == []
    assert tree_bytes(output) == truth


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), flip])
@pytest.mark.parametrize("look", ["photograph", "paper", "as of a gray photograph"])
def test_votes_that_are_lost_before_they_are_read_are_matched_again_the_next_time(
    inputs, output, monkeypatch, made, look, damage
):
    settings, where = settings_of(look), "make_model" if look == "photograph" else "color_tasks"
    real = getattr(driver, where)

    def lost(plan, *others, **options):
        for z in (4, 7):
            damage(plan.votes / votes_name(z))
        return real(plan, *others, **options)

    monkeypatch.setattr(driver, where, lost)
    report = colorize(inputs, output, settings)
    stage = "count" if look == "photograph" else "level0"
    assert {(one.task.stage, one.task.number) for one in report.failures} == {
        (stage, 2),
        (stage, 3),
    }
    monkeypatch.undo()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, output, settings).is_complete
    assert matched == [2, 3]
    assert tree_bytes(output) == tree_bytes(made / look / "v.ome.zarr")


def test_a_slab_that_cannot_be_counted_is_listed_and_nothing_is_coloured(
    inputs, output, monkeypatch, truth
):
    real = workers.count_votes

    def poisoned(votes, slices, lattice, draft, *others):
        if draft is not None and slices.start == 5:
            raise ValueError("poison")
        return real(votes, slices, lattice, draft, *others)

    monkeypatch.setattr(workers, "count_votes", poisoned)
    report = colorize(inputs, output)
    assert not report.is_complete
    assert not list(output.glob("0/c/0/*"))
    (line,) = (Ledger.folder_of(output) / "failures.jsonl").read_text().splitlines()
    task = json.loads(line)["task"]
    assert (task["stage"], task["start"], task["stop"]) == ("count", 4, 6)
    monkeypatch.undo()
    matched = matched_slabs(monkeypatch)
    assert colorize(inputs, output).is_complete
    assert matched == []
    assert tree_bytes(output) == truth


@pytest.mark.parametrize("name", ["draft-", "model.npz"])
def test_a_disk_that_is_full_when_the_model_is_written(inputs, output, monkeypatch, truth, name):
    real = durable.temporary_name

    def no_room(path):
        if path.name.startswith(name):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(durable, "temporary_name", no_room)
    with pytest.raises(RunError, match="the disk is full"):
        colorize(inputs, output)
    monkeypatch.undo()
    assert colorize(inputs, output).is_complete
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


@pytest.mark.parametrize(
    ("point", "look"),
    [
        *((point, "photograph") for point in POINTS),
        *((point, "paper") for point in POINTS if not re.search("draft|fit|votes|model", point)),
        *((point, "as of a gray photograph") for point in POINTS if not re.search("match", point)),
    ],
)
def test_a_driver_that_ends_takes_nothing_from_a_slower_one(
    inputs, output, monkeypatch, made, point, look
):
    where, name = POINTS[point]
    real, overtaken = getattr(where, name), []

    def slow(*arguments, **options):
        if not overtaken:
            overtaken.append(True)
            assert colorize(inputs, output, settings_of(look)).is_complete
        return real(*arguments, **options)

    monkeypatch.setattr(where, name, slow)
    report = colorize(inputs, output, settings_of(look))
    assert overtaken
    assert report.is_complete
    assert tree_bytes(output) == tree_bytes(made / look / "v.ome.zarr")
    folder = Ledger.folder_of(output)
    assert not (folder / "votes").exists()
    assert not (folder / "failures.jsonl").exists()
    assert json.loads((folder / "run.json").read_text())["complete"]


def test_votes_that_a_run_writes_which_was_forced_away_do_not_count_for_the_other(
    inputs, output, monkeypatch, other
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
    slow = threading.Thread(target=lambda: reports.append(colorize(inputs, output)))
    slow.start()
    assert writing.wait(100)
    monkeypatch.setattr(driver, "make_model", fitted)
    assert colorize(inputs, output, OTHER, force=True).is_complete
    slow.join()
    assert not reports[0].is_complete
    assert tree_bytes(output) == tree_bytes(other)
    assert model_of(output).read_bytes() == model_of(other).read_bytes()
    assert json.loads((Ledger.folder_of(output) / "run.json").read_text())["complete"]
    assert not (Ledger.folder_of(output) / "failures.jsonl").exists()


# Other settings


def test_force_with_other_settings_deletes_model_and_votes(inputs, output, monkeypatch, other):
    monkeypatch.setattr(driver, "color_tasks", never)
    with pytest.raises(AssertionError):
        colorize(inputs, output)
    monkeypatch.undo()
    model = model_of(output).read_bytes()
    folder = Ledger.folder_of(output)
    votes = {path.relative_to(folder) for path in (folder / "votes").rglob("*.npz")}
    assert len(votes) == 2 * SLABS + 2 * SLABS + 1
    seen, real = [], driver.match_tasks

    def look(*arguments, **options):
        seen.extend(path.relative_to(folder) for path in folder.rglob("*.npz"))
        return real(*arguments, **options)

    monkeypatch.setattr(driver, "match_tasks", look)
    assert colorize(inputs, output, OTHER, force=True).is_complete
    assert seen == []
    assert model_of(output).read_bytes() != model
    assert tree_bytes(output) == tree_bytes(other)


def test_a_model_that_a_forced_run_left_as_it_was_cut_off_gives_no_colours(
    inputs, made, tmp_path, monkeypatch, other
):
    volume = a_copy(made, tmp_path)

    def cut(folder):
        (folder / "plan.json").unlink()
        raise Cut

    monkeypatch.setattr(ledger, "delete_ledger", cut)
    with pytest.raises(Cut):
        colorize(inputs, volume, OTHER, force=True)
    monkeypatch.undo()
    assert model_of(volume).is_file()
    assert colorize(inputs, volume, OTHER).is_complete
    assert tree_bytes(volume) == tree_bytes(other)
    assert model_of(volume).read_bytes() == model_of(other).read_bytes()


def test_a_volume_begun_by_a_version_without_models_is_refused_and_forced_away(
    inputs, output, truth
):
    folder = Ledger.folder_of(output)
    for name in ("done", "reconstructions"):
        (folder / name).mkdir(parents=True)
    (folder / "plan.json").write_text(
        json.dumps({"identity": "0" * 32, "settings": "1" * 32, "slabs": {"match": 4, "level0": 4}})
    )
    mark = {"identity": "0" * 32, "checksum": "", "seconds": 1.0, "bytes": {"00000.npz": 3}}
    (folder / "done" / "match-slab00000.json").write_text(json.dumps(mark))
    (folder / "reconstructions" / "00000.npz").write_bytes(b"PK?")
    with pytest.raises(medcolor.InputError, match=r"begun with other .*1 slabs are done.*--force"):
        colorize(inputs, output)
    assert (folder / "reconstructions" / "00000.npz").read_bytes() == b"PK?"
    assert colorize(inputs, output, force=True).is_complete
    assert not (folder / "reconstructions").exists()
    assert tree_bytes(output) == truth


def test_looks_differ_in_lightness_and_colours_and_not_in_opacity(made):
    first, *others = (
        read_slices(made / look / "v.ome.zarr", 0, range(2 * SLABS)) for look in LOOKS
    )
    for one in others:
        np.testing.assert_array_equal(one[..., 3], first[..., 3])
        assert (one[..., :3] != first[..., :3]).any()
