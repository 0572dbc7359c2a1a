"""What `--plan` foretells, against what then happens; and how far `status` says a run is."""

from __future__ import annotations

import errno
import json
import tempfile
from pathlib import Path

import pytest
from conftest import ORIENTATION, make_photographs, make_scan

import medcolor
from medcolor.cli import main
from medcolor.config import load_settings
from medcolor.run import driver, estimate, workers
from medcolor.run.ledger import Ledger
from medcolor.run.look import look_at
from medcolor.run.plan import resolve_hardware
from medcolor.run.serial import SerialRunner
from medcolor.run.slabs import model_of
from medcolor.run.status import read_status

SETTINGS = [
    *("features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"),
    *("compute.threads=1", f"reference.orientation={ORIENTATION}"),
]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "scan.ome.zarr"


def everything_in(folder):
    return sorted(path for path in folder.rglob("*"))


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["medcolor", *map(str, words)])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    return code, capsys.readouterr().out


def sets():
    return [word for one in SETTINGS for word in ("--set", one)]


def test_a_plan_foretells_the_run_and_writes_nothing(tmp_path, output, monkeypatch, capsys):
    scan = make_scan(tmp_path / "scan.nii.gz", slices=12)
    photographs = make_photographs(tmp_path / "photographs")
    before = everything_in(tmp_path)
    words = ["colorize", scan, photographs, output, *sets(), "--plan", "--json"]
    code, told = run(monkeypatch, capsys, *words)
    assert code == 0
    assert everything_in(tmp_path) == before
    plan = json.loads(told)
    assert plan["slabs"] == {"match": 3, "level0": 3}
    assert plan["done"] == {"match": 0, "level0": 0}

    settings = load_settings(None, SETTINGS)
    report = medcolor.colorize_volume(scan, photographs, output, settings=settings)
    took = sum(report.stage_seconds.values())
    assert took / 4 < plan["seconds_left"] < 4 * took  # a shared machine; the ratio is in LOG.md
    written = sum(p.stat().st_size for p in output.rglob("*") if p.is_file()) / 2**20
    assert plan["voxels_mb"] == round(12 * 48 * 48 * 4 / 2**20)
    assert abs(plan["output_mb"] - written) <= 1

    again = medcolor.plan_volume(scan, photographs, output, settings=settings)
    assert again.done["level0"] == 3
    assert again.seconds_left == 0
    assert output.exists()


def to_match(scan, photographs, output, settings):
    """How many slabs a plan would match."""
    settings = resolve_hardware(settings)
    with tempfile.TemporaryDirectory() as staging:
        given = scan, photographs, output, settings, SerialRunner(1), Path(staging)
        plan = look_at(*given).plan
        return estimate._count_to_match(plan, model_of(plan))


@pytest.mark.parametrize("look", ["photograph", "paper"])
def test_a_plan_counts_what_is_still_to_be_matched(tmp_path, output, monkeypatch, look):
    settings = load_settings(None, [*SETTINGS, f"transfer.look={look}"])
    scan = make_scan(tmp_path / "scan.nii.gz", slices=12)
    given = scan, make_photographs(tmp_path / "photographs"), output
    folder, uses_model = Ledger.folder_of(output), look != "paper"
    assert to_match(*given, settings) == 3

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "make_model" if uses_model else "color_tasks", stop)
    with pytest.raises(KeyboardInterrupt):
        medcolor.colorize_volume(*given, settings=settings)
    monkeypatch.undo()
    assert to_match(*given, settings) == 0
    (folder / "done" / "match-slab00001.json").unlink()
    assert to_match(*given, settings) == 1

    medcolor.colorize_volume(*given, settings=settings)
    assert to_match(*given, settings) == 0
    (folder / "done" / "level0-slab00002.json").unlink()  # as verify does
    assert to_match(*given, settings) == (0 if uses_model else 1)
    plan = medcolor.plan_volume(*given, settings=settings)
    assert (plan.votes_mb > 0) != uses_model
    (folder / "model.npz").unlink(missing_ok=True)
    assert to_match(*given, settings) == (3 if uses_model else 1)


def test_a_plan_foretells_what_votes_take_on_disk(tmp_path, output, monkeypatch):
    settings = load_settings(None, [*SETTINGS, "features.working_size_px=160"])
    scan = make_scan(tmp_path / "scan.nii.gz", slices=8, size=160)
    given = scan, make_photographs(tmp_path / "photographs"), output
    plan = medcolor.plan_volume(*given, settings=settings)
    seen, real = [], driver.make_model

    def look(run, *others):
        seen.append(sum(one.stat().st_size for one in run.votes.glob("[0-9]*.npz")))
        real(run, *others)

    monkeypatch.setattr(driver, "make_model", look)
    medcolor.colorize_volume(*given, settings=settings)
    assert plan.votes_mb == pytest.approx(seen[0] / 2**20, rel=0.15)
    assert plan.fit_mb > 0
    assert f", {plan.fit_mb} MB of the driver for the colour model" in str(plan)
    again = medcolor.plan_volume(*given, settings=settings)
    assert (again.votes_mb, again.fit_mb) == (0, 0)
    assert f"votes     about {plan.votes_mb} MB" in str(plan)


def test_a_plan_of_bad_input_is_refused_and_leaves_nothing(tmp_path, output, monkeypatch, capsys):
    scan = make_scan(tmp_path / "scan.nii.gz")
    make_photographs(tmp_path / "photographs")
    before = everything_in(tmp_path)
    for words in ((scan, tmp_path / "absent"), (tmp_path / "absent.nii", tmp_path / "photographs")):
        code, _ = run(monkeypatch, capsys, "colorize", *words, output, "--plan")
        assert code == 2
    monkeypatch.setenv("MEDCOLOR_CACHE", str(tmp_path / "cache"))
    assert run(monkeypatch, capsys, "colorize", scan, "phantom", output, "--plan")[0] == 2
    assert everything_in(tmp_path) == before


def test_status_tells_how_far_a_run_is(tmp_path, output, monkeypatch, capsys):
    scan = make_scan(tmp_path / "scan.nii.gz", slices=12)
    photographs = make_photographs(tmp_path / "photographs")
    assert run(monkeypatch, capsys, "status", output)[0] == 2
    settings = load_settings(None, SETTINGS)
    real = workers.write_slab

    def full(path, level, slices, rgba):
        if slices.start == 8:
            raise OSError(errno.EIO, "bad sector")
        real(path, level, slices, rgba)

    monkeypatch.setattr(workers, "write_slab", full)
    medcolor.colorize_volume(scan, photographs, output, settings=settings)
    code, told = run(monkeypatch, capsys, "status", output)
    assert code == 0
    assert "83% (match 3/3, level0 2/3)" in told
    assert "failed: level0, slices 8 to 12: OSError" in told

    monkeypatch.setattr(workers, "write_slab", real)
    medcolor.colorize_volume(scan, photographs, output, settings=settings)
    (status,) = read_status(output)
    assert status.is_complete
    assert status.slabs == {"match": (3, 3), "level0": (3, 3)}
    code, told = run(monkeypatch, capsys, "status", output.parent, "--json")
    assert json.loads(told)[0]["is_complete"]
    assert Ledger.folder_of(output).is_dir()
