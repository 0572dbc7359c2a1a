"""Indexes of photographs as they are built, grown and looked at."""

from __future__ import annotations

import random
import shutil

import cv2
import numpy as np
import pytest
from conftest import make_photographs
from trees import tree_bytes

import medcolor
from medcolor.errors import InputError, RunError
from medcolor.progress import Silent
from medcolor.reference.library import load_reference
from medcolor.retrieval.index import read_index, remove_rows
from medcolor.retrieval.parts import part_paths, read_columns
from medcolor.run import index_parts
from medcolor.run.index import append_index, build_index, library_digest
from medcolor.run.index_pictures import query_index, show_index
from medcolor.run.serial import SerialRunner
from medcolor.volume.images import read_image


class ShuffledRunner(SerialRunner):
    """Ends its tasks in an order of its own, as several workers do."""

    def run(self, make_worker, tasks, **options):
        outcomes = list(super().run(make_worker, tasks, **options))
        random.Random(len(outcomes)).shuffle(outcomes)
        yield from outcomes


class DyingRunner(SerialRunner):
    """Dies after some parts."""

    def __init__(self, parts=1):
        super().__init__()
        self.parts = parts

    def run(self, make_worker, tasks, **options):
        self.parts -= 1
        if self.parts < 0:
            raise RunError("machine", "went down", "Begin again")
        return super().run(make_worker, tasks, **options)


class CountingRunner(SerialRunner):
    """Counts the photographs it is given."""

    given = 0

    def run(self, make_worker, tasks, **options):
        self.given += sum(len(task) for task in tasks)
        return super().run(make_worker, tasks, **options)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(index_parts, "PART_FRAMES", 4)
    monkeypatch.setattr(index_parts, "_PER_TASK", 1)


@pytest.fixture
def build(photographs, tmp_path, quick):
    def build(name="index", runner=None, folder=photographs):
        return build_index(folder, tmp_path / name, quick, runner or SerialRunner(), Silent())

    return build


def test_an_index_does_not_depend_on_which_photograph_is_described_first(build):
    one, other = build("one"), build("other", ShuffledRunner())
    assert len(one.parts) == 2
    assert tree_bytes(one.folder) == tree_bytes(other.folder)


def test_an_index_cut_into_other_parts_holds_the_same(build, monkeypatch):
    one = build("one")
    monkeypatch.setattr(index_parts, "PART_FRAMES", 100)
    other = build("other")
    assert (len(one.parts), len(other.parts)) == (2, 1)
    assert one.records == other.records
    assert one.library_digest == other.library_digest
    np.testing.assert_array_equal(one.descriptors, other.descriptors)


def test_no_more_than_one_part_is_described_at_a_time(build):
    sizes = []

    class Watching(SerialRunner):
        def run(self, make_worker, tasks, **options):
            sizes.append(sum(len(task) for task in tasks))
            return super().run(make_worker, tasks, **options)

    build(runner=Watching())
    assert sizes == [4, 2]


def test_an_interrupted_build_is_no_index_and_keeps_its_finished_parts(build, tmp_path):
    whole = build("whole")
    with pytest.raises(RunError):
        build(runner=DyingRunner())
    assert not (tmp_path / "index").exists()

    runner = CountingRunner()
    resumed = build(runner=runner)
    assert runner.given == 2
    assert tree_bytes(resumed.folder) == tree_bytes(whole.folder)
    assert not (tmp_path / ".index.building").exists()


def test_a_build_resumed_with_other_photographs_describes_them_again(
    build, photographs, monkeypatch
):
    monkeypatch.setattr(index_parts, "PART_FRAMES", 2)
    with pytest.raises(RunError):
        build(runner=DyingRunner(parts=2))
    for name in ("1000.png", "1015.png", "1020.png", "1025.png"):
        (photographs / name).unlink()

    index = build()

    assert [record.reference_id for record in index.records] == ["1005.png", "1010.png"]
    assert len(part_paths(index.folder)) == 1


def test_every_row_tells_how_its_photograph_was_prepared(build, quick):
    index = build()
    records = [
        text for part in index.parts for text in read_columns(part, "preparation")["preparation"]
    ]
    prepared = load_reference(index.records[0], quick.reference)
    rows, cols = prepared.tissue.shape
    assert records[0].startswith(f'{{"shape": [{rows}, {cols}], "tissue_share": ')


def test_appending_gives_the_index_of_all_and_skips_what_is_there(
    build, photographs, tmp_path, quick
):
    everything = build("everything")
    later = tmp_path / "later"
    later.mkdir()
    for name in ("1000.png", "1015.png"):
        shutil.move(photographs / name, later / name)
    index = build()
    shutil.copy(photographs / "1005.png", later / "a copy 1005.png")

    done = append_index(later, index.folder, quick, SerialRunner(), Silent())

    assert (done.added, done.known) == (2, ("a copy 1005.png",))
    ids = [record.reference_id for record in everything.records]
    assert [record.reference_id for record in done.index.records] == ids
    np.testing.assert_array_equal(done.index.positions_mm, everything.positions_mm)
    np.testing.assert_array_equal(done.index.descriptors, everything.descriptors)
    assert done.index.library_digest == everything.library_digest

    runner = CountingRunner()
    again = append_index(later, index.folder, quick, runner, Silent())
    assert (again.added, len(again.known), runner.given) == (0, 3, 0)


