"""What cannot be survived costs exactly what it touches, and is made good by the same command."""

from __future__ import annotations

import errno
import json
import shutil
import threading

import cv2
import numpy as np
import pytest
from conftest import draw_slice, make_photographs
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.errors import RunError
from medcolor.run import driver, workers
from medcolor.run.ledger import Ledger
from medcolor.run.reconstructions import read_reconstruction, write_reconstruction

SETTINGS = load_settings(
    None,
    [
        *("features.working_size_px=48", "store.slab_slices=2", "store.chunk=[2,16,16]"),
        *("compute.threads=1", "coherence.reach_mm=1", "volume.spacing_mm=[1,1,1]"),
    ],
)
SLICES = 10


@pytest.fixture
def scan(tmp_path):
    """A folder of slices, each a file."""
    folder = tmp_path / "scan"
    folder.mkdir()
    for z in range(SLICES):
        grey, _ = draw_slice(z / (SLICES - 1), 40)
        cv2.imwrite(str(folder / f"{z:02}.png"), np.round(200 * grey).astype(np.uint8))
    return folder


@pytest.fixture
def photographs(tmp_path):
    return make_photographs(tmp_path / "photographs", count=4)


@pytest.fixture
def truth(scan, photographs, tmp_path):
    output = tmp_path / "truth.ome.zarr"
    medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    return tree_bytes(output)


def shards(tree):
    """Return the shards of level 0, by the number of their slab."""
    return {int(key.split("/")[3]): one for key, one in tree.items() if key.startswith("0/c/0/")}


def failures(output):
    lines = (Ledger.folder_of(output) / "failures.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_an_input_that_is_cut_midway(scan, photographs, truth, tmp_path, monkeypatch):
    output, victim = tmp_path / "out.ome.zarr", scan / "05.png"
    whole, real = victim.read_bytes(), driver.match_tasks

    def cut(*arguments):
        victim.write_bytes(whole[:100])
        return real(*arguments)

    monkeypatch.setattr(driver, "match_tasks", cut)
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    monkeypatch.undo()
    assert not report.is_complete
    listed = {(one["task"]["stage"], one["task"]["number"]): one for one in failures(output)}
    assert "05.png" in listed.pop(("match", 2))["problem"]
    assert set(listed) == {("level0", number) for number in (1, 2, 3)}, "smoothed over slab 2"
    made = shards(tree_bytes(output))
    assert set(made) == {0, 4}
    assert all(made[number] == shards(truth)[number] for number in made)

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
    left = output / "0" / "c" / "0" / "2" / "0" / "0.0f3c.partial"
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


def test_a_driver_that_ends_takes_nothing_from_a_slower_one(
    scan, photographs, truth, tmp_path, monkeypatch
):
    """The quick one deletes the reconstructions while the slow one is about to colour."""
    output, real, is_second = tmp_path / "out.ome.zarr", driver.color_tasks, []

    def overtaken(plan):
        tasks = real(plan)
        if not is_second:
            is_second.append(True)
            medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
        return tasks

    monkeypatch.setattr(driver, "color_tasks", overtaken)
    report = medcolor.colorize_volume(scan, photographs, output, settings=SETTINGS)
    assert report.is_complete
    assert report.slabs_kept == SLICES // 2
    assert tree_bytes(output) == truth


def test_a_reconstruction_that_is_gone_is_no_empty_slice(tmp_path):
    write_reconstruction(tmp_path, 3, None)
    assert read_reconstruction(tmp_path, 3) is None
    shutil.rmtree(tmp_path)
    with pytest.raises(RunError, match="gone"):
        read_reconstruction(tmp_path, 3)
