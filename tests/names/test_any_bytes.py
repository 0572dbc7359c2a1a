"""Names of any bytes: whatever a file system holds is read, written, recorded and told."""

import errno
import io
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from unittest import mock

import cv2
import nibabel as nib
import nrrd
import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from command import medcolor
from conftest import make_photographs, make_scan
from dicom_files import write_dicom
from hypothesis import given
from hypothesis import strategies as st
from trees import tree_bytes

import medcolor as library
from medcolor.cli_logs import log_to_standard_error
from medcolor.config import load_settings
from medcolor.errors import InputError, of_system, printable
from medcolor.progress import Silent
from medcolor.retrieval.index import read_index, remove_rows
from medcolor.retrieval.parts import read_thumbnails
from medcolor.run.index import build_index
from medcolor.run.serial import SerialRunner
from medcolor.run.tasks import one_line
from medcolor.storage import place_of
from medcolor.storage.names import as_text, from_text
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings

KOELN = os.fsdecode(b"K\xf6ln")
QUICK = ["--set", "features.working_size_px=32", "--set", "retrieval.references=1"]


@given(st.binary(max_size=40))
def test_every_name_becomes_text_and_comes_back(name):
    name = os.fsdecode(name)
    text = as_text(name)
    text.encode()
    assert from_text(text) == name


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_names_that_are_text_stay_as_they_are(name):
    assert as_text(name) == from_text(name) == name


@given(st.binary(max_size=40))
def test_what_is_printed_is_text_that_steers_no_terminal(name):
    shown = printable(os.fsdecode(name))
    shown.encode()
    assert shown.isprintable()


def nifti(path, voxels):
    nib.save(nib.Nifti1Image(voxels.T, np.diag([-1, -1, 1, 1])), f"{path}.nii.gz")


def nrrd_file(path, voxels):
    nrrd.write(f"{path}.nrrd", np.ascontiguousarray(voxels.T), {
        "space": "left-posterior-superior", "space directions": np.eye(3),
        "space origin": [0, 0, 0],
    })  # fmt: skip


def tiff(path, voxels):
    tifffile.imwrite(f"{path}.tif", voxels, photometric="minisblack")


def images(path, voxels):
    path.mkdir()
    for z, plane in enumerate(voxels):
        content = cv2.imencode(".png", plane)[1].tobytes()
        (path / f"{KOELN}{z}.png").write_bytes(content)


def dicom(path, voxels):
    path.mkdir()
    for z, plane in enumerate(voxels):
        write_dicom(path / f"{KOELN}{z}", z, plane, RescaleIntercept=0, PixelSpacing=[1, 1])


def archive(path, voxels):
    dicom(path.with_name("series"), voxels)
    with zipfile.ZipFile(f"{path}.zip", "w") as file:
        for one in path.with_name("series").iterdir():
            file.writestr(one.name.replace(KOELN, "a"), one.read_bytes())
    shutil.rmtree(path.with_name("series"))