def test_another_photograph_of_a_name_that_is_there_is_refused(build, tmp_path, quick):
    index = build()
    other = make_photographs(tmp_path / "other", count=1, size=50)
    with pytest.raises(InputError, match="holds another photograph of this name"):
        append_index(other, index.folder, quick, SerialRunner(), Silent())


def test_appending_with_other_preparation_is_refused(build, photographs, quick):
    index = build()
    other = quick.model_copy(update={"reference": type(quick.reference)(background_tolerance=9.0)})
    with pytest.raises(InputError, match="built with preparation"):
        append_index(photographs, index.folder, other, SerialRunner(), Silent())


def test_positions_that_become_unknown_are_told(build, photographs, tmp_path, quick, caplog):
    index = build()
    nameless = tmp_path / "nameless"
    nameless.mkdir()
    cv2.imwrite(str(nameless / "x.png"), cv2.imread(str(photographs / "1000.png"))[:, ::-1])
    done = append_index(nameless, index.folder, quick, SerialRunner(), Silent())
    assert done.index.positions_mm is None
    assert "not all positions are known any longer" in caplog.text


def test_folder_and_index_name_a_library_alike_with_empty_photographs_too(
    build, photographs, quick
):
    cv2.imwrite(str(photographs / "990.png"), np.full((60, 60, 3), 255, np.uint8))
    index = build()
    assert len(index.empty) == 1
    assert library_digest(photographs, quick) == index.library_digest
    assert library_digest(index.folder, quick) == index.library_digest


def test_a_renumbered_photograph_is_another_library(photographs, quick):
    before = library_digest(photographs, quick)
    (photographs / "1025.png").rename(photographs / "1027.png")
    assert library_digest(photographs, quick) != before


def test_a_run_on_an_index_refuses_photographs_that_changed_since(
    build, photographs, scan, tmp_path, quick
):
    index, output = build(), tmp_path / "v.ome.zarr"
    make_photographs(photographs, size=64)
    with pytest.raises(InputError, match="changed since it was indexed"):
        medcolor.colorize_volume(scan, index.folder, output, settings=quick)
    assert not output.exists()


def test_a_run_on_an_index_with_a_row_less_is_another_run(build, scan, tmp_path, quick):
    index, output = build(), tmp_path / "v.ome.zarr"
    medcolor.colorize_volume(scan, index.folder, output, settings=quick)
    remove_rows(index, ["1010.png"])
    with pytest.raises(InputError, match="other references"):
        medcolor.colorize_volume(scan, index.folder, output, settings=quick)


def test_show_tells_what_is_there_and_draws_it(build, photographs, tmp_path):
    index = build()
    (photographs / "1010.png").unlink()
    words = show_index(index.folder, tmp_path / "sheets" / "show.png")
    assert "6 in 2 parts" in words
    assert "1000 .. 1025 mm, steps 5 .. 5, median 5 mm" in words
    assert index.origin.network in words
    assert f"1: {photographs / '1010.png'}" in words
    assert "picture       " in words
    assert read_image(tmp_path / "sheets" / "show.png").std() > 20


def test_a_large_index_is_shown_in_part_and_the_sheet_says_so(build, tmp_path, monkeypatch):
    monkeypatch.setattr("medcolor.run.index_pictures._MOST_TILES", 3)
    words = show_index(build().folder, tmp_path / "show.png")
    assert "3 of 6 references, evenly spaced" in words


def test_a_query_draws_the_slice_beside_what_it_found(build, photographs, tmp_path, quick):
    index = build()
    grey = read_image(photographs / "1010.png")[::-1].mean(axis=-1)
    grey[grey == 255] = 0
    cv2.imwrite(str(tmp_path / "grey.png"), grey)

    found = query_index(index.folder, tmp_path / "grey.png", quick, 9, tmp_path / "sheet.png")

    cosines = [match.cosine for match in found]
    assert len(found) == 6
    assert cosines == sorted(cosines, reverse=True)
    assert read_image(tmp_path / "sheet.png").shape[1] > 6 * 240


def test_an_index_that_is_read_names_photographs_from_anywhere(
    photographs, tmp_path, quick, monkeypatch
):
    monkeypatch.chdir(photographs.parent)
    relative = photographs.relative_to(photographs.parent)
    build_index(relative, tmp_path / "index", quick, SerialRunner(), Silent())
    assert all(record.path.is_absolute() for record in read_index(tmp_path / "index").records)


def test_a_file_without_a_number_among_photographs_is_left_out_and_told(build, photographs, caplog):
    cv2.imwrite(str(photographs / "logo.png"), np.zeros((20, 20), np.uint8))  # grey, too
    index = build()
    assert "logo.png" not in {record.reference_id for record in index.records}
    assert index.positions_mm is not None
    assert "left out, without a number as the others have in their names: logo.png" in caplog.text


def test_how_to_order_is_decided_without_the_empty_photographs(tmp_path, quick):
    folder = tmp_path / "few"
    make_photographs(folder, 3)
    for name in ("scale", "legend"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((40, 60, 3), 255, np.uint8))
    index = build_index(folder, tmp_path / "index", quick, SerialRunner(), Silent())
    assert len(index.empty) == 2
    assert index.positions_mm.tolist() == [1000, 1005, 1010]
    assert library_digest(folder, quick) == index.library_digest
