"""What `--plan` foretells, against what then happens; and how far `status` says a run is."""

from __future__ import annotations

import errno
import json

import pytest
from conftest import make_photographs, make_scan

import medcolor
from medcolor.cli import main
from medcolor.config import load_settings
from medcolor.run import workers
from medcolor.run.ledger import Ledger
from medcolor.run.status import read_status

SETTINGS = [
    *("features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"),
    "compute.threads=1",
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
    scan = make_scan(tmp_path / "scan.nii.gz", slices=24)
    photographs = make_photographs(tmp_path / "photographs")
    before = everything_in(tmp_path)
    words = ["colorize", scan, photographs, output, *sets(), "--plan", "--json"]
    code, told = run(monkeypatch, capsys, *words)
    assert code == 0
    assert everything_in(tmp_path) == before
    plan = json.loads(told)
    assert plan["slabs"] == {"match": 6, "level0": 6}
    assert plan["done"] == {"match": 0, "level0": 0}

    settings = load_settings(None, SETTINGS)
    report = medcolor.colorize_volume(scan, photographs, output, settings=settings)
    took = sum(report.stage_seconds.values())
    assert took / 4 < plan["seconds_left"] < 4 * took  # a shared machine; the ratio is in LOG.md
    written = sum(p.stat().st_size for p in output.rglob("*") if p.is_file()) / 2**20
    assert plan["voxels_mb"] == round(24 * 48 * 48 * 4 / 2**20)
    assert abs(plan["output_mb"] - written) <= 1

    again = medcolor.plan_volume(scan, photographs, output, settings=settings)
    assert again.done["level0"] == 6
    assert again.seconds_left == 0
    assert output.exists()


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
