"""Peak memory is bounded by settings, not by the number of slices."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import make_photographs, make_scan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CODE = """
import sys, medcolor
from medcolor.config import load_settings
settings = load_settings(None, [
    "features.working_size_px=32", "store.slab_slices=2", "store.chunk=[2,64,64]",
    "compute.threads=1", "volume.sampled_slices=4", "retrieval.references=1",
    "reference.orientation=LAI",
])
medcolor.colorize_volume(*sys.argv[1:4], settings=settings)
# Not ru_maxrss: a child inherits its parent's.
status = dict(line.split(":") for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0])
"""


def peak_mib(folder, slices):
    scan = make_scan(folder / f"{slices}.nii.gz", slices=slices, size=384)
    command = [sys.executable, "-c", CODE, scan, folder / "photographs", folder / f"{slices}.zarr"]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True, timeout=280
    )
    return int(done.stdout) / 1024


@pytest.mark.slow
def test_eight_times_the_slices_take_no_more_memory(tmp_path):
    make_photographs(tmp_path / "photographs")
    few, many = peak_mib(tmp_path, 4), peak_mib(tmp_path, 32)
    # 28 slices more are 16 MiB as RGBA and as much as float32; the scan's file, which is mapped,
    # takes 8 MiB, and allocators wander by some.
    assert many < few + 18, (few, many)


FIT = """
import sys, torch
from pathlib import Path
from types import SimpleNamespace
from medcolor.domain import SQUARE, Box
from medcolor.run.fit import fit_bytes
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.model import fit_model
from medcolor.transfer.settings import ModelSettings

def peak():
    status = dict(line.split(":") for line in open("/proc/self/status"))
    return 1024 * int(status["VmHWM"].split()[0])

torch.set_num_threads(1)
evenly = tuple(torch.linspace(0, 1, 257).tolist())
statistics = SimpleNamespace(
    box=Box(0, 64, 0, 64), pixel=SQUARE, working_px=(1.0, 1.0), knots=evenly, contrast=evenly,
    lightness=tuple(100 * one for one in evenly), soft=(0.2, 0.8),
)
settings = ModelSettings(cell_px=64 / 30, cell_depth_px=1.0)

def fit(depth):
    lattice = Lattice.over(depth, (1.0, 1.0, 1.0), statistics, settings)
    sums = torch.full((4, *lattice.shape), 100)
    fit_model(sums, lattice, statistics, settings)
    return lattice

fit(2)  # what is loaded on first use
before = peak()
lattice = fit(300)
print(peak() - before, fit_bytes(SimpleNamespace(lattice=lattice)))
"""


def test_a_plan_knows_what_the_driver_takes_to_fit_a_model():
    done = subprocess.run(
        [sys.executable, "-c", FIT], capture_output=True, text=True, check=True, timeout=200
    )
    taken, foretold = map(int, done.stdout.split())
    assert foretold > 500e6
    assert foretold / 2 < taken < foretold