@pytest.mark.parametrize("write", [nifti, nrrd_file, tiff, images, dicom, archive])
def test_scans_of_every_kind_are_read_whatever_their_names_are(tmp_path, write):
    voxels = np.random.default_rng(1).integers(0, 900, (3, 12, 10), np.uint16)
    folder = tmp_path / KOELN
    folder.mkdir()
    write(folder / f"scan{KOELN}", voxels)
    (path,) = folder.iterdir()
    settings = VolumeSettings(spacing_mm=(1.0, 1.0, 1.0))
    volume = open_volume(path, settings, tmp_path / f"staging{KOELN}")
    found = np.stack([read_slice(volume, z, settings) for z in range(3)])
    np.testing.assert_array_equal(found, voxels)


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A scan and photographs, with names in ASCII and with ones of other bytes."""
    plain = tmp_path_factory.mktemp("plain")
    make_scan(plain / "scan.nii.gz", slices=4, size=40)
    make_photographs(plain / "photographs", 4, 40)
    odd = tmp_path_factory.mktemp("odd") / KOELN
    shutil.copytree(plain, odd)
    (odd / "scan.nii.gz").rename(odd / f"scan{KOELN}.nii.gz")
    for path in (odd / "photographs").iterdir():
        path.rename(path.with_name(f"{KOELN}{path.name}"))
    return plain, odd


def test_a_volume_is_the_same_whatever_its_inputs_are_called(strange):
    plain, odd = strange
    settings = load_settings(None, ["features.working_size_px=32"])
    for folder, scan, name in ((plain, "scan", "v"), (odd, f"scan{KOELN}", f"v{KOELN}")):
        report = library.colorize_volume(
            folder / f"{scan}.nii.gz",
            folder / "photographs",
            folder / f"{name}.ome.zarr",
            settings=settings,
        )
        assert report.is_complete
    assert tree_bytes(plain / "v.ome.zarr") == tree_bytes(odd / f"v{KOELN}.ome.zarr")
    again = library.colorize_volume(
        odd / f"scan{KOELN}.nii.gz",
        odd / "photographs",
        odd / f"v{KOELN}.ome.zarr",
        settings=settings,
    )
    assert (again.slabs_done, again.slabs_kept) == (0, 1)


def test_an_index_holds_text_and_gives_names_back(strange, tmp_path, quick):
    photographs = strange[1] / "photographs"
    folder = tmp_path / f"index{KOELN}"
    index = build_index(photographs, folder, quick, SerialRunner(), Silent())
    names = sorted(path.name for path in photographs.iterdir())
    assert sorted(record.reference_id for record in index.records) == names
    assert {record.path for record in index.records} == {*photographs.iterdir()}
    assert index.positions_mm is not None
    for part in folder.glob("*.parquet"):
        with part.open("rb") as file:
            table = pq.read_table(file)
        table.validate(full=True)  # UTF-8, too
    assert read_thumbnails(index.parts, names[:2]).keys() == {*names[:2]}
    left = remove_rows(read_index(folder), names[:1])
    assert names[0] not in {record.reference_id for record in left.records}


def test_the_command_takes_and_tells_names_of_any_bytes(strange, tmp_path):
    _, odd = strange
    index, output = tmp_path / f"i{KOELN}", tmp_path / f"o{KOELN}.ome.zarr"
    photographs, scan = odd / "photographs", odd / f"scan{KOELN}.nii.gz"
    steps = [
        ("reference", "prepare", photographs, tmp_path / f"p{KOELN}"),
        ("index", "build", photographs, index, *QUICK),
        ("index", "show", index, "--output", tmp_path / f"s{KOELN}.png"),
        ("colorize", scan, tmp_path / f"p{KOELN}", output, *QUICK),
        ("status", output),
        ("verify", output),
        ("export", output, tmp_path / f"e{KOELN}.nii.gz"),
        ("cohort", odd / "scan*.gz", index, tmp_path / f"c{KOELN}", *QUICK),
    ]
    for words in steps:
        done = medcolor(*words)
        assert done.returncode == 0, done.stderr
        (done.stdout + done.stderr).encode()
    summary = pq.read_table(io.BytesIO((tmp_path / f"c{KOELN}" / "summary.parquet").read_bytes()))
    assert summary["state"].to_pylist() == ["complete"]


@pytest.mark.parametrize("text", ["a\ud800b", "a\0b"])
def test_what_no_file_system_holds_is_no_place(text):
    with pytest.raises(InputError):
        place_of(text)


LONG = "a" * 251


@pytest.mark.parametrize("name", [LONG, "é" * 120, "a" * 300])
@pytest.mark.parametrize("command", ["colorize", "render", "index", "prepare", "cohort"])
def test_a_name_that_is_too_long_is_one_line(strange, tmp_path, name, command):
    plain, _ = strange
    scan, photographs, output = plain / "scan.nii.gz", plain / "photographs", tmp_path / name
    words = {
        "colorize": ("colorize", scan, photographs, output),
        "render": ("render", plain / "v.ome.zarr", output),
        "index": ("index", "build", photographs, output),
        "prepare": ("reference", "prepare", photographs, output),
        "cohort": ("cohort", plain / "scan*.gz", photographs, output),
    }[command]
    assert_one_line(medcolor(*words), "expected at most 200")
    assert not list(tmp_path.iterdir())


def assert_one_line(done, words):
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


@pytest.mark.parametrize("which", ["scan", "photographs", "above the output", "export"])
def test_what_the_system_says_of_any_path_is_one_line(strange, tmp_path, which):
    plain, _ = strange
    long = tmp_path / LONG / ("b" * 300)
    scan, photographs, output = (
        plain / "scan.nii.gz",
        plain / "photographs",
        tmp_path / "o.ome.zarr",
    )
    words = {
        "scan": ("colorize", long, photographs, output),
        "photographs": ("colorize", scan, long, output),
        "above the output": ("colorize", scan, photographs, long / "o.ome.zarr"),
        "export": ("export", plain / "v.ome.zarr", long / "x.nii.gz"),
    }[which]
    assert_one_line(medcolor(*words), "Check the path" if which == "scan" else "Give a")


@pytest.mark.parametrize(
    ("code", "status"),
    [(errno.ENAMETOOLONG, 2), (errno.EACCES, 2), (errno.ENOSPC, 1), (errno.EIO, 1)],
)
def test_errors_of_the_system_name_the_path_and_have_a_status(code, status):
    error = of_system(OSError(code, os.strerror(code), f"/x/{KOELN}\x1b[2J"))
    assert error.exit_status == status
    assert str(error).startswith(rf"/x/K\xf6ln\x1b[2J: {os.strerror(code)}. ")


@pytest.mark.parametrize(
    ("name", "is_exported"),
    [("x.nii.gz", True), ("X.NII", True), ("x.nrrd", True), ("x.tif", True), ("x.dcm", False),
     ("x.mha", False), ("x.png", False), ("x.mp4", False)],
)  # fmt: skip
@pytest.mark.parametrize("way", [(), ("--plan",)])
def test_a_volume_is_not_written_under_the_name_of_a_file(
    strange, tmp_path, name, is_exported, way
):
    plain, _ = strange
    output = tmp_path / name
    done = medcolor("colorize", plain / "scan.nii.gz", plain / "photographs", output, *way)
    assert_one_line(done, "promises a")
    assert (f"`medcolor export {tmp_path}" in done.stderr) == is_exported
    assert not list(tmp_path.iterdir())


def test_no_folder_is_written_under_the_name_of_a_file(strange, tmp_path):
    plain, _ = strange
    photographs = plain / "photographs"
    for words in (
        ("render", plain / "v.ome.zarr", tmp_path / "turntable.mp4"),
        ("index", "build", photographs, tmp_path / "index.parquet"),
        ("reference", "prepare", photographs, tmp_path / "sheet.png"),
        ("cohort", plain / "scan*.gz", photographs, tmp_path / "summary.csv"),
    ):
        assert_one_line(medcolor(*words), "promises a")
    assert not list(tmp_path.iterdir())


def test_no_name_steers_the_terminal(tmp_path):
    photographs, index = make_photographs(tmp_path / "p", 2, 40), tmp_path / "i\x1b[31m"
    done = medcolor("index", "build", photographs, index, *QUICK)
    assert done.returncode == 0, done.stderr
    assert r"i\x1b[31m" in done.stdout
    for words in (("index", "show", index), ("status", index), ("verify", index)):
        done = medcolor(*words)
        assert "\x1b" not in done.stdout + done.stderr


def test_no_error_of_another_library_steers_the_terminal():
    assert one_line(ValueError("a\x1b[2J\nb")) == r"ValueError: a\x1b[2J b"


def test_no_line_of_the_log_steers_the_terminal():
    log_to_standard_error()
    screen = io.StringIO()
    screen.isatty = lambda: True
    ours = logging.getLogger("medcolor")
    # What pytest captures it passes between its processes, as UTF-8.
    with mock.patch("sys.stderr", screen), mock.patch.object(ours, "propagate", False):
        logging.getLogger("medcolor.x").warning("%s", f"a\x1b[2J{KOELN}")
    assert screen.getvalue() == "WARNING: a\\x1b[2JK\\xf6ln\n"


def test_a_terminal_of_few_characters_gets_escapes(tmp_path):
    photographs, index = make_photographs(tmp_path / "p", 2, 40), tmp_path / "医"
    done = subprocess.run(
        [sys.executable, "-m", "medcolor", "index", "build", photographs, index, *QUICK],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "latin-1:strict"},
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u533b" in done.stdout


def test_a_picture_is_not_written_under_the_name_of_another_kind(strange, tmp_path):
    index, picture = tmp_path / "index", tmp_path / "sheet.jpg"
    assert medcolor("index", "build", strange[0] / "photographs", index, *QUICK).returncode == 0
    assert_one_line(medcolor("index", "show", index, "--output", picture), "another kind of file")
    assert not picture.exists()
