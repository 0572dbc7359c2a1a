"""The scripts of jobs/ that no other test runs, at their smallest."""

import importlib
import json
import subprocess
import sys
import types
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


@pytest.mark.parametrize(
    "section",
    ["inventory", "agreement", "pairs", "stages", "kernels", "paper", "throughput", "training"],
)
def test_every_section_of_the_gpu_check_runs_on_a_cpu(section):
    line = json.loads(
        run("check_gpu.py", section, "--device", "cpu", "--size", "64", "--slack", "9")
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
