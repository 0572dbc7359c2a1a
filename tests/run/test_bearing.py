"""What is said of how photographs lie stands, whatever the slices look like."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import make_photographs, make_scan

import medcolor
from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord, number_in_name
from medcolor.reference.manifest import PreparedFrame, write_manifest
from medcolor.reference.orientation import CODES, from_view
from medcolor.reference.settings import ReferenceSettings
from medcolor.retrieval.index import ReferenceIndex
from medcolor.run.bearing import find_known_turn

COUNT = 24
AUTO = ReferenceSettings()
FINDING = load_settings(
    None, ["features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"]
)


def index_of(tmp_path, orientations):
    """Return an index of photographs, each the only one that some slices are like."""
    records = tuple(
        ReferenceRecord(f"{number}.png", tmp_path / f"{number}.png", float(number), orientation)
        for number, orientation in enumerate(orientations)
    )
    index = ReferenceIndex(tmp_path, (), records, ("",) * COUNT, np.arange(COUNT))
    index.__dict__["descriptors"] = np.eye(COUNT, COUNT + 1, dtype=np.float32)
    return index


def slices_that_look(code, likeness=0.5, mirrored=0.3, other=0.1):
    """Return a stack of slices, each like one photograph, most so shown as `code`."""
    pair = {code, code.translate(str.maketrans("LR", "RL"))}

    def describe(slices, codes):
        shown = np.zeros((len(slices), len(codes), COUNT + 1), np.float32)
        for row, z in enumerate(slices):
            for col, one in enumerate(codes):
                cosine = likeness if one == code else mirrored if one in pair else other
                shown[row, col, z * COUNT // 96] = cosine
                shown[row, col, COUNT] = np.sqrt(1 - cosine**2)
        return shown

    return describe


def found(describe, index, settings=AUTO):
    return find_known_turn(describe, 96, 5.0, index, settings)


@pytest.mark.parametrize("code", CODES)
def test_a_recorded_orientation_is_never_overruled_and_what_contradicts_is_said(
    tmp_path, caplog, code
):
    index = index_of(tmp_path, ["LPI"] * COUNT)
    with caplog.at_level(logging.WARNING):
        turn, said, known_by = found(slices_that_look(code), index)
    assert (turn.code, said, known_by) == ("LP", "LPI", "record")
    if code == "LP":
        assert not caplog.messages
    else:
        (told,) = caplog.messages
        assert f"recorded, LPI, and are read so; the slices look as if it were {code}I" in told


@pytest.mark.parametrize("code", CODES)
def test_an_orientation_that_is_set_is_never_overruled(tmp_path, caplog, code):
    settings = ReferenceSettings(orientation="LAI")
    with caplog.at_level(logging.WARNING):
        turn, said, known_by = found(
            slices_that_look(code), index_of(tmp_path, [None] * COUNT), settings
        )
    assert (turn.code, said, known_by) == ("LP", "LAI", "settings")
    assert len(caplog.messages) == (code != "LP")


@pytest.mark.parametrize("code", CODES)
def test_what_nobody_says_is_found_and_a_mirror_image_is_a_warning(tmp_path, caplog, code):
    with caplog.at_level(logging.WARNING):
        turn, said, known_by = found(slices_that_look(code), index_of(tmp_path, [None] * COUNT))
    assert (turn.code, said, known_by) == (code, "LAI", "slices")
    assert turn.sides.are_certain
    is_mirrored = code not in ("LP", "LA", "PR", "AL")
    assert len(caplog.messages) == is_mirrored
    if is_mirrored:
        assert "mirror images" in caplog.text
        assert "--set reference.orientation=" in caplog.text


@pytest.mark.parametrize("orientation", [None, "LPI"])
def test_photographs_of_another_part_are_told_with_their_likeness(tmp_path, caplog, orientation):
    wrong = slices_that_look("LP", likeness=0.12, mirrored=0.12, other=0.11)
    with caplog.at_level(logging.WARNING):
        turn, *_ = found(wrong, index_of(tmp_path, [orientation] * COUNT))
    assert not turn.is_told
    (told,) = caplog.messages
    assert "another part of the body" in told
    assert "0.12" in told
    assert "0.11" in told


def test_photographs_that_lie_in_two_ways_are_refused_with_a_remedy(tmp_path):
    index = index_of(tmp_path, ["LPI"] * 10 + [None] * (COUNT - 10))
    assert found(slices_that_look("LP"), index)[1:] == ("LPI", "record")
    with pytest.raises(InputError, match=r"10 lie as recorded \(LPI\), 14 others look like LPI"):
        found(slices_that_look("LA"), index)
    settings = ReferenceSettings(orientation="LPI")
    assert found(slices_that_look("LP"), index, settings)[0].code == "LP"


@pytest.mark.parametrize("recorded", ["LAI", None])
def test_numbers_run_as_is_recorded_if_the_scan_says_how_it_lies(tmp_path, caplog, recorded):
    """Photographs numbered from the feet: what is known stands, what is presumed does not."""
    scan = make_scan(tmp_path / "scan.nii.gz")
    frames = make_photographs(tmp_path / "photographs")
    names = sorted(path.name for path in frames.iterdir())
    reading = {name: (frames / name).read_bytes() for name in names}
    for name, other in zip(names, names[::-1], strict=True):
        (frames / name).write_bytes(reading[other])
    if recorded:
        numbers = [number_in_name(Path(name).stem) for name in names]
        write_manifest(
            frames,
            [
                PreparedFrame("clean", name, number, number, name, recorded)
                for name, number in zip(names, numbers, strict=True)
            ],
        )
    with caplog.at_level(logging.WARNING):
        report = medcolor.colorize_volume(scan, frames, tmp_path / "o.ome.zarr", settings=FINDING)
    assert report.bearing.is_reversed == (recorded is None)
    assert report.bearing.orientation == (recorded or "LAS")
    assert ("numbers ran the other way" in caplog.text) == (recorded is not None)


def test_a_run_reads_photographs_as_recorded_and_says_so(scan, tmp_path, caplog):
    frames = make_photographs(tmp_path / "photographs")
    names = sorted(path.name for path in frames.iterdir())
    for name in names:  # so that they lie as LPI
        cv2.imwrite(str(frames / name), cv2.imread(str(frames / name))[::-1])
    for recorded, is_right in (("LPI", True), ("LAI", False)):
        write_manifest(
            frames,
            [
                PreparedFrame("clean", name, float(z), float(z), name, recorded)
                for z, name in enumerate(names)
            ],
        )
        output = tmp_path / f"{recorded}.ome.zarr"
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            report = medcolor.colorize_volume(scan, frames, output, settings=FINDING)
        run = json.loads((tmp_path / f"{recorded}.ome.zarr.run" / "run.json").read_text())
        assert run["photographs"]["orientation"][:2] == recorded[:2]
        assert run["photographs"]["known_by"] == "record"
        assert run["photographs"]["likeness"] is not None
        assert "as recorded" in str(report.bearing)
        assert ("as if it were LPI" in caplog.text) != is_right
        assert run["window"]["unit_origin"]
        assert str(report.window).startswith(("Hounsfield", "a scanner"))


def test_slices_find_photographs_however_these_lie(scan, tmp_path):
    """They are described anew as they were found to lie: the network knows upright bodies."""
    chosen = []
    for name, code in (("raw", "LP"), ("upright", "LA"), ("turned", "PR")):
        frames = make_photographs(tmp_path / name)
        for path in frames.iterdir():
            frame = from_view(cv2.imread(str(path)), code)
            cv2.imwrite(str(path), np.ascontiguousarray(frame))
        output = tmp_path / f"{name}.ome.zarr"
        medcolor.colorize_volume(scan, frames, output, settings=FINDING)
        table = pq.read_table(tmp_path / f"{name}.ome.zarr.run" / "assignment.parquet")
        chosen.append(table.select(["reference_id", "place_mm", "similarity"]).to_pylist())
    assert chosen[0] == chosen[1] == chosen[2]
