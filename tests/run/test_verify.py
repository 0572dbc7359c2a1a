"""What is lost of a volume is noticed, named, and made good by the command that made it."""

from __future__ import annotations

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pytest
import yaml
from command import medcolor as command
from conftest import ORIENTATION, make_scan
from disk import Disk
from model_runs import SLABS
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.run import driver, workers
from medcolor.run.ledger import Ledger
from medcolor.volume.store import read_slices, write_slab

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("verify")

SETS = (
    *("features.working_size_px=48", "store.slab_slices=2", "store.chunk=[2,16,16]"),
    *("store.smallest_side=24", "compute.threads=1", f"reference.orientation={ORIENTATION}"),
)
SETTINGS = load_settings(None, SETS)
LEVELS = 2


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """A volume with its ledger; to be copied."""
    output = tmp_path_factory.mktemp("made") / "v.ome.zarr"
    assert medcolor.colorize_volume(*small, output, settings=SETTINGS).is_complete
    return output


@pytest.fixture(scope="module")
def truth(made):
    return tree_bytes(made)


@pytest.fixture
def volume(made, tmp_path):
    shutil.copytree(made.parent, tmp_path / "copy")
    return tmp_path / "copy" / made.name


def delete(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 16
    path.write_bytes(content)


def shard(volume, level, number):
    return volume / str(level) / "c" / "0" / str(number) / "0" / "0"


def colorize(small, volume):
    return medcolor.colorize_volume(*small, volume, settings=SETTINGS)


def damaged(found):
    return [(one.level, one.slices, problem) for one, problem in found.damaged]


@pytest.mark.parametrize("level", range(LEVELS))
@pytest.mark.parametrize("damage", [delete, empty, halve])
def test_a_shard_that_was_deleted_emptied_or_halved_is_made_good_by_the_same_command(
    small, volume, truth, damage, level, caplog
):
    damage(shard(volume, level, 1))
    report = colorize(small, volume)
    assert (report.slabs_done, report.slabs_kept) == (1, LEVELS * SLABS - 1)
    assert f"level{level}: {level}/c/0/1/0/0 " in caplog.text
    assert tree_bytes(volume) == truth


@pytest.mark.parametrize("level", range(LEVELS))
def test_a_flipped_bit_is_named_by_verify_and_made_good_by_the_same_command(
    small, volume, truth, level
):
    flip(shard(volume, level, 2))
    (found,) = medcolor.verify_volume(volume)
    problem = f"{level}/c/0/2/0/0 is damaged: its checksums do not fit"
    assert damaged(found) == [(level, range(4, 6), problem)]
    assert not found.is_whole
    assert "Run the command that made it again" in str(found)
    report = colorize(small, volume)
    assert (report.slabs_done, report.slabs_kept) == (1, LEVELS * SLABS - 1)
    assert tree_bytes(volume) == truth
    (found,) = medcolor.verify_volume(volume)
    assert found.is_whole


def test_verify_names_all_that_is_wrong_and_the_command_ends_with_status_1(small, volume, truth):
    for number, damage in enumerate((delete, empty, halve, flip)):
        damage(shard(volume, number % 2, number))
    done = command("verify", volume)
    assert done.returncode == 1
    listed = [line.strip() for line in done.stdout.splitlines() if "slices" in line]
    assert listed[0] == "level 0, slices 0 to 2: 0/c/0/0/0/0 is gone"
    assert listed[1].startswith("level 0, slices 4 to 6: 0/c/0/2/0/0 has ")
    assert listed[2] == "level 1, slices 2 to 4: 1/c/0/1/0/0 is empty"
    assert listed[3].startswith("level 1, slices 6 to 8: 1/c/0/3/0/0 is damaged")
    assert len(listed) == 4
    sets = [word for one in SETS for word in ("--set", one)]
    assert command("colorize", *small, volume, *sets).returncode == 0
    assert tree_bytes(volume) == truth
    done = command("verify", volume, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["shards"] == LEVELS * SLABS


def test_a_shard_of_another_volume_is_not_the_one_that_was_written(small, volume, truth):
    """Its own checksums fit, and it may be as long."""
    mine, other = shard(volume, 0, 0), shard(volume, 0, 1)
    mine.write_bytes(other.read_bytes())
    ledger = Ledger.folder_of(volume) / "done"
    sizes = [json.loads((ledger / f"level0-slab0000{n}.json").read_text()) for n in (0, 1)]
    sizes[0]["bytes"] = {"0/c/0/0/0/0": sizes[1]["bytes"]["0/c/0/1/0/0"]}
    (ledger / "level0-slab00000.json").write_text(json.dumps(sizes[0]))
    (found,) = medcolor.verify_volume(volume)
    assert damaged(found) == [(0, range(2), "0/c/0/0/0/0 holds other voxels than were written")]
    colorize(small, volume)
    assert tree_bytes(volume) == truth


def test_a_volume_without_its_ledger_is_verified_and_says_what_that_means(small, volume, truth):
    shutil.rmtree(Ledger.folder_of(volume))
    assert medcolor.verify_volume(volume)[0].is_whole
    flip(shard(volume, 0, 3))
    (found,) = medcolor.verify_volume(volume)
    assert [one[0] for one in damaged(found)] == [0]
    assert "No ledger" in str(found)
    assert colorize(small, volume).slabs_done == LEVELS * SLABS
    assert tree_bytes(volume) == truth


def test_other_inputs_do_not_make_good_what_is_damaged(small, volume, tmp_path):
    flip(shard(volume, 0, 3))
    medcolor.verify_volume(volume)
    before = tree_bytes(volume)
    other = make_scan(tmp_path / "other.nii", slices=2 * SLABS, size=38)
    with pytest.raises(medcolor.InputError, match="begun with other target"):
        medcolor.colorize_volume(other, small[1], volume, settings=SETTINGS)
    assert tree_bytes(volume) == before


@pytest.mark.parametrize("name", ["zarr.json", "1/zarr.json"])
@pytest.mark.parametrize("damage", [delete, empty, halve])
def test_damaged_metadata_are_named_and_written_again_and_shards_are_kept(
    small, volume, truth, name, damage
):
    damage(volume / name)
    (found,) = medcolor.verify_volume(volume)
    assert "its metadata are damaged or gone" in str(found)
    assert colorize(small, volume).slabs_kept == LEVELS * SLABS
    assert tree_bytes(volume) == truth


def test_metadata_that_can_be_read_and_say_something_else_are_named(small, volume, truth):
    metadata = volume / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"unit": "millimeter"', '"unit": "nanometer"'))
    (found,) = medcolor.verify_volume(volume)
    assert "zarr.json is not as it was written" in str(found)
    colorize(small, volume)
    assert tree_bytes(volume) == truth


@pytest.mark.parametrize("damage", [delete, empty, halve, flip])
def test_a_volume_that_lost_a_shard_is_neither_exported_drawn_nor_measured(
    small, volume, tmp_path, damage
):
    damage(shard(volume, 0, 1))
    for words in (
        ("export", volume, tmp_path / "v.nii"),
        ("render", volume, tmp_path / "p", "--frames", 1, "--size", 32),
        ("evaluate", "structure", volume, small[0]),
    ):
        done = command(*words)
        assert done.returncode == 2
        (line,) = [one for one in done.stderr.splitlines() if one.startswith("error")]
        assert re.search(r"level 0, slices .*(0/c/0/1/0/0 |a shard is damaged)", line), line
        assert "medcolor colorize" in line, "the remedy"
    assert not (tmp_path / "v.nii").exists()
    assert not list(tmp_path.glob("p/*.html"))


def test_a_copy_without_a_ledger_that_lost_a_shard_is_not_exported(volume, tmp_path):
    shutil.rmtree(Ledger.folder_of(volume))
    assert medcolor.export_volume(volume, tmp_path / "v.nii").is_file()
    delete(shard(volume, 1, 3))
    with pytest.raises(medcolor.InputError, match=r"level 1, slices 6 to 8: 1/c/0/3/0/0 is gone"):
        medcolor.export_volume(volume, tmp_path / "w.nii")


def test_slabs_without_a_body_are_shards_like_others(small, tmp_path):
    image = nib.load(small[0])
    voxels = np.asarray(image.dataobj).copy()
    voxels[:, :, :4] = 0
    nib.save(nib.Nifti1Image(voxels, image.affine), tmp_path / "scan.nii")
    output = tmp_path / "v.ome.zarr"
    medcolor.colorize_volume(tmp_path / "scan.nii", small[1], output, settings=SETTINGS)
    assert not read_slices(output, 0, range(4)).any()
    before = tree_bytes(output)
    delete(shard(output, 0, 0))
    report = medcolor.colorize_volume(tmp_path / "scan.nii", small[1], output, settings=SETTINGS)
    assert report.slabs_done == 1
    assert tree_bytes(output) == before


def test_a_finer_level_that_is_damaged_in_a_run_ends_it_and_the_next_makes_it_good(
    small, truth, tmp_path, monkeypatch
):
    output, real = tmp_path / "v.ome.zarr", driver._run_level

    def damage(plan, level, *others):
        if level == 1:
            flip(shard(output, 0, 2))
        real(plan, level, *others)

    monkeypatch.setattr(driver, "_run_level", damage)
    report = colorize(small, output)
    assert [one.task.number for one in report.failures] == [2]
    monkeypatch.undo()
    assert colorize(small, output).is_complete
    assert tree_bytes(output) == truth


def test_votes_and_sums_that_were_lost_between_two_starts_are_made_again_at_once(
    small, truth, tmp_path, monkeypatch
):
    output = tmp_path / "v.ome.zarr"

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "make_model", stop)
    with pytest.raises(KeyboardInterrupt):
        colorize(small, output)
    monkeypatch.undo()
    (votes,) = (Ledger.folder_of(output) / "votes").iterdir()
    delete(votes / "00001.npz")
    halve(votes / "00005.npz")
    delete(votes / "sums--00003.npz")
    matched, real = [], workers.MatchSlab.__call__

    def match(self, task):
        matched.append(task.number)
        return real(self, task)

    monkeypatch.setattr(workers.MatchSlab, "__call__", match)
    assert colorize(small, output).is_complete
    assert matched == [0, 2, 3]
    assert tree_bytes(output) == truth


def test_a_marker_is_there_only_with_what_it_speaks_for_whenever_the_power_goes(
    small, tmp_path, monkeypatch
):
    output, disk, spoke = tmp_path / "v.ome.zarr", Disk(monkeypatch), []

    def look(target):
        if target.parent.name != "done":
            return
        stage, number = target.stem.split("-slab")
        if stage == "match":
            (folder,) = (Ledger.folder_of(output) / "votes").iterdir()
            names = (f"{2 * int(number):05}", f"{2 * int(number) + 1:05}", f"sums--{number}")
            files = [folder / f"{name}.npz" for name in names]
        else:
            level = stage.removeprefix("level")
            model = Ledger.folder_of(output) / "model.npz"
            files = [shard(output, level, int(number)), output / level / "zarr.json", model]
        assert all(disk.keeps(file, tmp_path) for file in files)
        spoke.append(target)

    disk.created.append(look)
    assert colorize(small, output).is_complete
    assert len(spoke) == SLABS * (1 + LEVELS)
    assert all(disk.keeps(marker, tmp_path) for marker in spoke if marker.exists())
    for name in ("plan.json", "run.json", "assignment.parquet", "metadata.json"):
        assert disk.keeps(Ledger.folder_of(output) / name, tmp_path)


def test_a_cohort_notices_and_makes_good_what_one_of_its_volumes_lost(small, tmp_path):
    manifest, output = tmp_path / "cohort.yaml", tmp_path / "out"
    volumes = [{"name": name, "target": str(small[0])} for name in ("one", "two")]
    manifest.write_text(yaml.safe_dump({"volumes": volumes}))

    def run():
        report = medcolor.colorize_cohort(manifest, small[1], output, settings=SETTINGS)
        return {row.name: row.state for row in report.rows.values()}

    run()
    before = {name: tree_bytes(output / f"{name}.ome.zarr") for name in ("one", "two")}
    assert run() == {"one": "kept", "two": "kept"}
    halve(shard(output / "two.ome.zarr", 1, 0))
    assert run() == {"one": "kept", "two": "complete"}
    flip(shard(output / "one.ome.zarr", 0, 0))
    found = medcolor.verify_volume(output)
    assert [one.is_whole for one in found] == [False, True]
    assert run() == {"one": "complete", "two": "kept"}
    halve(output / "two.ome.zarr" / "0" / "zarr.json")
    assert run() == {"one": "kept", "two": "complete"}
    assert before == {name: tree_bytes(output / f"{name}.ome.zarr") for name in ("one", "two")}


def test_a_volume_whose_chunks_carry_no_checksums_is_not_said_to_be_whole(volume):
    """As versions of before this command wrote them."""
    shutil.rmtree(Ledger.folder_of(volume))
    rgba = [read_slices(volume, 1, range(2 * n, 2 * n + 2)) for n in range(SLABS)]
    metadata = volume / "1" / "zarr.json"
    content = json.loads(metadata.read_text())
    content["codecs"][0]["configuration"]["codecs"].pop()
    metadata.write_text(json.dumps(content))
    for number, slab in enumerate(rgba):
        write_slab(volume, 1, range(2 * number, 2 * number + 2), slab)
    (found,) = medcolor.verify_volume(volume)
    assert not found.is_whole
    assert "level 1: its chunks carry no checksums" in str(found)


def test_a_place_without_a_volume_is_refused(tmp_path):
    with pytest.raises(medcolor.InputError, match="no coloured OME-Zarr"):
        medcolor.verify_volume(tmp_path)


def test_a_volume_in_the_making_is_not_whole(small, tmp_path, monkeypatch):
    output, real = tmp_path / "v.ome.zarr", workers.write_slab

    def poisoned(path, level, slices, rgba):
        if slices.start == 4:
            raise ValueError("poison")
        real(path, level, slices, rgba)

    monkeypatch.setattr(workers, "write_slab", poisoned)
    colorize(small, output)
    (found,) = medcolor.verify_volume(output)
    assert (len(found.damaged), found.unfinished) == (0, 1 + SLABS)
    assert "has not come to its end" in str(found)
