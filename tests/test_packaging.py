"""What a user installs: one wheel with the embedded weights inside, and pins that are tested."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_the_weights_its_card_names_and_no_tests(wheel):
    names = wheel.namelist()
    card = json.loads(wheel.read("medcolor/features/weights/embedded.json"))
    weights = wheel.read("medcolor/features/weights/embedded.safetensors")
    assert sha256(weights).hexdigest() == card["sha256"]
    assert len(weights) < 8e6
    assert {Path(name).parts[0].split("-")[0] for name in names} == {"medcolor"}
    assert not any("test" in name.lower() for name in names)


def test_the_wheel_holds_every_module(wheel):
    packaged = {name for name in wheel.namelist() if name.endswith(".py")}
    tracked = {str(path.relative_to(ROOT)) for path in (ROOT / "medcolor").rglob("*.py")}
    assert packaged == tracked


def test_the_wheel_holds_the_sources_of_the_pages(wheel):
    kinds = (".html", ".css", ".js")
    packaged = {name for name in wheel.namelist() if name.endswith(kinds)}
    sources = (ROOT / "medcolor").rglob("*.*")
    assert packaged == {str(path.relative_to(ROOT)) for path in sources if path.suffix in kinds}
    assert {"medcolor/render/page.html", "medcolor/render/cohort.html"} <= packaged


def test_the_wheel_holds_the_viewer_of_the_pages_with_the_licences_of_all_inside_it(wheel):
    folder = "medcolor/render/niivue"
    assert {name for name in wheel.namelist() if name.startswith(folder)} == {
        f"{folder}/{name}" for name in ("niivue.umd.js", "LICENSE.txt", "ORIGIN.txt")
    }
    licence = wheel.read(f"{folder}/LICENSE.txt")
    assert b"Copyright (c) 2021, Niivue" in licence
    (named,) = (
        n for n in wheel.namelist() if n.endswith("dist-info/licenses/" + folder + "/LICENSE.txt")
    )
    assert wheel.read(named) == licence


def test_the_wheel_installs_the_command(wheel):
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "medcolor = medcolor.cli:main" in wheel.read(name).decode()


def pins(path):
    """Return the pinned version of every package of a file, by its canonical name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / path).read_text(), re.MULTILINE)
    assert len({canonicalize_name(name) for name, _ in found}) == len(found), "pinned twice"
    return {canonicalize_name(name): version for name, version in found}


def requirements(*extras):
    """Return what pyproject.toml asks for, on any system."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    optional = project["project"]["optional-dependencies"]
    image = project["dependency-groups"]["image"]
    asked = [*project["project"]["dependencies"], *(image if "image" in extras else [])]
    asked += [one for extra in extras for one in optional.get(extra, [])]
    return [one for one in map(Requirement, asked) if one.name != "medcolor"]


PARTS = ("ray", "render", "cloud", "dicom")


@pytest.mark.parametrize(
    ("path", "extras"),
    [
        ("constraints.txt", (*PARTS, "dev", "docs", "image")),
        ("requirements.lock", (*PARTS, "image")),
    ],
)
def test_pins_are_what_the_project_asks_for(path, extras):
    pinned = pins(path)
    astray = [
        str(one)
        for one in requirements(*extras)
        if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))
    ]
    assert astray == [], "run: make lock"


def test_constraints_leave_to_torch_what_torch_brings():
    pinned, locked = pins("constraints.txt"), pins("requirements.lock")
    brought = {name for name in locked if re.match("triton|nvidia-|cuda-", name)}
    assert {"triton", "nvidia-cudnn-cu13"} <= brought
    assert not brought & set(pinned)
    assert {name: pinned[name] for name in set(locked) - brought} == {
        name: locked[name] for name in set(locked) - brought
    }


def test_every_pin_of_the_lock_has_hashes_and_no_file_names_a_registry():
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins("requirements.lock"))
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text + (ROOT / "constraints.txt").read_text()
