"""What a lost shard, a lost model and other settings cost a volume with a colour model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from model_runs import (
    LOOKS,
    OTHER,
    SLABS,
    Cut,
    a_copy,
    colorize,
    matched_slabs,
    model_of,
    never,
    poison_votes,
    settings_of,
    shard,
)
from trees import tree_bytes

import medcolor
from medcolor.run import driver, ledger, workers
from medcolor.run.ledger import Ledger
from medcolor.run.status import read_status
from medcolor.run.votes_files import write_votes
from medcolor.volume.store import read_slices

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("model")


# A shard that is lost


@pytest.mark.parametrize("look", ["photograph", "scan"])
def test_a_lost_shard_of_a_finished_volume_is_made_again_from_the_model_alone(
    small, made, tmp_path, monkeypatch, look
):
    volume = a_copy(made, tmp_path, look)
    before, model = tree_bytes(volume), model_of(volume).read_bytes()
    shard(volume, 1).unlink()
    for kind in ("MatchSlab", "CountSlab"):
        monkeypatch.setattr(driver, kind, never)
    report = colorize(small, volume, settings_of(look))
    assert (report.slabs_done, report.slabs_kept) == (1, SLABS - 1)
    assert tree_bytes(volume) == before
    assert model_of(volume).read_bytes() == model


@pytest.mark.parametrize("look", ["paper", "as of a gray photograph"])
def test_where_slices_need_their_own_votes_a_lost_shard_is_matched_again_alone(
    small, made, tmp_path, monkeypatch, look
):
    volume = a_copy(made, tmp_path, look)
    before = tree_bytes(volume)
    shard(volume, 2).unlink()
    matched = matched_slabs(monkeypatch)
    poison_votes(monkeypatch, 4)
    report = colorize(small, volume, settings_of(look))
    failed = {(one.task.stage, one.task.number) for one in report.failures}
    assert failed == {("match", 2), ("level0", 2)}
    monkeypatch.setattr(workers, "write_votes", write_votes)
    assert colorize(small, volume, settings_of(look)).slabs_done == 1
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
    small, made, otherwise, tmp_path, monkeypatch, truth, damage
):
    volume = a_copy(made, tmp_path)
    model = model_of(volume).read_bytes()
    assert medcolor.verify_volume(volume)[0].notes == ()
    DAMAGES[damage](model_of(volume), otherwise)
    (found,) = medcolor.verify_volume(volume)
    assert found.is_whole
    assert "model.npz is damaged or gone" in str(found)
    shard(volume, 1).unlink()
    matched = matched_slabs(monkeypatch)
    assert colorize(small, volume).slabs_done == 1
    assert matched == list(range(SLABS))
    assert tree_bytes(volume) == truth
    assert model_of(volume).read_bytes() == model
    assert medcolor.verify_volume(volume)[0].notes == ()


def test_a_finished_volume_needs_no_model(small, made, tmp_path, monkeypatch, truth):
    volume = a_copy(made, tmp_path)
    model_of(volume).unlink()
    monkeypatch.setattr(driver, "MatchSlab", never)
    assert colorize(small, volume).is_complete
    assert tree_bytes(volume) == truth


def test_a_slab_that_can_no_more_be_matched_is_a_failure_though_its_shard_is_there(
    small, made, tmp_path, monkeypatch, truth
):
    """Its votes count for the shard that is lost."""
    volume = a_copy(made, tmp_path)
    model_of(volume).unlink()
    shard(volume, 1).unlink()
    poison_votes(monkeypatch, 7)
    report = colorize(small, volume)
    assert [(one.task.stage, one.task.number) for one in report.failures] == [("match", 3)]
    assert not shard(volume, 1).exists()
    monkeypatch.setattr(workers, "write_votes", write_votes)
    assert colorize(small, volume).is_complete
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


# Other settings


def test_force_with_other_settings_deletes_model_and_votes(small, output, monkeypatch, otherwise):
    monkeypatch.setattr(driver, "color_tasks", never)
    with pytest.raises(AssertionError):
        colorize(small, output)
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
    assert colorize(small, output, OTHER, force=True).is_complete
    assert seen == []
    assert model_of(output).read_bytes() != model
    assert tree_bytes(output) == tree_bytes(otherwise)


def test_a_model_that_a_forced_run_left_as_it_was_cut_off_gives_no_colours(
    small, made, tmp_path, monkeypatch, otherwise
):
    volume = a_copy(made, tmp_path)

    def cut(folder):
        (folder / "plan.json").unlink()
        raise Cut

    monkeypatch.setattr(ledger, "delete_ledger", cut)
    with pytest.raises(Cut):
        colorize(small, volume, OTHER, force=True)
    monkeypatch.undo()
    assert model_of(volume).is_file()
    assert colorize(small, volume, OTHER).is_complete
    assert tree_bytes(volume) == tree_bytes(otherwise)
    assert model_of(volume).read_bytes() == model_of(otherwise).read_bytes()


def test_a_volume_begun_by_a_version_without_models_is_refused_and_forced_away(
    small, output, truth
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
        colorize(small, output)
    assert (folder / "reconstructions" / "00000.npz").read_bytes() == b"PK?"
    assert colorize(small, output, force=True).is_complete
    assert not (folder / "reconstructions").exists()
    assert tree_bytes(output) == truth


def test_looks_differ_in_lightness_and_colours_and_not_in_opacity(made):
    first, *others = (
        read_slices(made / look / "v.ome.zarr", 0, range(2 * SLABS)) for look in LOOKS
    )
    for one in others:
        np.testing.assert_array_equal(one[..., 3], first[..., 3])
        assert (one[..., :3] != first[..., :3]).any()
