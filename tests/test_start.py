"""What answers at the prompt loads nothing large: help, a mistyped path, `status`, settings."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medcolor.run.ledger import MATCH, Ledger

LARGE = ["torch", "numba", "scipy", "pyarrow", "zarr", "dask", "cv2", "skimage", "nibabel"]
OPTIONAL = ["ray", "obstore", "pyvista", "vtkmodules", "av", "pydicom", "gdcm"]

COMMAND = """
import sys
from medcolor.cli import main

def medcolor(*words):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        print("status", end.code)
"""
EVERY_HELP = """
import typer
from medcolor.cli import app

def walk(command, *words):
    yield words
    for name, part in getattr(command, "commands", {}).items():
        yield from walk(part, *words, name)

every = list(walk(typer.main.get_command(app)))
for words in every:
    medcolor(*words, "--help")
print(len(every), "commands")
"""


def loaded_by(code: str) -> tuple[set[str], str]:
    """Run code in a new process; return which of the packages it loaded, and what it printed."""
    look = f"\nprint(*sorted({{*{LARGE + OPTIONAL}}} & set(sys.modules)))"
    words = [sys.executable, "-c", "import sys\n" + code + look]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    *printed, loaded = done.stdout.splitlines()
    return set(loaded.split()), "\n".join(printed) + done.stderr


@pytest.mark.parametrize("module", ["medcolor", "medcolor.config", "medcolor.cli"])
def test_importing_loads_nothing_large(module):
    assert loaded_by(f"import {module}") == (set(), "")


def test_the_look_finds_what_is_loaded():
    assert loaded_by("import medcolor.colorize")[0] >= {"torch", "cv2"}


def test_help_of_every_command_loads_nothing_large():
    loaded, printed = loaded_by(COMMAND + EVERY_HELP)
    assert loaded == set()
    count = int(printed.splitlines()[-1].split()[0])
    assert count > 25
    assert printed.count("status 0") == printed.count("Usage:") == count


def test_a_mistyped_path_is_answered_before_anything_large_loads():
    loaded, printed = loaded_by(COMMAND + "medcolor('colorize', '/absent.nii', 'r', 'o.ome.zarr')")
    assert loaded == set()
    assert "status 2" in printed
    assert "no such file or folder" in printed


def test_settings_are_checked_and_printed_without_anything_large():
    loaded, printed = loaded_by(
        COMMAND + "medcolor('settings', '--set', 'matching.tone_weight=0.5')"
    )
    assert loaded == set()
    assert "tone_weight: 0.8" in printed


def test_status_of_a_run_loads_nothing_large(tmp_path):
    volume = tmp_path / "t1.ome.zarr"
    ledger = Ledger.of(volume, "an identity")
    ledger.begin(volume, {"target": "a digest"}, {MATCH: 4, "level0": 4}, force=False)
    for number in range(2):
        ledger.mark_done(MATCH, number, "a checksum", 1.0, {})
    loaded, printed = loaded_by(COMMAND + f"medcolor('status', {str(volume)!r})")
    assert loaded == set()
    assert printed.splitlines()[0] == "t1.ome.zarr: 25% (match 2/4, level0 0/4)"
