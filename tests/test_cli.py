"""The command as users meet it: one-line errors, exit statuses, progress."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from command import medcolor
from conftest import ORIENTATION, make_photographs, make_scan

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("cli")

QUICK = ["--set", "features.working_size_px=32", "--set", "store.slab_slices=32"]
QUICK += ["--set", f"reference.orientation={ORIENTATION}"]


def medcolor_apart(*arguments):
    """Run the command in a process of its own, as users do."""
    command = [sys.executable, "-m", "medcolor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return make_scan(folder / "scan.nii.gz", slices=5), make_photographs(folder / "photographs")


@pytest.fixture(scope="module")
def coloured(inputs, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "scan.ome.zarr"
    return medcolor_apart("colorize", *inputs, output, *QUICK), output


def test_colorize_says_what_it_did_and_what_it_cost(coloured):
    done, output = coloured
    assert done.returncode == 0, done.stderr
    assert "5 slices, 1 slabs written, 0 kept, 0 failed" in done.stdout
    assert "matching" in done.stdout
    assert output.is_dir()


def test_progress_is_json_lines_where_there_is_no_terminal(coloured):
    lines = [json.loads(line) for line in coloured[0].stderr.splitlines()]
    assert {line["stage"] for line in lines} >= {"references", "describe", "color"}
    last = [line for line in lines if line["stage"] == "color"][-1]
    assert last["done"] == last["total"] == 5


def test_render_prints_the_page(coloured, tmp_path):
    done = medcolor("render", coloured[1], tmp_path / "p", "--frames", 2, "--size", 32)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("index.html")
    assert len(list((tmp_path / "p" / "frames").iterdir())) == 2


def test_other_settings_on_one_output_end_with_status_2(coloured, inputs):
    done = medcolor("colorize", *inputs, coloured[1], *QUICK, "--set", "transfer.gamma=0.75")
    assert done.returncode == 2
    assert "begun with other settings" in done.stderr


def test_a_process_ends_with_status_2_one_line_and_no_result(inputs, tmp_path):
    done = medcolor_apart("colorize", tmp_path / "absent.nii", inputs[1], tmp_path / "v.ome.zarr")
    assert done.returncode == 2
    assert done.stdout == ""
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert error.startswith("error: ")
    assert "no such file or folder" in error
    assert list(tmp_path.iterdir()) == []


def empty_references(folder):
    (folder / "r").mkdir()
    return make_scan(folder / "s.nii"), folder / "r", ()


def one_coloured_reference(folder):
    (folder / "r").mkdir()
    cv2.imwrite(str(folder / "r" / "1.png"), np.full((40, 40, 3), 200, np.uint8))
    return make_scan(folder / "s.nii"), folder / "r", ()


def grey_reference(folder):
    (folder / "r").mkdir()
    cv2.imwrite(str(folder / "r" / "1.png"), np.zeros((40, 40), np.uint8))
    return make_scan(folder / "s.nii"), folder / "r", ()


def absent_target(folder):
    return folder / "absent.nii", make_photographs(folder / "r"), ()


def mixed_sizes(folder):
    (folder / "s").mkdir()
    for index, side in enumerate((20, 21)):
        cv2.imwrite(str(folder / "s" / f"{index}.png"), np.zeros((20, side), np.uint8))
    return folder / "s", make_photographs(folder / "r"), ("--set", "volume.spacing_mm=[1,1,1]")


def unknown_key(folder):
    return make_scan(folder / "s.nii"), make_photographs(folder / "r"), ("--set", "a.b=1")


def value_out_of_range(folder):
    inputs = make_scan(folder / "s.nii"), make_photographs(folder / "r")
    return *inputs, ("--set", "smoothing.guide_sigma=-1")


def absent_settings_file(folder):
    inputs = make_scan(folder / "s.nii"), make_photographs(folder / "r")
    return *inputs, ("--config", folder / "absent.yaml")


def workers_without_ray(folder):
    return make_scan(folder / "s.nii"), make_photographs(folder / "r"), ("--workers", 2)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (empty_references, "no reference photographs"),
        (one_coloured_reference, "none of 1 photographs shows a body"),
        (grey_reference, "grey image has no colours"),
        (absent_target, "no such file or folder"),
        (mixed_sizes, "slices differ"),
        (unknown_key, "a"),
        (value_out_of_range, "guide_sigma, spatial_sigma_px and range_sigma must be > 0"),
        (absent_settings_file, "no readable settings file"),
        (workers_without_ray, "Add --ray auto"),
    ],
)
def test_wrong_use_is_one_line_and_status_2_and_writes_nothing(tmp_path, make, problem):
    target, references, options = make(tmp_path)
    output = tmp_path / "out" / "v.ome.zarr"

    done = medcolor("colorize", target, references, output, *options)

    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    assert problem in errors[0]
    assert "Traceback" not in done.stderr
    assert not output.parent.exists() or not any(output.parent.iterdir())


def test_the_settings_that_are_printed_are_read_back(tmp_path):
    printed = medcolor("settings")
    path = tmp_path / "all.yaml"
    path.write_text(printed.stdout)
    assert medcolor("settings", "--config", path).returncode == 0


def test_index_build_and_query(inputs, tmp_path):
    index = tmp_path / "index"
    built = medcolor("index", "build", inputs[1], index)
    assert built.returncode == 0, built.stderr
    assert "6 references" in built.stdout
    image = tmp_path / "grey.png"
    cv2.imwrite(str(image), np.pad(np.full((30, 20), 150, np.uint8), 10))
    done = medcolor("index", "query", index, image, "-k", 2)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_index_append_remove_and_show(inputs, tmp_path):
    index, more = tmp_path / "index", make_photographs(tmp_path / "more", count=7, size=50)
    assert medcolor("index", "build", inputs[1], index).returncode == 0
    for name in ("1000.png", "1005.png", "1010.png", "1015.png", "1020.png", "1025.png"):
        cv2.imwrite(str(more / name), cv2.imread(str(inputs[1] / name)))

    appended = medcolor("index", "append", more, index)
    assert appended.returncode == 0, appended.stderr
    assert "6 were there already: 1000.png, " in appended.stdout
    assert "1 added, 7 references" in appended.stdout

    removed = medcolor("index", "remove", index, "1000.png", "1030.png")
    assert "2 removed, 5 references" in removed.stdout
    again = medcolor("index", "remove", index, "1000.png")
    assert again.returncode == 2
    assert "Near names: 10" in again.stderr

    shown = medcolor("index", "show", index, "--output", tmp_path / "sheet.png")
    assert shown.returncode == 0, shown.stderr
    assert "5 in 2 parts" in shown.stdout  # the number of an emptied part is not given again
    assert (tmp_path / "sheet.png").is_file()


def test_reference_prepare_says_what_it_did_and_what_it_kept(inputs, tmp_path):
    done = medcolor("reference", "prepare", inputs[1], tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "6 clean; 0 kept from before" in done.stdout
    assert (
        "6 kept from before" in medcolor("reference", "prepare", inputs[1], tmp_path / "out").stdout
    )
