"""What every node is asked before work begins, and how slabs are read ahead and written behind."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_photographs, make_scan

import medcolor
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.run import preflight
from medcolor.run.look import look_at
from medcolor.run.plan import resolve_hardware
from medcolor.run.preflight import NodeCheck
from medcolor.run.serial import SerialRunner
from medcolor.run.slabs import count_slabs
from medcolor.run.threads import overlapped


@pytest.fixture
def check(tmp_path):
    """A check of a run that has been begun."""
    scan, photographs = make_scan(tmp_path / "scan.nii"), make_photographs(tmp_path / "photographs")
    settings = resolve_hardware(load_settings(None, ["features.working_size_px=32"]))
    output = tmp_path / "out" / "a.ome.zarr"
    look = look_at(scan, photographs, output, settings, SerialRunner())
    look.plan.ledger.begin(output, look.about, count_slabs(look.plan), force=False)
    return NodeCheck(look.plan, photographs, medcolor_version())


def medcolor_version():
    return preflight.version("medcolor")


def test_a_sound_node_leaves_nothing(check):
    before = sorted(check.plan.ledger.folder.iterdir())
    check()
    assert sorted(check.plan.ledger.folder.iterdir()) == before


def test_what_a_node_lacks_is_named_with_its_path(check, monkeypatch):
    gone = Path("/nowhere/at/all")
    with pytest.raises(InputError, match=r"/nowhere/at/all: no such scan here"):
        replace(check, plan=replace(check.plan, target=gone))()
    with pytest.raises(InputError, match=r"/nowhere/at/all: no such photographs here"):
        replace(check, references=gone)()
    with pytest.raises(InputError, match=r"medcolor: .* the driver has 9\.9"):
        replace(check, version="9.9")()
    with pytest.raises(InputError, match=r"weights .* the driver's are 0000"):
        replace(check, plan=replace(check.plan, network_digest="0" * 64))()
    elsewhere = replace(check.plan.ledger, folder=Path("/nowhere/a.run"))
    with pytest.raises(InputError, match="what the driver wrote is not seen here"):
        replace(check, plan=replace(check.plan, ledger=elsewhere))()

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(InputError, match=r"a\.ome\.zarr: cannot be written to \(Read-only"):
        check()


def test_a_node_that_lacks_something_ends_the_run_before_it_is_paid_for(tmp_path):
    class OneBlind(SerialRunner):
        def on_every_node(self, probe):
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


def test_the_first_error_of_any_stage_is_raised():
    def fail(item):
        if item == 3:
            raise ValueError("three")
        return item

    same = lambda item: item  # noqa: E731
    for stages in ((fail, same, same), (same, fail, same), (same, same, fail)):
        with pytest.raises(ValueError, match="three"):
            overlapped(range(50), *stages, 2)
