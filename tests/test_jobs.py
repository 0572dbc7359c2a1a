"""The scripts of jobs/ that no other test runs, at their smallest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).parent.parent / "jobs"


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


def test_bench_index_builds_opens_and_searches():
    size = ("--rows", "40", "--size", "8", "--queries", "2", "--repeats", "1")
    *lines, figures = run("bench_index.py", *size).splitlines()
    told = json.loads(figures)
    assert len(lines) == len(told)
    assert told["build"]["peak_mb"] > 0
    assert told["search"]["ratio"] > 0


@pytest.mark.parametrize(
    "script",
    ["bench.py", "bench_filters.py", "bench_matching.py", "bench_peer.py", "bench_run.py"],
)
def test_the_other_benchmarks_can_be_imported(script):
    code = f"import sys; sys.path.insert(0, {str(JOBS)!r}); import {script.removesuffix('.py')}"
    subprocess.run([sys.executable, "-c", code], check=True)
