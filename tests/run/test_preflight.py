"""What every node is asked before work begins, and how slabs are read ahead and written behind."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_photographs, make_scan

import medcolor
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.progress import Silent
from medcolor.run import preflight
from medcolor.run.index import build_index
from medcolor.run.look import look_at
from medcolor.run.plan import resolve_hardware
from medcolor.run.preflight import InputCheck, OutputCheck
from medcolor.run.serial import SerialRunner
from medcolor.run.slabs import count_slabs
from medcolor.run.threads import Loaders, overlapped
from medcolor.volume.files import sizes_of_input


@pytest.fixture
def inputs(tmp_path):
    """A check of a run's inputs."""
    scan, photographs = make_scan(tmp_path / "scan.nii"), make_photographs(tmp_path / "photographs")
    settings = resolve_hardware(load_settings(None, ["features.working_size_px=32"]))
    output = tmp_path / "out" / "a.ome.zarr"
    look = look_at(scan, photographs, output, settings, SerialRunner())
    look.plan.ledger.begin(output, look.about, count_slabs(look.plan), force=False)
    return InputCheck(look.plan, photographs, sizes_of_input(scan), preflight.version("medcolor"))


@pytest.fixture
def outputs(inputs):
    """A check of where its output goes; the run has been begun."""
    return OutputCheck(inputs.plan)


def test_a_sound_node_leaves_nothing(inputs, outputs):
    before = sorted(outputs.plan.ledger.folder.iterdir())
    inputs()
    outputs()
    assert sorted(outputs.plan.ledger.folder.iterdir()) == before


def test_what_a_node_lacks_is_named_with_its_path(inputs, tmp_path):
    gone = Path("/nowhere/at/all")
    with pytest.raises(InputError, match=r"/nowhere/at/all: no such scan here"):
        replace(inputs, plan=replace(inputs.plan, target=gone))()
    with pytest.raises(InputError, match=r"/nowhere/at/all: no such photographs here"):
        replace(inputs, references=gone)()
    with pytest.raises(InputError, match=r"medcolor: .* the driver has 9\.9"):
        replace(inputs, version="9.9")()
    with pytest.raises(InputError, match=r"weights .* the driver's are 0000"):
        replace(inputs, plan=replace(inputs.plan, network_digest="0" * 64))()
    make_scan(tmp_path / "scan.nii", slices=11)
    with pytest.raises(InputError, match="another scan than the driver sees"):
        inputs()


def test_an_index_whose_photographs_are_not_seen_is_named(inputs, tmp_path):
    index = tmp_path / "index"
    settings = inputs.plan.settings
    build_index(inputs.references, index, settings, SerialRunner(), Silent())
    replace(inputs, references=index)()
    for frame in inputs.references.iterdir():
        frame.unlink()
    with pytest.raises(InputError, match=r"1000\.png: no such photograph here"):
        replace(inputs, references=index)()


def test_an_output_that_a_node_does_not_share_or_may_not_write(outputs, monkeypatch):
    elsewhere = replace(outputs.plan.ledger, folder=Path("/nowhere/a.run"))
    with pytest.raises(InputError, match="what the driver wrote is not seen here"):
        OutputCheck(replace(outputs.plan, ledger=elsewhere))()

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(InputError, match=r"a\.ome\.zarr: cannot be written to \(Read-only"):
        outputs()


def test_a_node_that_lacks_something_ends_the_run_before_it_is_paid_for(tmp_path):
    class OneBlind(SerialRunner):
        def on_every_node(self, probe, *_works):
            probe()
            raise InputError("node 10.0.0.7: /data/scan.nii", "no such scan here", "Share it")

        def run(self, *_arguments, **_options):
            raise AssertionError("work was given out")

    scan, photographs = make_scan(tmp_path / "scan.nii"), make_photographs(tmp_path / "photographs")
    output = tmp_path / "out" / "a.ome.zarr"
    with pytest.raises(InputError, match=r"node 10\.0\.0\.7: /data/scan\.nii"):
        medcolor.colorize_volume(scan, photographs, output, runner=OneBlind())
    assert not output.exists()
    assert not output.with_name("a.ome.zarr.run").exists()


@pytest.mark.parametrize("threads", [1, 3])
def test_loading_working_and_saving_overlap_in_bounded_memory(threads):
    lock, held, most, at_once = threading.Lock(), [0], [0], set()
    saved = []

    def stage(name, item):
        with lock:
            at_once.add((name, item))
            names.append({one for one, _ in at_once})
        time.sleep(0.02)
        with lock:
            at_once.discard((name, item))
        return item

    def load(item):
        with lock:
            held[0] += 1
            most[0] = max(most[0], held[0])
        return stage("load", item)

    def save(item):
        stage("save", item)
        with lock:
            held[0] -= 1
            saved.append(item)

    names: list[set[str]] = []
    overlapped(range(20), load, lambda item: stage("work", item), save, threads)
    assert sorted(saved) == list(range(20))
    assert {"load", "work", "save"} in names, "all three at once"
    assert most[0] <= 3 * (threads + 1) + 1


@pytest.mark.parametrize("threads", [1, 3])
def test_what_follows_is_loaded_while_the_last_is_worked_on_and_never_twice(threads):
    loaded, saved, lock = [], [], threading.Lock()
    next_is_loaded = threading.Event()

    def load(item):
        with lock:
            loaded.append(item)
        if item == 100:
            next_is_loaded.set()
        return item

    def work(item):
        if item == 9:  # the last one, which ends only if the next slab has been begun by then
            assert next_is_loaded.wait(30)
        return item

    loaders = Loaders(threads)
    slabs = range(10), range(100, 130), range(200, 210)
    for slab, following in itertools.zip_longest(slabs, slabs[1:], fillvalue=()):
        overlapped(slab, load, work, saved.append, threads, loaders=loaders, following=following)
        ahead = set(loaded) - set(saved)
        assert len(ahead) <= threads + 1, "memory stays bounded"
        assert ahead <= set(following)
    assert sorted(loaded) == sorted(saved) == [z for slab in slabs for z in slab]


def test_what_was_loaded_ahead_and_does_not_come_is_forgotten():
    loaded, saved, loaders = [], [], Loaders(2)

    def load(item):
        loaded.append(item)
        return item

    same = lambda item: item  # noqa: E731
    overlapped([1, 2], load, same, saved.append, 2, loaders=loaders, following=[3, 4, 5])
    overlapped([4, 5, 6], load, same, saved.append, 2, loaders=loaders)  # another took 3
    assert sorted(saved) == [1, 2, 4, 5, 6]
    with pytest.raises(ZeroDivisionError):
        overlapped([7], load, lambda _: 1 // 0, saved.append, 2, loaders=loaders, following=[8])
    overlapped([8], load, same, saved.append, 2, loaders=loaders)
    assert saved[-1] == 8


def test_the_first_error_of_any_stage_is_raised():
    def fail(item):
        if item == 3:
            raise ValueError("three")
        return item

    same = lambda item: item  # noqa: E731
    for stages in ((fail, same, same), (same, fail, same), (same, same, fail)):
        with pytest.raises(ValueError, match="three"):
            overlapped(range(50), *stages, 2)
