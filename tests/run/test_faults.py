"""What cannot be survived costs exactly what it touches, and is made good by the same command."""

from __future__ import annotations

import errno
import json
import shutil
import threading

import cv2
import numpy as np
import pytest
from conftest import ORIENTATION, draw_slice, make_photographs
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.run import driver, workers
from medcolor.run.ledger import Ledger
from medcolor.volume import store

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("faults")

SETTINGS = load_settings(
    None,
    [
        *("features.working_size_px=48", "store.slab_slices=2", "store.chunk=[2,16,16]"),
        *("compute.threads=1", "volume.spacing_mm=[1,1,1]", f"reference.orientation={ORIENTATION}"),
    ],
)
SLICES = 10


def make_slices(folder):
    folder.mkdir()
    for z in range(SLICES):
        grey, _ = draw_slice(z / (SLICES - 1), 40)
        cv2.imwrite(str(folder / f"{z:02}.png"), np.round(200 * grey).astype(np.uint8))
    return folder


@pytest.fixture
def scan(tmp_path):
    """A folder of slices, each a file."""
    return make_slices(tmp_path / "scan")


@pytest.fixture
def photographs(tmp_path):
    return make_photographs(tmp_path / "photographs", count=4)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """What an undisturbed run makes of such a scan and such photographs, wherever they lie."""
    folder = tmp_path_factory.mktemp("truth")
    inputs = make_slices(folder / "scan"), make_photographs(folder / "photographs", count=4)
    medcolor.colorize_volume(*inputs, folder / "truth.ome.zarr", settings=SETTINGS)
    return tree_bytes(folder / "truth.ome.zarr")


def shards(tree):
    """Return the shards of level 0, by the number of their slab."""
    return {int(key.split("/")[3]): one for key, one in tree.items() if key.startswith("0/c/0/")}


def failures(output):
    lines = (Ledger.folder_of(output) / "failures.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_an_input_that_is_cut_midway(scan, photographs, truth, tmp_path, monkeypatch):
    output, victim = tmp_path / "out.ome.zarr", scan / "05.png"
    whole, real = victim.read_bytes(), driver.match_tasks

    def cut(*arguments, **options):
        victim.write_bytes(whole[:100])
        return real(*arguments, **options)

    monkeypatch.setattr(driver, "match_tasks", cut)
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    monkeypatch.undo()
    assert not report.is_complete
    (listed,) = failures(output)
    assert (listed["task"]["stage"], listed["task"]["number"]) == ("match", 2)
    assert listed["problem"].startswith("no readable image")
    names = (Ledger.folder_of(output) / "failures.jsonl").read_text()
    assert "05.png" not in names, "a file name may be a patient's"
    assert not shards(tree_bytes(output)), "colours are those of the whole body"

    victim.write_bytes(whole)
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    assert report.is_complete
    assert tree_bytes(output) == truth


def test_a_disk_that_is_full_for_one_slab(scan, photographs, truth, tmp_path, monkeypatch):
    output, real = tmp_path / "out.ome.zarr", workers.write_slab

    def full(path, level, slices, rgba):
        if slices.start == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, level, slices, rgba)

    monkeypatch.setattr(workers, "write_slab", full)
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    monkeypatch.undo()
    assert not report.is_complete
    (one,) = failures(output)
    assert one["task"]["number"] == 2
    assert "the disk is full" in one["problem"]
    made = shards(tree_bytes(output))
    assert made == {n: data for n, data in shards(truth).items() if n != 2}
    assert medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS).is_complete
    assert tree_bytes(output) == truth


def test_what_a_killed_writer_left_is_swept_up(scan, photographs, truth, tmp_path):
    output = tmp_path / "out.ome.zarr"
    medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    left = output / "0" / "c" / "0" / "2" / "0" / f".partial-{'0f' * 16}-0"
    left.write_bytes(b"half a shard")
    (Ledger.folder_of(output) / "done" / "level0-slab00002.json").unlink()
    assert medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS).is_complete
    assert tree_bytes(output) == truth


def test_two_drivers_on_one_output(scan, photographs, truth, tmp_path):
    output = tmp_path / "out.ome.zarr"
    ended = []

    def drive():
        ended.append(medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS))

    both = [threading.Thread(target=drive) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.is_complete for one in ended] == [True, True]
    assert tree_bytes(output) == truth


def test_a_volume_that_was_deleted_by_hand_is_made_anew(scan, photographs, truth, tmp_path):
    output = tmp_path / "out.ome.zarr"
    medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    for victim in (output, output / "0"):
        shutil.rmtree(victim)
        report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
        assert report.slabs_done == SLICES // 2
        assert tree_bytes(output) == truth


def test_a_forced_run_that_is_cut_off_while_it_deletes_keeps_no_marker(
    scan, photographs, truth, tmp_path, monkeypatch
):
    output = tmp_path / "out.ome.zarr"
    medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)

    def cut(_place):
        shutil.rmtree(output / "0" / "c" / "0" / "1")
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "delete_volume", cut)
    other = load_settings(None, ["features.working_size_px=32", "volume.spacing_mm=[1,1,1]"])
    with pytest.raises(KeyboardInterrupt):
        medcolor.colorize_volume(scan, photographs, output, settings=other, force=True)
    monkeypatch.undo()
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    assert report.slabs_done == SLICES // 2
    assert tree_bytes(output) == truth


def test_a_refused_driver_takes_nothing_from_one_that_began_meanwhile(
    scan, photographs, truth, tmp_path, monkeypatch
):
    output, real = tmp_path / "out.ome.zarr", driver.look_at
    other = load_settings(None, ["features.working_size_px=32", "volume.spacing_mm=[1,1,1]"])

    def overtaken(*arguments):
        look = real(*arguments)
        monkeypatch.setattr(driver, "look_at", real)
        medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
        return look

    monkeypatch.setattr(driver, "look_at", overtaken)
    with pytest.raises(medcolor.InputError, match="begun with other settings"):
        medcolor.colorize_volume(scan, photographs, output, settings=other)
    assert tree_bytes(output) == truth
    assert (Ledger.folder_of(output) / "run.json").is_file()


def test_a_run_that_another_was_forced_over_writes_no_more(
    scan, photographs, tmp_path, monkeypatch
):
    output, real, forced = tmp_path / "out.ome.zarr", workers.write_slab, []
    other = load_settings(
        None, ["features.working_size_px=32", "volume.spacing_mm=[1,1,1]", "compute.threads=1"]
    )

    def overtaken(path, level, slices, rgba):
        real(path, level, slices, rgba)
        if slices.start == 2 and not forced:
            forced.append(True)
            medcolor.colorize_volume(scan, photographs, output, settings=other, force=True)

    monkeypatch.setattr(workers, "write_slab", overtaken)
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    assert not report.is_complete
    alone = tmp_path / "alone.ome.zarr"
    medcolor.colorize_volume(scan, photographs, alone, settings=other)
    assert tree_bytes(output) == tree_bytes(alone)
