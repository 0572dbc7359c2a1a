"""Preparing folders of frames: what is written, what is recorded, what is done again."""

from __future__ import annotations

import json
import os
import shutil

import cv2
import numpy as np
import pytest
from conftest import make_photographs
from trees import tree_bytes

from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.phantom import make_phantom, render_cryosection
from medcolor.phantom.rendering.raw_frame import make_raw_frame
from medcolor.progress import Silent
from medcolor.reference.library import list_references, load_reference
from medcolor.reference.manifest import missing_numbers, read_manifest
from medcolor.run.index import build_index
from medcolor.run.prepare import prepare_references
from medcolor.run.serial import SerialRunner
from medcolor.volume.images import read_image_in_pixels, write_png

ONE = load_settings(None, ["compute.threads=1"])


def prepare(frames, output, settings=ONE, runner=None):
    return prepare_references(frames, output, settings, runner or SerialRunner(), Silent())


@pytest.fixture(scope="module")
def raw_frames():
    """Three raw frames of one head, by number."""
    phantom = make_phantom(5, region="head", spacing_mm=6.0)
    faces = render_cryosection(phantom)
    levels = (20, 28, 36)
    return {
        f"a_vm{1000 + 6 * (51 - z)}": make_raw_frame(faces[z], phantom.labels[z], seed=z).rgb
        for z in levels
    }


@pytest.fixture
def folder(tmp_path, raw_frames):
    """Raw frames, of which one is there twice and one lacks, and two empty ones."""
    frames = tmp_path / "frames"
    frames.mkdir()
    names = sorted(raw_frames)
    for name in names:
        write_png(frames / f"{name}.png", raw_frames[name])
    number = int(names[-1][4:])
    write_png(frames / f"a_vm{number + 48}.png", raw_frames[names[-1]])
    (frames / f"a_vm{number + 96}.png").write_bytes(b"")
    write_png(frames / f"a_vm{number + 144}.png", np.zeros((40, 60, 3), np.uint8))
    (frames / f"a_vm{number + 192}.png").write_bytes(b"no such frame")
    write_png(frames / f"a_vm{number + 240}.png", np.full((40, 60, 3), 9, np.uint8))
    return frames


def by_status(output):
    found = {}
    for one in read_manifest(output):
        found.setdefault(one.status, []).append(one)
    return found


def test_missing_empty_and_duplicate_frames_are_recorded_and_stop_nothing(folder, tmp_path):
    report = prepare(folder, tmp_path / "out")
    found = by_status(tmp_path / "out")
    assert report.counts == {"prepared": 3, "duplicate": 1, "empty": 4}
    assert [one.why for one in found["empty"]] == [
        "no bytes",
        "one colour throughout",
        "no readable image",
        "one colour throughout",
    ]
    assert found["duplicate"][0].why.startswith("shows the same as a_vm")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    written = {one.file for one in found["prepared"]}
    assert files == written | {"references.json", "contact_sheet.png"}


@pytest.mark.parametrize(
    ("numbers", "lacking"),
    [
        ([1, 2, 4], [3]),
        ([1000, 1005, 1015, 1020, 1030], [1010, 1025]),
        ([1432, 1432 + 1 / 3, 1433, 1433 + 1 / 3], [1432.667]),
        ([1, 2, 9, 30, 32], []),
        ([7], []),
        ([], []),
    ],
)
def test_gaps_of_regular_sequences_are_missing_frames(numbers, lacking):
    assert missing_numbers([float(number) for number in numbers]) == pytest.approx(lacking)


def test_a_gap_is_recorded_with_its_position(folder, tmp_path, raw_frames):
    (folder / f"{sorted(raw_frames)[1]}.png").unlink()
    prepare(folder, tmp_path / "out")
    (missing,) = by_status(tmp_path / "out")["missing"]
    assert missing.position_mm == int(sorted(raw_frames)[1][4:])
    assert missing.source is None
    assert missing.file is None


def test_a_prepared_frame_reads_as_the_raw_frame_does(folder, tmp_path):
    prepare(folder, tmp_path / "out")
    prepared = list_references(tmp_path / "out", ONE.reference)
    assert [one.position_mm for one in prepared] == sorted(one.position_mm for one in prepared)
    for record in prepared:
        assert record.orientation == "LPI"
        straight = load_reference(
            type(record)(record.reference_id, folder / record.reference_id, None), ONE.reference
        )
        again = load_reference(record, ONE.reference)
        np.testing.assert_array_equal(again.rgb, straight.rgb)
        np.testing.assert_array_equal(again.tissue, straight.tissue)


def test_prepared_frames_are_white_and_transparent_outside_the_body(folder, tmp_path):
    prepare(folder, tmp_path / "out")
    for one in by_status(tmp_path / "out")["prepared"]:
        rgb, alpha, _ = read_image_in_pixels(tmp_path / "out" / one.file)
        assert set(np.unique(alpha)) == {0, 255}
        assert (rgb[alpha == 0] == 255).all()
        top, bottom, left, right = one.crop
        assert rgb.shape[:2] == (bottom - top, right - left)


def test_clean_frames_pass_unchanged(tmp_path):
    frames, output = make_photographs(tmp_path / "clean"), tmp_path / "out"
    report = prepare(frames, output)
    assert report.counts == {"clean": 6}
    for path in frames.iterdir():
        assert (output / path.name).read_bytes() == path.read_bytes()
    plain = list_references(frames, ONE.reference)
    listed = list_references(output, ONE.reference)
    assert [one.position_mm for one in listed] == [one.position_mm for one in plain]
    for one, other in zip(listed, plain, strict=True):
        assert one.orientation is None  # nobody has said how it lies
        np.testing.assert_array_equal(
            load_reference(one, ONE.reference).rgb, load_reference(other, ONE.reference).rgb
        )


