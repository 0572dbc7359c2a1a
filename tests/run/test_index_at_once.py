"""Three processes that change one index at the same time lose nothing of each other's work."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import pytest
from bucket import environment, make_bucket, s3_server
from index_tasks import Change, QuickDescriptions, changes, join

from medcolor.errors import InputError, RunError
from medcolor.progress import Silent
from medcolor.retrieval.index import read_index
from medcolor.retrieval.parts import add_part, part_path, part_paths, read_columns
from medcolor.run import index as indexes
from medcolor.run.index import append_index, build_index
from medcolor.run.index_copies import local_index, remove_references, updating
from medcolor.run.serial import SerialRunner
from medcolor.storage import object_path, place_of
from medcolor.storage.locks import alone_with

pytestmark = [pytest.mark.xdist_group("index at once"), pytest.mark.timeout(280)]

ROUNDS, PROCESSES = 10, 3


@pytest.fixture(scope="module")
def server():
    with s3_server() as address:
        yield address


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path, monkeypatch):
    """Where an index may lie."""
    monkeypatch.setenv("MEDCOLOR_CACHE", str(tmp_path / "cache"))
    if request.param == "folder":
        return str(tmp_path / "index")
    address = request.getfixturevalue("server")
    for name, value in environment(address).items():
        monkeypatch.setenv(name, value)
    object_path._bucket.cache_clear()
    return f"{make_bucket(address, 'at-once-' + tmp_path.name.replace('_', '-').lower())}/index"


@pytest.fixture(autouse=True)
def quick_descriptions(monkeypatch):
    monkeypatch.setattr(indexes, "DescribeReferences", QuickDescriptions)
    monkeypatch.setattr(QuickDescriptions, "barrier", None)


def photographs(folder, *numbers):
    folder.mkdir(parents=True)
    for number in numbers:
        picture = np.full((4, 4, 3), number % 251, np.uint8)
        picture[0, 0] = number // 251
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def build(place, folder, settings):
    with updating(place_of(place)) as copy:
        build_index(folder, copy, settings, SerialRunner(1), Silent())


@pytest.fixture(scope="module")
def pool():
    """Processes that have loaded all there is to load."""
    context = multiprocessing.get_context("spawn")
    barriers = context.Barrier(PROCESSES), context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, join, barriers) as made:
        yield made


@pytest.fixture
def at_once(pool, place, quick, tmp_path):
    """Return a function by which each process does its rounds; see `index_tasks.changes`."""

    def run(rounds, *, together):
        done = []
        for number, own in enumerate(rounds):
            cache = str(tmp_path / f"cache-{number}")  # as on another machine
            about = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
            about["MEDCOLOR_CACHE"] = cache
            done.append(pool.submit(changes, place, own, quick, about, together))
        for one in done:
            one.result()

    return run


def ids(place):
    index = read_index(local_index(place_of(place)))
    return sorted(int(record.reference_id.removesuffix(".png")) for record in index.records)


def test_ten_rounds_of_three_appends_lose_no_row(at_once, place, tmp_path, quick):
    """In a bucket all three have read the index before any of them writes."""
    build(place, photographs(tmp_path / "first", 1, 2), quick)
    numbers = iter(range(10, 1000))
    rounds = [
        [
            Change(photographs(tmp_path / f"{process}-{turn}", next(numbers), next(numbers)))
            for turn in range(ROUNDS)
        ]
        for process in range(PROCESSES)
    ]
    at_once(rounds, together=place.startswith("s3"))
    assert ids(place) == [1, 2, *range(10, 10 + 2 * ROUNDS * PROCESSES)]


def test_appending_and_removing_at_once_lose_nothing(at_once, place, tmp_path, quick):
    build(place, photographs(tmp_path / "first", *range(2 * ROUNDS + 1)), quick)
    rounds = [
        [Change(photographs(tmp_path / f"a-{turn}", 100 + turn)) for turn in range(ROUNDS)],
        *(
            [Change(remove=(f"{2 * turn + half}.png",)) for turn in range(ROUNDS)]
            for half in range(2)
        ),
    ]
    at_once(rounds, together=place.startswith("s3"))
    assert ids(place) == [2 * ROUNDS, *range(100, 100 + ROUNDS)]


def test_the_same_photographs_appended_by_all_are_there_once(at_once, place, tmp_path, quick):
    build(place, photographs(tmp_path / "first", 1, 2), quick)
    rounds = [
        [Change(photographs(tmp_path / f"{process}", 3, 4, 10 + process))]
        for process in range(PROCESSES)
    ]
    at_once(rounds, together=place.startswith("s3"))
    assert ids(place) == [1, 2, 3, 4, 10, 11, 12]


def test_of_two_that_build_one_is_refused_and_the_other_whole(place, tmp_path, quick):
    one, other = photographs(tmp_path / "one", 1, 2), photographs(tmp_path / "other", 3, 4, 5)

    def overtaken(records):
        indexes.DescribeReferences = QuickDescriptions
        if place.startswith("s3"):  # another machine: another cache, another lock
            with pytest.MonkeyPatch.context() as patched:
                patched.setenv("MEDCOLOR_CACHE", str(tmp_path / "another"))
                build(place, other, quick)
        return QuickDescriptions()(records)

    indexes.DescribeReferences = lambda *_: overtaken
    if place.startswith("s3"):
        with pytest.raises(RunError, match="another process has built an index there"):
            build(place, one, quick)
        assert ids(place) == [3, 4, 5]
    else:
        build(place, one, quick)
        with pytest.raises(InputError, match="exists and is not empty"):
            build(place, other, quick)
        assert ids(place) == [1, 2]


def test_no_part_is_written_over_even_where_locks_do_not_hold(tmp_path, quick, monkeypatch):
    """As on a network file system that is mounted without them."""
    build(str(tmp_path / "index"), photographs(tmp_path / "first", 1), quick)
    index = tmp_path / "index"
    monkeypatch.setattr("medcolor.retrieval.parts.next_number", lambda _: next(given))
    given = iter([0, 0, 1])
    (kept,) = part_paths(index)
    before = kept.read_bytes()
    described = QuickDescriptions()(indexes.list_references(tmp_path / "first", quick.reference))
    assert add_part(index, described, read_index(index).origin) == part_path(index, 1)
    assert kept.read_bytes() == before


def test_a_part_from_which_all_was_removed_keeps_its_number_and_its_empty_photographs(
    tmp_path, quick
):
    index, later = tmp_path / "index", photographs(tmp_path / "later", 5)
    build(str(index), photographs(tmp_path / "first", 1, 2), quick)
    append_index(later, index, quick, SerialRunner(1), Silent())
    remove_references(index, ["5.png"])
    assert [path.name for path in part_paths(index)] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert ids(str(index)) == [1, 2]
    again = append_index(later, index, quick, SerialRunner(1), Silent())
    assert again.added == 1
    assert read_columns(again.index.parts[2], "id")["id"] == ["5.png"]


def test_a_folder_that_cannot_be_locked_is_one_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(RunError, match="cannot be locked") as caught, alone_with(tmp_path / "a"):
        pass
    assert "\n" not in str(caught.value)
