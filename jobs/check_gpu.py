"""Whether this GPU computes what the CPU does, and what each stage costs: the first thing to run.

    python jobs/check_gpu.py                          every section, at most eight minutes
    python jobs/check_gpu.py agreement stages         some of them
    python jobs/check_gpu.py --device cpu --size 64   tries the script itself

Needs what the numeric core needs (ARCHITECTURE.md). Each section (gpu_sections.py) is a process
of its own, because an error of CUDA stays with its process; it has its own time limit and prints
one JSON line as soon as it ends. The exit status is 1 if a section failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

LIMITS_S = {
    "inventory": 20,
    "agreement": 80,
    "pairs": 60,
    "stages": 40,
    "kernels": 80,
    "paper": 80,
    "color": 40,
    "throughput": 60,
    "training": 60,
}
"""Sections in their order: training disturbs the times of others, so it is last."""

_LAST_LINES = 6


def run_section(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Run one section in a process of its own and return its line."""
    command = [sys.executable, __file__, "--inside", name]
    command += ["--device", options.device, "--size", str(options.size)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    begin = time.perf_counter()
    line: dict[str, object] = {"section": name, "ok": False}
    try:
        done = subprocess.run(
            command,
            check=False,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=options.slack * LIMITS_S[name],
        )
    except subprocess.TimeoutExpired as error:
        printed = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        line["error"] = f"took more than {options.slack * LIMITS_S[name]:g} s"
        line["figures"] = _figures(printed)
    else:
        line["ok"] = done.returncode == 0
        line["figures"] = _figures(done.stdout)
        if done.returncode:
            line["error"] = done.stderr.strip().splitlines()[-_LAST_LINES:]
    line["seconds"] = round(time.perf_counter() - begin, 1)
    return line


def _figures(printed: str) -> dict[str, object]:
    """Return what a section printed, key by key: also of one that was cut off."""
    figures: dict[str, object] = {}
    for line in printed.splitlines():
        if line.startswith("{"):
            figures |= json.loads(line)
    return figures


def main() -> int:
    """Run the sections that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*LIMITS_S, []], default=[])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=448, help="long side of the images, in px")
    parser.add_argument("--slack", type=float, default=1.0, help="times the limit of each section")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        from gpu_sections import SECTIONS  # it loads torch

        SECTIONS[options.inside](options.device, options.size)
        return 0
    failed = False
    for name in options.sections or LIMITS_S:
        line = run_section(name, options)
        print(json.dumps(line), flush=True)
        failed = failed or not line["ok"]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
