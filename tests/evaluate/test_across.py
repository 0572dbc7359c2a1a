"""Phantom scans of one person coloured from another, small."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from command import medcolor
from tables import figures

from medcolor.api import colorize_volume
from medcolor.color import srgb_to_lab
from medcolor.config import load_settings
from medcolor.domain import VolumeGeometry
from medcolor.errors import InputError
from medcolor.evaluate import across, demo
from medcolor.evaluate.across import (
    Case,
    _tissue_means,
    choose_cases,
    evaluate_across,
    judge,
    write_case,
)
from medcolor.evaluate.metrics import ColorReport
from medcolor.phantom import Tissue, render_cryosection
from medcolor.progress import Silent
from medcolor.reference.library import list_references
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.open import open_volume
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.store import create_store, read_slices, write_slab

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("across")

SMALL = Case("head", "t1", 8.0)
QUICK = load_settings(None, ["features.working_size_px=64"])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_case(SMALL, tmp_path_factory.mktemp("case"))


def write_volume(path, rgb):
    geometry = VolumeGeometry(
        rgb.shape[:3], (8.0, 8.0, 8.0), as_affine(affine_from_code("LPS", (8.0, 8.0, 8.0)))
    )
    create_store(path, geometry, QUICK.store, {})
    alpha = np.full((*rgb.shape[:3], 1), 255, np.uint8)
    write_slab(path, 0, range(len(rgb)), np.concatenate([rgb, alpha], axis=-1))
    return path


def test_the_truth_itself_has_no_error_and_colours_of_nothing_have_much(files, tmp_path):
    truth = render_cryosection(files.target)

    def judged(name, rgb):
        report = ColorReport()
        sheet = judge(SMALL, files, write_volume(tmp_path / name, rgb), report)
        assert sheet.shape[0] == 3 * truth.shape[1]
        return {method: report.mean(SMALL.name, method) for method in report.methods(SMALL.name)}

    found = judged("truth.ome.zarr", truth)
    assert found["medcolor"].ciede2000 < 1e-3
    assert found["medcolor"].flicker == pytest.approx(found["truth"].flicker, abs=1e-3)
    chroma = [
        found[method].chroma
        for method in ("tissues known, other's colours*", "best transfer function*", "grey")
    ]
    assert chroma == sorted(chroma)
    blue = np.zeros_like(truth) + np.array([0, 0, 255], np.uint8)
    assert judged("blue.ome.zarr", blue)["medcolor"].ciede2000 > 30


def test_photographs_are_read_with_the_products_defaults(files):
    records = list_references(files.photographs, QUICK.reference)
    positions = [record.position_mm for record in records]
    np.testing.assert_allclose(np.diff(positions), 8)
    assert len(records) == len(files.reference.labels)


def test_the_scan_has_the_phantoms_geometry(files, tmp_path):
    volume = open_volume(files.scan, VolumeSettings(), tmp_path)
    assert volume.geometry.shape == files.target.labels.shape
    assert volume.geometry.spacing_mm == pytest.approx((8, 8, 8))


def test_a_case_runs_through_the_whole_product(tmp_path):
    table = evaluate_across([SMALL], QUICK, Silent(), pictures=tmp_path)
    found = figures(table)
    assert "head-t1, person 1 from person 2" in table
    assert found["medcolor"][0] < found["grey"][0]
    assert (tmp_path / "head-t1.png").is_file()
    assert "medcolor" in pq.read_table(tmp_path / "color.parquet")["method"].to_pylist()


def test_an_unknown_case_is_named():
    with pytest.raises(InputError, match="head-pet"):
        choose_cases(["head-pet"])
    assert [case.name for case in choose_cases(["trunk-ct"])] == ["trunk-ct"]
    assert choose_cases([]) == list(across.CASES)


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
    shapes = {nib.load(tmp_path / f"{name}.nii.gz").shape for name in ("ct", "t1", "t2")}
    assert len(shapes) == 1
    assert len(list((tmp_path / "photographs").iterdir())) == shapes.pop()[2]
    wrong = medcolor(*command, "--region", "tail")
    assert wrong.returncode == 2
    assert "tail" in wrong.stderr


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
    means = _tissue_means(files.reference)

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
