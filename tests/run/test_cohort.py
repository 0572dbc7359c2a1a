"""Many volumes in one job."""

from __future__ import annotations

import json
import shutil
import time

import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ORIENTATION, make_photographs, make_scan
from trees import tree_bytes

import medcolor
from medcolor.cli import main
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.run.cohort_manifest import read_cohort
from medcolor.storage import ObjectPath

SETTINGS = [
    *("features.working_size_px=32", "store.slab_slices=4", "store.chunk=[4,16,16]"),
    *("compute.threads=1", f"reference.orientation={ORIENTATION}"),
]
QUICK = load_settings(None, SETTINGS)


@pytest.fixture
def manifest(tmp_path):
    """Three small volumes."""
    volumes = []
    for number in range(3):
        make_scan(tmp_path / "scans" / f"{number}.nii", slices=5 + number, size=30)
        volumes.append({"name": f"person-{number}", "target": f"scans/{number}.nii"})
    path = tmp_path / "cohort.yaml"
    path.write_text(yaml.safe_dump({"volumes": volumes}))
    return path


@pytest.fixture
def run(manifest, tmp_path):
    photographs = make_photographs(tmp_path / "photographs", count=4)

    def once(**options):
        return medcolor.colorize_cohort(
            manifest, photographs, tmp_path / "out", settings=QUICK, **options
        )

    return once


def states(report):
    return {name: row.state for name, row in report.rows.items()}


def summary(tmp_path):
    return {row["name"]: row for row in pq.read_table(tmp_path / "out/summary.parquet").to_pylist()}


def test_only_what_is_new_or_changed_is_made(run, tmp_path, manifest):
    assert states(run()) == {f"person-{n}": "complete" for n in range(3)}
    assert summary(tmp_path)["person-2"]["slices"] == 7
    before = tree_bytes(tmp_path / "out")
    begin = time.perf_counter()
    assert states(run()) == {f"person-{n}": "kept" for n in range(3)}
    assert time.perf_counter() - begin < 20
    after = tree_bytes(tmp_path / "out")
    changed = {key for key in after if before.get(key) != after[key]}
    assert changed == {"summary.parquet"}

    make_scan(tmp_path / "scans" / "1.nii", slices=9, size=30)
    volumes = yaml.safe_load(manifest.read_text())["volumes"]
    make_scan(tmp_path / "scans" / "new.nii", slices=4, size=30)
    volumes.append({"name": "new", "target": str(tmp_path / "scans" / "new.nii")})
    manifest.write_text(yaml.safe_dump({"volumes": volumes}))
    found = states(run())
    assert found == {
        "new": "complete", "person-0": "kept", "person-1": "complete", "person-2": "kept"
    }  # fmt: skip
    assert summary(tmp_path)["person-1"]["slices"] == 9


def test_each_volume_has_the_bytes_it_has_alone(run, tmp_path):
    run()
    alone = tmp_path / "alone.ome.zarr"
    medcolor.colorize_volume(
        tmp_path / "scans/1.nii", tmp_path / "photographs", alone, settings=QUICK
    )
    assert tree_bytes(alone) == tree_bytes(tmp_path / "out" / "person-1.ome.zarr")


def test_a_volume_that_cannot_be_made_holds_no_other_up(run, tmp_path):
    (tmp_path / "scans" / "0.nii").write_bytes(b"no scan")
    (tmp_path / "scans" / "2.nii").unlink()
    report = run()
    assert not report.is_complete
    assert states(report) == {"person-0": "failed", "person-1": "complete", "person-2": "failed"}
    problem = summary(tmp_path)["person-0"]["problem"]
    assert "not a kind of file" in problem
    assert "0.nii" not in problem, "a file name may be a patient's"
    make_scan(tmp_path / "scans" / "0.nii", slices=5, size=30)
    make_scan(tmp_path / "scans" / "2.nii", slices=5, size=30)
    assert states(run()) == {"person-0": "complete", "person-1": "kept", "person-2": "complete"}


