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
    "features.working_size_px=32", "store.slab_slices=4", "store.chunk=[4,64,64]",
    "compute.threads=1",
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


def test_eight_times_the_slices_take_no_more_memory(tmp_path):
    make_photographs(tmp_path / "photographs")
    few, many = peak_mib(tmp_path, 8), peak_mib(tmp_path, 64)
    # 56 slices more are 31 MiB as RGBA and as much as float32; allocators wander by some.
    assert many < few + 24, (few, many)
