"""Optional parts: without them all else works, and what needs one names it in one line."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import cv2
import numpy as np
import pytest
from command import medcolor
from conftest import ORIENTATION, draw_slice, make_photographs, make_scan
from dicom_files import write_dicom
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from trees import tree_bytes

from medcolor import doctor
from medcolor.config import RunSettings
from medcolor.extras import MODULES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
QUICK = ["--set", "features.working_size_px=32", "--set", "store.slab_slices=32"]
QUICK += ["--set", f"reference.orientation={ORIENTATION}"]
ABSENT = """
import sys
absent = {absent}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from medcolor.cli import main
main()
"""


def medcolor_without(extras, *arguments, **environment):
    """Run the command in a process in which the modules of some extras cannot be imported."""
    absent = {module for extra in extras for module in MODULES[extra]}
    command = [sys.executable, "-c", ABSENT.format(absent=absent), *map(str, arguments)]
    return subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def make_nifti(folder):
    return make_scan(folder / "scan.nii.gz", slices=4)


def make_images(folder):
    (folder / "scan").mkdir()
    for number in range(4):
        gray = np.round(255 * draw_slice(number / 3)[0]).astype(np.uint8)
        cv2.imwrite(str(folder / "scan" / f"{number}.png"), gray)
    return folder / "scan"


@pytest.mark.parametrize("make", [make_nifti, pytest.param(make_images, marks=pytest.mark.slow)])
def test_without_any_extra_a_scan_takes_the_same_colours(tmp_path, make):
    scan, photographs = make(tmp_path), make_photographs(tmp_path / "photographs")
    options = [*QUICK, "--set", "volume.spacing_mm=[3,1.5,1.5]"]

    done = medcolor_without(
        MODULES, "colorize", scan, photographs, tmp_path / "bare.ome.zarr", *options
    )
    assert done.returncode == 0, done.stderr
    with_all = medcolor("colorize", scan, photographs, tmp_path / "all.ome.zarr", *options)

    assert with_all.returncode == 0, with_all.stderr
    bare = tree_bytes(tmp_path / "bare.ome.zarr")
    assert any("c/" in name for name in bare)
    assert bare == tree_bytes(tmp_path / "all.ome.zarr")


def on_ray(folder):
    scan = make_scan(folder / "in" / "scan.nii")
    return ["colorize", scan, "phantom", folder / "out" / "v.ome.zarr", "--ray", "auto"]


def render(folder):
    return ["render", "v.ome.zarr", folder / "out"]


def demo(folder):
    return ["demo", "--output", folder / "out"]


def scan_in_a_bucket(folder):
    return ["colorize", "s3://scans/ct.nii", "phantom", folder / "out" / "v.ome.zarr"]


def result_in_a_bucket(folder):
    return ["colorize", make_scan(folder / "in" / "scan.nii"), "phantom", "s3://results/v.ome.zarr"]


def pictures_from_a_bucket(folder):
    return ["fetch", "s3://results/pictures", folder / "out"]


def dicom_folder(folder):
    (folder / "in").mkdir()
    for number in range(3):
        write_dicom(folder / "in" / f"{number}.dcm", 2.0 * number, np.zeros((8, 8)))
    return ["colorize", folder / "in", "phantom", folder / "out" / "v.ome.zarr"]


def dicom_file(folder):
    return [
        "colorize",
        next(iter(dicom_folder(folder)[1].iterdir())),
        "phantom",
        folder / "out" / "v.ome.zarr",
    ]


def dicom_deep_in_a_folder(folder):
    (folder / "in").mkdir()
    dicom_folder(folder / "in")
    photographs = make_photographs(folder / "photographs")
    return ["colorize", folder / "in", photographs, folder / "out" / "v.ome.zarr"]


@pytest.mark.parametrize(
    ("extra", "make"),
    [
        ("ray", on_ray),
        ("render", render),
        ("render", demo),
        ("cloud", scan_in_a_bucket),
        ("cloud", result_in_a_bucket),
        ("cloud", pictures_from_a_bucket),
        ("dicom", dicom_folder),
        ("dicom", dicom_file),
        ("dicom", dicom_deep_in_a_folder),
    ],
)
def test_a_missing_extra_is_named_in_one_line_before_anything_is_computed(tmp_path, extra, make):
    words = make(tmp_path)
    done = medcolor_without([extra], *words, MEDCOLOR_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (error,) = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert MODULES[extra][0] in error
    assert error.endswith(f"Run: pip install 'medcolor[{extra}]'.")
    made = {path.name for path in tmp_path.iterdir()}
    assert made <= {"in", "photographs"}, "neither a result nor a library in the cache"


def test_the_doctor_names_what_could_be_added_and_finds_no_fault_in_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    monkeypatch.setitem(sys.modules, "gdcm", None)
    found = {one.probe: one for one in doctor.examine(RunSettings(), None, None)}
    assert found["extras"].works
    assert found["extras"].what == "ray, cloud; to add more: pip install 'medcolor[render,dicom]'"
    assert "drawing" not in found


def names(requirements):
    return {canonicalize_name(Requirement(one).name) for one in requirements}


def test_all_brings_every_extra_and_each_extra_its_modules():
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {*MODULES, "all", "dev", "docs"}
    (every,) = extras["all"]
    assert Requirement(every).extras == set(MODULES)
    providers = packages_distributions()
    for extra, modules in MODULES.items():
        brought = {canonicalize_name(name) for module in modules for name in providers[module]}
        assert names(extras[extra]) <= brought
        assert brought - names(extras[extra]) <= {"vtk"}, "which PyVista brings"


def imported(path):
    """Return the top names of all that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_every_package_that_is_imported_is_declared():
    found = {name for path in (ROOT / "medcolor").rglob("*.py") for name in imported(path)}
    optional = {module for modules in MODULES.values() for module in modules}
    brought_by_torch = {"triton"}
    others = found - optional - brought_by_torch - set(sys.stdlib_module_names) - {"medcolor"}
    providers = packages_distributions()
    declared = names(PROJECT["dependencies"])
    assert [
        name
        for name in sorted(others)
        if not declared & {canonicalize_name(one) for one in providers[name]}
    ] == []


@pytest.mark.parametrize("path", ["README.md", "cluster/README.md", "docs/install.md"])
def test_commands_of_the_documents_name_extras_that_exist(path):
    named = re.findall(r"medcolor\[([a-z,]+)\]", (ROOT / path).read_text())
    assert named
    assert {extra for one in named for extra in one.split(",")} <= set(
        PROJECT["optional-dependencies"]
    )