def test_the_command_tells_what_it_would_do_and_does_it(
    manifest, tmp_path, monkeypatch, capsys, run
):
    photographs = tmp_path / "photographs"
    words = ["medcolor", "cohort", str(manifest), str(photographs), str(tmp_path / "out")]
    words += [word for one in SETTINGS for word in ("--set", one)]

    def command(*more):
        monkeypatch.setattr("sys.argv", [*words, *more])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr().out

    before = sorted(tmp_path.rglob("*"))
    code, told = command("--plan", "--json")
    plan = json.loads(told)
    assert (code, plan["kept"]) == (0, [])
    assert plan["todo"] == ["person-0", "person-1", "person-2"]
    assert plan["first"]["slices"] == 5
    assert sorted(tmp_path.rglob("*")) == before
    run()
    assert "3 kept, none to do" in command("--plan")[1]
    assert command()[0] == 0
    (tmp_path / "scans" / "2.nii").unlink()
    code, told = command()
    assert code == 1
    assert "person-2: failed" in told


def test_manifests_of_other_kinds(tmp_path):
    table = pa.table({"name": ["b", "a"], "target": ["b.nii", "/data/a.nii"]})
    pq.write_table(table, tmp_path / "m.parquet")
    members = read_cohort(str(tmp_path / "m.parquet"))
    assert [(one.name, str(one.target)) for one in members] == [
        ("a", "/data/a.nii"), ("b", str(tmp_path / "b.nii"))
    ]  # fmt: skip
    for name in ("doe^jane", "roe"):
        make_scan(tmp_path / "scans" / f"{name}.nii", slices=2, size=8)
    found = read_cohort(f"{tmp_path}/scans/*.nii")
    assert {one.target.name for one in found} == {"doe^jane.nii", "roe.nii"}
    assert "doe" not in "".join(one.name for one in found)
    assert found == read_cohort(f"{tmp_path}/scans/*")


@pytest.mark.parametrize(
    "content",
    [
        "volumes: []",
        "volumes: [{name: a, target: x}, {name: a, target: y}]",
        "volumes: [{name: ../a, target: x}]",
        "volumes: [{target: x}]",
        "volumes: 3",
        "[",
    ],
)
def test_bad_manifests_are_one_line(tmp_path, content):
    (tmp_path / "m.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        read_cohort(str(tmp_path / "m.yaml"))
    assert "\n" not in str(caught.value)


def test_voxels_beside_their_header_and_volumes_deleted_by_hand_count(run, tmp_path, manifest):
    image = nib.load(make_scan(tmp_path / "scans" / "pair.nii", slices=4, size=30))
    nib.save(nib.Nifti1Pair(np.asarray(image.dataobj), image.affine), tmp_path / "scans/p.hdr")
    manifest.write_text(yaml.safe_dump({"volumes": [{"name": "p", "target": "scans/p.hdr"}]}))
    assert states(run()) == {"p": "complete"}
    assert states(run()) == {"p": "kept"}
    voxels = tmp_path / "scans" / "p.img"
    voxels.write_bytes(voxels.read_bytes()[::-1])
    assert states(run()) == {"p": "complete"}
    shutil.rmtree(tmp_path / "out" / "p.ome.zarr")
    assert states(run()) == {"p": "complete"}
    assert (tmp_path / "out" / "p.ome.zarr" / "0" / "c").is_dir()


def test_a_pattern_finds_folders_in_a_bucket_as_it_does_here(monkeypatch, tmp_path):
    keys = ["A/1.dcm", "A/2.dcm", "B/1.dcm", "note.txt"]
    for key in keys:
        (tmp_path / "cases" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cases" / key).write_bytes(b"")
    monkeypatch.setattr(ObjectPath, "walk", lambda _: iter([(key, 0) for key in keys]))
    for pattern in ("*", "*/*.dcm", "[AB]", "*.txt"):
        here = {
            str(one.target.relative_to(tmp_path))
            for one in read_cohort(f"{tmp_path}/cases/{pattern}")
        }
        there = {
            str(one.target)[len("s3://bucket/") :]
            for one in read_cohort(f"s3://bucket/cases/{pattern}")
        }
        assert here == there
