"""The scripts of jobs/ that no other test runs, at their smallest."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).parent.parent / "jobs"


@pytest.fixture(autouse=True)
def jobs_are_found(monkeypatch):
    monkeypatch.syspath_prepend(str(JOBS))


def run(script, *options):
    done = subprocess.run(
        [sys.executable, JOBS / script, *options], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_bench_gpu_times_batches_on_any_device():
    size = ("--device", "cpu", "--size", "32", "--width", "0.02", "--batches", "1", "--batch", "2")
    *lines, figures = run("bench_gpu.py", *size).splitlines()
    assert len(lines) == 4
    told = json.loads(figures)
    for key in ("fast_1_ms", "fast_2_ms", "paper_1_ms", "paper_2_ms"):
        assert told[key] > 0


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