def test_the_real_clean_photographs_pass_unchanged(shared, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for name in ("1025.png", "1120.png", "1235.png", "1300.png"):
        shutil.copy(shared / "cryosection-head" / name, frames)
    prepare(frames, tmp_path / "out")
    assert {one.status for one in read_manifest(tmp_path / "out") if one.source} == {"clean"}
    for path in frames.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def stamps(output):
    return {path.name: path.stat().st_mtime_ns for path in output.iterdir()}


def test_a_second_run_does_nothing(folder, tmp_path):
    output = tmp_path / "out"
    prepare(folder, output)
    before = stamps(output)
    report = prepare(folder, output)
    assert report.kept == 8
    assert stamps(output) == before


def test_what_changed_or_is_torn_is_done_again_and_nothing_else(folder, tmp_path, raw_frames):
    output = tmp_path / "out"
    prepare(folder, output)
    whole = tree_bytes(output)
    first, second, third = (f"{name}.png" for name in sorted(raw_frames))
    (output / first).write_bytes((output / first).read_bytes()[:100])
    (output / second).unlink()
    before = stamps(output)
    prepare(folder, output)
    assert tree_bytes(output) == whole
    assert stamps(output)[third] == before[third]

    write_png(folder / first, raw_frames[sorted(raw_frames)[0]][:, ::-1])
    (folder / second).unlink()
    prepare(folder, output)
    assert (output / first).read_bytes() != whole[first]
    assert not (output / second).exists()
    assert stamps(output)[third] == before[third]


def test_other_settings_prepare_anew(folder, tmp_path):
    prepare(folder, tmp_path / "out")
    other = load_settings(None, ["reference.white_balance=none", "compute.threads=1"])
    assert prepare(folder, tmp_path / "out", other).kept == 0
    prepared = by_status(tmp_path / "out")["prepared"]
    assert {(one.gains, one.balance) for one in prepared} == {(None, "switched off")}


def test_results_do_not_depend_on_threads(folder, tmp_path):
    prepare(folder, tmp_path / "one")
    prepare(folder, tmp_path / "three", load_settings(None, ["compute.threads=3"]))
    assert tree_bytes(tmp_path / "one") == tree_bytes(tmp_path / "three")


def test_an_index_of_raw_frames_and_one_of_prepared_frames_agree(folder, tmp_path):
    prepare(folder, tmp_path / "out")
    used = {record.reference_id for record in list_references(tmp_path / "out", ONE.reference)}
    for path in folder.iterdir():  # raw folders must hold photographs alone
        if path.name not in used:
            path.unlink()
    built = [
        build_index(frames, tmp_path / f"index-{frames.name}", ONE, SerialRunner(), Silent())
        for frames in (folder, tmp_path / "out")
    ]
    np.testing.assert_array_equal(built[0].descriptors, built[1].descriptors)
    assert [one.orientation for one in built[0].records] == [None] * 3
    assert [one.orientation for one in built[1].records] == ["LPI"] * 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frames, _: [path.unlink() for path in frames.iterdir()], "no photographs"),
        (lambda _, output: (output.mkdir(), (output / "mine.txt").touch()), "not empty"),
        (lambda frames, _: shutil.copy(frames / "1000.png", frames / "1000.tif"), "one name"),
        (lambda frames, _: (frames / "references.json").write_text("{}"), "prepared already"),
        (
            lambda frames, _: cv2.imwrite(str(frames / "7.png"), np.eye(40, dtype=np.uint8)),
            "grey image",
        ),
    ],
)
def test_folders_that_cannot_be_used_are_refused(spoil, words, tmp_path):
    frames = make_photographs(tmp_path / "frames")
    spoil(frames, tmp_path / "out")
    with pytest.raises(InputError, match=words):
        prepare(frames, tmp_path / "out")


def test_a_record_that_cannot_be_read_is_refused(tmp_path):
    frames = make_photographs(tmp_path / "frames")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "references.json").write_text(json.dumps({"version": 0, "frames": []}))
    with pytest.raises(InputError, match="no readable record"):
        prepare(frames, tmp_path / "out")


def test_a_frame_whose_name_is_no_utf8_is_prepared_and_listed(tmp_path):
    """Such names come from other systems; the record holds them and is read back."""
    frames, output = make_photographs(tmp_path / "frames", count=2), tmp_path / "out"
    name = os.fsdecode(b"kopf-\xe4-1010.png")
    shutil.copy(frames / "1000.png", frames / name)
    (frames / "1000.png").unlink()
    prepare(frames, output)
    assert {one.file for one in read_manifest(output) if one.source} == {name, "1005.png"}
    assert {one.reference_id for one in list_references(output, ONE.reference)} == {
        name,
        "1005.png",
    }
    assert prepare(frames, output).kept == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "no readable record"),
        ("[]", "no readable record"),
        ('{"version": 2, "frames": []}', "version: Input should be 1"),
        ('{"version": 1, "frames": [{"status": "clean"}]}', "frames.0.source"),
        ('{"version": 1, "frames": [], "more": 1}', "more"),
    ],
)
def test_a_record_that_is_none_is_one_line(tmp_path, content, told):
    (tmp_path / "references.json").write_text(content)
    with pytest.raises(InputError, match=told) as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)
