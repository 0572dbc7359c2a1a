"""The scripts of jobs/ that no other test runs, at their smallest."""

import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from conftest import make_photographs, make_scan

import medcolor
from medcolor.volume.store import read_slices

JOBS = Path(__file__).parent.parent / "jobs"


@pytest.fixture(autouse=True)
def jobs_are_found(monkeypatch):
    monkeypatch.syspath_prepend(str(JOBS))


def run(script, *options):
    done = subprocess.run(
        [sys.executable, JOBS / script, *options], check=True, capture_output=True, text=True
    )
    return done.stdout


SECTIONS = (
    *("inventory", "agreement", "pairs", "stages", "kernels", "paper", "color", "throughput"),
    "training",
)


def test_the_sections_that_are_tried_are_all_of_the_gpu_check():
    assert tuple(importlib.import_module("check_gpu").LIMITS_S) == SECTIONS


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_of_the_gpu_check_runs_on_a_cpu(section):
    line = json.loads(
        run("check_gpu.py", section, "--device", "cpu", "--size", "32", "--slack", "9")
    )
    assert line["ok"]
    assert line["figures"]


def test_a_section_that_fails_or_takes_too_long_says_so_and_keeps_its_figures(monkeypatch):
    script = importlib.import_module("check_gpu")
    options = types.SimpleNamespace(device="nonsense", size=64, slack=9.0)
    line = script.run_section("inventory", options)
    assert not line["ok"]
    assert line["figures"]["cores"] > 0
    assert "nonsense" in " ".join(line["error"])
    monkeypatch.setitem(script.LIMITS_S, "paper", 0.01)
    assert "more than" in script.run_section("paper", options)["error"]


def test_bench_index_builds_opens_and_searches(monkeypatch, capsys):
    """The first step in a process of its own, as all have it there; the others here."""
    script = importlib.import_module("bench_index")
    apart, processes = script.apart, []

    def apart_once(step, *arguments):
        if processes:
            return step(*arguments)
        processes.append(step)
        return apart(step, *arguments)

    monkeypatch.setattr(script, "apart", apart_once)
    size = ("--rows", "40", "--size", "8", "--queries", "2", "--repeats", "1")
    monkeypatch.setattr(sys, "argv", ["bench_index.py", *size])
    script.main()
    *lines, figures = capsys.readouterr().out.splitlines()
    told = json.loads(figures)
    assert told["build, a quarter"]["peak_mb"] > 0
    assert len(lines) == len(told)
    assert told["build"]["peak_mb"] > 0
    assert told["search"]["ratio"] > 0


def test_the_constant_colour_of_bench_run_goes_the_way_of_every_run(tmp_path, quick):
    """Sums, model, markers: what stands in for the workers leaves nothing of that out."""
    script = importlib.import_module("bench_run")
    scan, photographs = make_scan(tmp_path / "s.nii"), make_photographs(tmp_path / "p")
    output, reports = tmp_path / "v.ome.zarr", []

    def colorize():
        report = medcolor.colorize_volume(scan, photographs, output, settings=quick)
        reports.append((report.is_complete, report.slabs_done, report.slabs_kept))

    for _ in range(2):
        script.constant(colorize)
    assert reports == [(True, 3, 0), (True, 0, 3)]
    assert (tmp_path / "v.ome.zarr.run" / "model.npz").is_file()
    rgba = read_slices(output, 0, range(10))
    assert (rgba[..., :3] == script._COLOR).all()


@pytest.mark.parametrize(
    "script",
    [
        "bench",
        "bench_filters",
        "bench_matching",
        "bench_peer",
        "bench_render",
        "bench_run",
        "draw_docs",
    ],
)
def test_the_other_benchmarks_can_be_imported(script):
    assert Path(importlib.import_module(script).__file__).parent == JOBS
