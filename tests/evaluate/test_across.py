"""Phantom scans of one person coloured from another, small."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from command import medcolor
from tables import figures
from volumes import write_volume

from medcolor.api import colorize_volume
from medcolor.color import srgb_to_lab
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.evaluate import across, demo
from medcolor.evaluate.across import (
    Case,
    choose_cases,
    evaluate_across,
    judge_case,
    write_case,
)
from medcolor.evaluate.metrics import ColorReport
from medcolor.evaluate.organs import mean_colors
from medcolor.phantom import Tissue, render_cryosection
from medcolor.progress import Silent
from medcolor.reference.library import list_references
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.store import read_slices

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("across")

SMALL = Case("head", "t1", 8.0)
QUICK = load_settings(None, ["features.working_size_px=64"])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_case(SMALL, tmp_path_factory.mktemp("case"))


def test_the_truth_itself_has_no_error_and_colours_of_nothing_have_much(files, tmp_path):
    truth = render_cryosection(files.target)

    def judged(name, rgb):
        report = ColorReport()
        found = judge_case(SMALL, files, write_volume(tmp_path / name, rgb, 8.0), report)
        assert found.sheet.shape[0] == 3 * truth.shape[1]
        methods = report.methods(SMALL.name)
        assert list(found.whole) == methods
        return {method: report.mean(SMALL.name, method) for method in methods}, found.whole

    found, whole = judged("truth.ome.zarr", truth)
    assert found["medcolor"].ciede2000 < 1e-3
    assert found["medcolor"].flicker == pytest.approx(found["truth"].flicker, abs=1e-3)
    known = (
        "tissues known, other's colours*",
        "organs named, one colour each*",
        "best transfer function*",
        "grey",
    )
    chroma = [found[method].chroma for method in known]
    assert chroma == sorted(chroma)
    for method in ("medcolor", "truth"):
        perfect = {name: whole[method][name] for name in ("palette", "muscle", "brain", "contrast")}
        assert perfect == pytest.approx(
            {"palette": 0, "muscle": 0, "brain": 0, "contrast": 1}, abs=1e-3
        )
    assert "liver" not in whole["truth"]
    assert whole["grey"]["invented"] < 0.1 < whole["truth"]["invented"]
    assert whole["grey"]["kept"] > 0.9
    blue = np.zeros_like(truth) + np.array([0, 0, 255], np.uint8)
    found, whole = judged("blue.ome.zarr", blue)
    assert found["medcolor"].ciede2000 > 30
    assert whole["medcolor"]["palette"] > 30
    assert whole["medcolor"]["contrast"] == pytest.approx(0, abs=1e-6)
    # Its outline, where colours end, is the scan's.
    assert whole["medcolor"]["kept"] < 0.5


def test_photographs_are_read_with_the_products_defaults(files):
    records = list_references(files.photographs, QUICK.reference)
    positions = [record.position_mm for record in records]
    np.testing.assert_allclose(np.diff(positions), 8)
    assert len(records) == len(files.reference.labels)


def test_the_scan_has_the_phantoms_geometry(files, tmp_path):
    volume = open_volume(files.scan, VolumeSettings(), tmp_path)
    assert volume.geometry.shape == files.target.labels.shape
    assert volume.geometry.spacing_mm == pytest.approx((8, 8, 8))


@pytest.mark.slow
def test_a_case_runs_through_the_whole_product(tmp_path):
    table = evaluate_across([SMALL], QUICK, Silent(), pictures=tmp_path)
    found = figures(table)
    assert "head-t1, person 1 from person 2" in table
    assert found["medcolor"][0] < found["grey"][0]
    assert (tmp_path / "head-t1.png").is_file()
    assert "medcolor" in pq.read_table(tmp_path / "color.parquet")["method"].to_pylist()
    rows = pq.read_table(tmp_path / "volumes.parquet").to_pylist()
    (own,) = [row for row in rows if row["method"] == "medcolor"]
    assert own["case"] == "head-t1"
    printed = table[: table.index("* knows")].splitlines()[-3].split()
    assert printed[0] == "medcolor"
    assert float(printed[1]) == pytest.approx(own["palette"], abs=0.005)


def test_cases_are_chosen_by_name_and_by_scanner():
    with pytest.raises(InputError, match="head-pet"):
        choose_cases(["head-pet"])
    (one,) = choose_cases(["trunk-ct"])
    assert (one.name, one.scanner) == ("trunk-ct-clinical", "clinical")
    assert choose_cases([], "plain") == list(across.CASES)
    assert [case.name for case in choose_cases([], "plain")] == [
        "head-ct", "head-t1", "head-t2", "trunk-ct"
    ]  # fmt: skip
    assert all(case.scanner == "clinical" for case in choose_cases([]))
    wrong = medcolor("evaluate", "color", "--scanner", "pet")
    assert wrong.returncode == 2
    assert "no such scanner" in wrong.stderr


def test_a_clinics_scanner_sees_the_same_persons_otherwise(files, tmp_path):
    clinical = write_case(replace(SMALL, scanner="clinical"), tmp_path)
    assert np.array_equal(clinical.target.labels, files.target.labels)
    scans = [np.asarray(nib.load(one.scan).dataobj) for one in (files, clinical)]
    assert not np.array_equal(*scans)
    photographs = [sorted(one.photographs.iterdir()) for one in (files, clinical)]
    for one, other in zip(*photographs, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_the_demo_leaves_pictures_a_page_and_the_error_beside_the_baselines(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_CASE", SMALL)
    monkeypatch.setattr(
        demo,
        "_SETTINGS",
        ("features.working_size_px=64", "render.frames=2", "render.size_px=64"),
    )
    printed = demo.run_demo(tmp_path, Silent())
    assert {"grey", "look-up by grey level", "best transfer function*", "medcolor"} <= set(
        figures(printed)
    )
    assert (tmp_path / "pictures" / "index.html").is_file()
    assert (tmp_path / "scan-result-truth.png").is_file()
    run = json.loads((tmp_path / "head.ome.zarr.run" / "run.json").read_text())
    assert run["complete"]


def test_a_person_is_written_as_files_by_the_command(tmp_path):
    command = ["evaluate", "phantom", tmp_path]
    done = medcolor(*command, "--spacing-mm", "8", "--seed", "3")
    assert done.returncode == 0, done.stderr
    clinical = [*command[:2], tmp_path / "clinical", "--scanner", "clinical"]
    done = medcolor(*clinical, "--spacing-mm", "8", "--seed", "3")
    assert done.returncode == 0, done.stderr
    for name in ("ct", "t1", "t2"):
        one, other = (nib.load(f / f"{name}.nii.gz") for f in (tmp_path, tmp_path / "clinical"))
        assert not np.array_equal(one.dataobj, other.dataobj)
    shapes = {nib.load(tmp_path / f"{name}.nii.gz").shape for name in ("ct", "t1", "t2")}
    assert len(shapes) == 1
    assert len(list((tmp_path / "photographs").iterdir())) == shapes.pop()[2]
    wrong = medcolor(*command, "--region", "tail")
    assert wrong.returncode == 2
    assert "tail" in wrong.stderr


@pytest.mark.slow
def test_the_liver_is_liver_coloured_and_on_the_right(tmp_path):
    """Trunk CT of one person from another's photographs, coarse."""
    case = Case("trunk", "ct", 8.0)
    files = write_case(case, tmp_path)
    settings = load_settings(None, ["features.working_size_px=96"])
    output = tmp_path / "v.ome.zarr"
    colorize_volume(files.scan, files.photographs, output, settings=settings)
    labels = files.target.labels
    rgb = read_slices(output, 0, range(len(labels)))[..., :3].astype(np.float32) / 255
    lab = np.stack([srgb_to_lab(part) for part in rgb])
    shown = render_cryosection(files.reference).astype(np.float32) / 255
    means = mean_colors(np.stack([srgb_to_lab(part) for part in shown]), files.reference.labels)

    liver = labels == Tissue.LIVER
    found = lab[liver][:, 1:].mean(axis=0)

    def away(tissue):
        return float(np.hypot(*(found - means[tissue][1:])))

    assert away(Tissue.LIVER) < away(Tissue.FAT)
    assert away(Tissue.LIVER) < 8
    # The same places on the other side hold other things and have other colours.
    mirrored = liver[:, :, ::-1] & ~liver & (labels != Tissue.AIR) & (labels != Tissue.SPLEEN)
    other = lab[mirrored][:, 1:].mean(axis=0)
    right = np.argwhere(liver)[:, 2].mean() < labels.shape[2] / 2
    assert right
    assert np.hypot(*(other - means[Tissue.LIVER][1:])) > away(Tissue.LIVER)
