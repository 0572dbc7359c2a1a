"""Fetching from a bucket: cut off, damaged, hostile."""

from __future__ import annotations

import hashlib
import json
import sys

import obstore
import pytest
from bucket import Gate

from medcolor import fetch as fetching
from medcolor.cli import main
from medcolor.errors import InputError, RunError
from medcolor.fetch import fetch, latest_set, list_objects, write_checksums
from medcolor.progress import Silent
from medcolor.storage import ObjectPath, copy_tree, object_path, place_of

pytestmark = pytest.mark.xdist_group("bucket")
FILES = {
    "index.html": b"<html>",
    "turntable.mp4": bytes(range(256)) * 50,
    "frames/0000.png": b"png 0" * 100,
    "frames/0001.png": b"png 1" * 100,
    "sections/axial.png": b"axial" * 9,
    "render.json": b"{}",
}


@pytest.fixture
def pictures(bucket, tmp_path):
    """A picture set in a bucket."""
    folder = tmp_path / "made"
    for key, content in FILES.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)
    write_checksums(folder)
    place = place_of(f"{bucket}/pictures")
    assert isinstance(place, ObjectPath)
    copy_tree(folder, place)
    return place


def files_in(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_a_set_comes_whole_and_is_kept_the_next_time(pictures, tmp_path):
    out = tmp_path / "out"
    done = fetch(pictures, out, Silent())
    assert (done.fetched, done.kept, done.unverified) == (len(FILES) + 1, 0, 0)
    assert {k: v for k, v in files_in(out).items() if k != "checksums.json"} == FILES
    (out / "frames/0001.png").write_bytes(b"png X" * 100)  # of the same size
    done = fetch(pictures, out, Silent())
    assert (done.fetched, done.kept) == (1, len(FILES))
    assert (out / "frames/0001.png").read_bytes() == FILES["frames/0001.png"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("video", {"turntable.mp4"}),
        ("frames", {"frames/0000.png", "frames/0001.png"}),
        ("sections", {"sections/axial.png"}),
        ("page", {"index.html"}),
    ],
)
def test_parts_are_chosen(pictures, tmp_path, part, expected):
    fetch(pictures, tmp_path / "out", Silent(), part=part)
    assert set(files_in(tmp_path / "out")) == expected


def test_what_was_cut_off_is_continued(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_PIECE_BYTES", 1000)
    real, asked = obstore.get_range, []

    def counting(store, key, *, start, end):
        if key.endswith(".mp4"):
            asked.append(start)
            if len(asked) == 4:
                raise obstore.exceptions.GenericError("connection lost")
        return real(store, key, start=start, end=end)

    monkeypatch.setattr(obstore, "get_range", counting)
    with pytest.raises(RunError, match=r"1 of 7 .*turntable\.mp4"):
        fetch(pictures, tmp_path / "out", Silent())
    assert fetch(pictures, tmp_path / "out", Silent()).fetched == 1
    assert asked == [0, 1000, 2000, 3000, *range(3000, 12800, 1000)]
    assert files_in(tmp_path / "out")["turntable.mp4"] == FILES["turntable.mp4"]


def test_an_object_that_changed_meanwhile_is_begun_anew(pictures, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".turntable.mp4.part").write_bytes(b"of an older one")
    (out / ".turntable.mp4.part.version").write_text("other")
    fetch(pictures, out, Silent(), part="video")
    assert files_in(out) == {"turntable.mp4": FILES["turntable.mp4"]}


def test_a_corrupted_object_is_noticed_and_not_kept(pictures, tmp_path):
    (pictures / "frames/0000.png").write_bytes(b"png ?" * 100)
    with pytest.raises(RunError, match=r"frames/0000\.png \(damaged twice\)") as caught:
        fetch(pictures, tmp_path / "out", Silent())
    assert caught.value.exit_status == 1
    assert "frames/0000.png" not in files_in(tmp_path / "out")
    assert len(files_in(tmp_path / "out")) == len(FILES)


def test_without_checksums_the_stores_md5_is_compared(bucket, tmp_path):
    place = place_of(f"{bucket}/plain")
    (place / "a/b.bin").write_bytes(b"content")
    fetch(place, tmp_path, Silent())
    (tmp_path / "a/b.bin").write_bytes(b"CONTENT")
    done = fetch(place, tmp_path, Silent())
    assert (done.fetched, done.unverified) == (1, 0)
    assert (tmp_path / "a/b.bin").read_bytes() == b"content"
    one = fetch(place / "a/b.bin", tmp_path / "one", Silent())
    assert one.fetched == 1
    assert (tmp_path / "one/b.bin").read_bytes() == b"content"


@pytest.mark.parametrize(
    "key", ["a/../../x", "a/..\\x", "a//x", "CON", "a/nul.txt", "c:/x", "a/./x", "a/\x07x"]
)
def test_hostile_keys_are_refused_and_nothing_is_written(key, tmp_path, monkeypatch):
    place = ObjectPath("s3", "bucket", "in")
    monkeypatch.setattr(ObjectPath, "_head", lambda _: None)
    found = [{"path": f"in/{key}", "size": 1, "e_tag": '"x"', "last_modified": None}]
    monkeypatch.setattr(obstore, "list", lambda *_: iter([found]))
    monkeypatch.setattr(object_path, "_bucket", lambda *_: None)
    with pytest.raises(InputError):
        fetch(place, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_a_link_that_leads_out_of_the_folder_is_not_followed(pictures, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "frames").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link leads out"):
        fetch(pictures, tmp_path / "out", Silent())
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_set_that_was_finished_last_is_found(pictures, bucket):
    assert latest_set(place_of(bucket)) == pictures
    later = place_of(f"{bucket}/runs/2/pictures")
    (later / "render.json").write_bytes(b"{}")
    newest = latest_set(place_of(bucket))
    assert newest in (pictures, later)  # moto's clock counts seconds
    with pytest.raises(InputError, match="no picture set"):
        latest_set(place_of(f"{bucket}/nothing"))


def test_the_command_lists_and_fetches(pictures, tmp_path, monkeypatch, capsys):
    def command(*words):
        monkeypatch.setattr(sys, "argv", ["medcolor", "fetch", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, capsys.readouterr()

    code, told = command(pictures, "--list", "--only", "video")
    assert (code, told.out.split()) == (0, ["12800", "turntable.mp4"])
    code, told = command(pictures, tmp_path / "out", "--only", "frames")
    assert code == 0
    assert told.out.startswith("2 fetched, 0 kept")
    for words in ((pictures,), (tmp_path, tmp_path), (pictures, tmp_path / "x", "--only", "all?")):
        assert command(*words)[0] == 2
    assert command(f"{pictures}/absent", tmp_path / "x")[0] == 2
    assert not (tmp_path / "x").exists()


def test_a_store_that_goes_away_midway_is_an_early_end(pictures, server, tmp_path, monkeypatch):
    gate = Gate(server)
    gate.open()
    monkeypatch.setenv("AWS_ENDPOINT_URL", gate.address)
    monkeypatch.setitem(object_path._RETRY, "max_retries", 1)
    object_path._bucket.cache_clear()
    listed = list_objects(pictures)
    gate.shut()
    with pytest.raises(RunError, match="object store"):
        fetch(pictures, tmp_path / "out", Silent())
    assert len(listed) == len(FILES) + 1
    gate.shut()


def test_sums_are_those_of_the_files(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    write_checksums(tmp_path)
    sums = json.loads((tmp_path / "checksums.json").read_text())
    assert sums == {"a": hashlib.sha256(b"a").hexdigest()}
