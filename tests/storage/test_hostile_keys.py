"""Keys of a bucket that lead elsewhere once they are copied: anybody may have put them there."""

from __future__ import annotations

import urllib.request
from urllib.parse import quote

import pytest
from hostile import CANARY, PLAIN, make_ground, names, refused, untouched

from medcolor.errors import InputError, RunError
from medcolor.fetch import fetch, latest_set
from medcolor.progress import Silent
from medcolor.reference.library import list_references
from medcolor.reference.settings import ReferenceSettings
from medcolor.run.cohort_manifest import read_cohort
from medcolor.run.volumes import cohort_names
from medcolor.storage import ObjectPath, copy_tree, delete_tree, local_copy, place_of

pytestmark = pytest.mark.xdist_group("bucket")
LEAST_KEYS = 25


@pytest.fixture
def put(server, bucket):
    """Return a function that writes an object without asking this program whether it may."""

    def write(key: str, content: bytes = b"content") -> None:
        name = bucket.removeprefix("s3://")
        address = f"{server}/{name}/{quote(key, safe='')}"
        kind = {"Content-Type": "application/octet-stream"}
        made = urllib.request.Request(address, data=content, headers=kind, method="PUT")
        urllib.request.urlopen(made)

    return write


WAYS = {
    "copy": local_copy,
    "copy of a tree": lambda source, inside: copy_tree(source, inside / "tree"),
    "fetch": lambda source, inside: fetch(source, inside, Silent()),
    "latest": lambda source, inside: fetch(latest_set(source), inside, Silent()),
    "photographs": lambda source, _: list_references(source, ReferenceSettings()),
    "cohort": lambda source, _: read_cohort(f"{source}/*"),
    "volumes of a cohort": lambda source, _: cohort_names(source),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_key_leads_to_a_file_elsewhere(way, bucket, put, tmp_path, monkeypatch):
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    tried = 0
    for number in range(len(names(tmp_path))):
        ground = make_ground(tmp_path / str(number))
        name = names(ground.outside)[number]
        if not isinstance(name, str) or len(name) > 1000:  # S3 takes 1024 bytes
            continue
        name = f"{name}/render.json" if way == "latest" else name
        try:
            put(f"{number}/{name}")
            put(f"{number}/checksums.json")
        except (OSError, ValueError):  # urllib and moto refuse some
            continue
        source = place_of(f"{bucket}/{number}")
        (ground.inside / "link").symlink_to(ground.outside)
        (ground.inside / "tree").mkdir()
        (ground.inside / "tree" / "link").symlink_to(ground.outside)
        with untouched(ground.outside, cwd):
            refused(lambda source=source, inside=ground.inside: WAYS[way](source, inside))
        tried += 1
    assert tried >= LEAST_KEYS


def test_a_plain_key_is_taken(bucket, put, tmp_path):
    put(f"in/below/{PLAIN}")
    source = place_of(f"{bucket}/in")
    assert (local_copy(source, tmp_path) / "below" / PLAIN).read_bytes() == b"content"
    assert fetch(source, tmp_path / "out", Silent()).fetched == 1


def test_a_key_that_climbs_is_named(bucket, put, tmp_path):
    put(f"in/a\\..\\{CANARY}")
    source = place_of(f"{bucket}/in")
    assert isinstance(source, ObjectPath)
    for act in (lambda: local_copy(source, tmp_path), lambda: fetch(source, tmp_path, Silent())):
        with pytest.raises(InputError, match=r"in: holds the key 'a\\\\\.\.\\\\canary\.png'"):
            act()
    with pytest.raises(InputError, match="no path below it"):
        delete_tree(source)


@pytest.mark.parametrize("act", [local_copy, lambda s, t: fetch(s, t, Silent())])
def test_an_object_and_a_folder_of_one_name_are_one_line(bucket, put, tmp_path, act):
    """A bucket holds `a` and `a/b`; a folder cannot."""
    put("in/a")
    put("in/a/b")
    with pytest.raises((InputError, RunError), match=r"another object|could not be had: a"):
        act(place_of(f"{bucket}/in"), tmp_path)


@pytest.mark.parametrize("act", [local_copy, lambda s, t: fetch(s, t, Silent())])
def test_what_marks_a_folder_is_no_object(bucket, put, tmp_path, act):
    """Web consoles make folders by empty objects whose keys end in a slash."""
    for key, content in {"a/": b"", "a/b": b"content", "c/": b"", "empty": b""}.items():
        put(f"in/{key}", content)
    act(place_of(f"{bucket}/in"), tmp_path / "out")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.name for path in files if path.suffix != ".version"} == {"b", "empty"}


def test_parts_of_a_download_are_not_written_through_links(bucket, put, tmp_path):
    put("in/page.html")
    ground = make_ground(tmp_path)
    for name in (".page.html.part", ".page.html.part.version"):
        (ground.inside / name).symlink_to(ground.outside / "new")
        with untouched(ground.outside):
            refused(lambda: fetch(place_of(f"{bucket}/in"), ground.inside, Silent()))
