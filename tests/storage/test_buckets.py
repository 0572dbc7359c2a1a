"""Objects, against moto's server on loopback."""

import os

import numpy as np
import obstore
import pytest
from bucket import SECRET, refusing_for

from medcolor.errors import InputError, RunError
from medcolor.storage import (
    copy_tree,
    create_exclusive,
    delete_tree,
    local_copy,
    object_path,
    place_of,
)
from medcolor.storage.copies import version_of_copy

pytestmark = pytest.mark.xdist_group("bucket")


def test_what_is_written_is_read_listed_and_deleted(bucket):
    place = place_of(f"{bucket}/folder/a.bin")
    assert not place.exists()
    place.write_bytes(b"content")
    assert place.read_bytes() == b"content"
    assert place.size() == 7
    assert place.parent.is_dir()
    assert not place.parent.is_file()
    assert [*place.parent.walk()] == [("a.bin", 7)]
    assert place.parent.files() == [place]
    delete_tree(place.parent)
    assert not place.parent.exists()
    with pytest.raises(FileNotFoundError, match="no such object"):
        place.read_bytes()


def test_of_two_who_create_an_object_one_wins(bucket):
    place = place_of(f"{bucket}/marker")
    assert create_exclusive(place, b"first")
    assert not create_exclusive(place, b"second")
    assert place.read_bytes() == b"first"


def test_large_files_travel_in_parts_and_browsers_learn_their_type(bucket, tmp_path):
    content = np.random.default_rng(1).bytes(12 << 20)
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "large.bin").write_bytes(content)
    (tmp_path / "up" / "index.html").write_text("<p>")
    assert copy_tree(tmp_path / "up", place_of(f"{bucket}/set")) == 2
    page = place_of(f"{bucket}/set/index.html")
    found = obstore.get(page.store, page.key)
    assert found.attributes["Content-Type"] == "text/html"
    head = obstore.head(page.store, "set/large.bin")
    assert head["e_tag"].strip('"').endswith("-3")  # parts of 5 MiB
    copy = local_copy(place_of(f"{bucket}/set"), tmp_path / "down")
    assert (copy / "large.bin").read_bytes() == content


def test_a_copy_is_fetched_again_only_if_the_object_has_changed(bucket, tmp_path):
    place = place_of(f"{bucket}/scan.nii")
    place.write_bytes(b"one")
    copy = local_copy(place, tmp_path)
    before = copy.stat().st_mtime_ns
    assert local_copy(place, tmp_path) == copy
    assert copy.stat().st_mtime_ns == before
    place.write_bytes(b"two")
    assert local_copy(place, tmp_path).read_bytes() == b"two"


def test_a_copy_that_was_cut_since_is_fetched_again(bucket, tmp_path):
    place = place_of(f"{bucket}/scan.nii")
    place.write_bytes(b"content")
    copy = local_copy(place, tmp_path)
    copy.write_bytes(b"cont")
    assert local_copy(place, tmp_path).read_bytes() == b"content"


def test_an_object_is_written_over_the_version_that_is_known_alone(bucket, tmp_path):
    place = place_of(f"{bucket}/part")
    place.write_bytes(b"one")
    known = version_of_copy(local_copy(place, tmp_path))
    assert place.replace_version(b"two", known)
    assert not place.replace_version(b"three", known)
    assert place.read_bytes() == b"two"


def test_an_absent_object_or_bucket_is_named(bucket, tmp_path):
    with pytest.raises(InputError, match="no such object or folder"):
        local_copy(place_of(f"{bucket}/absent"), tmp_path)
    with pytest.raises(InputError, match="no bucket nowhere-at-all"):
        place_of("s3://nowhere-at-all/a").write_bytes(b"")


def test_a_store_that_does_not_answer_is_named_and_no_secret_with_it(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setitem(object_path._RETRY, "max_retries", 1)
    object_path._bucket.cache_clear()
    with pytest.raises(RunError, match=r"bucket.*object store") as caught:
        place_of(f"{bucket}/a").read_bytes()
    assert SECRET not in str(caught.value)
    assert os.environ["AWS_ACCESS_KEY_ID"] not in str(caught.value)


def test_a_store_that_refuses_for_a_while_is_asked_again(bucket, server, monkeypatch):
    place = place_of(f"{bucket}/a")
    place.write_bytes(b"content")
    with refusing_for(2.0, server) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        object_path._bucket.cache_clear()
        assert place.read_bytes() == b"content"


def test_what_was_deleted_in_a_bucket_goes_from_its_copy(bucket, tmp_path):
    place = place_of(f"{bucket}/series")
    for name in ("0.png", "1.png", "2.png"):
        (place / name).write_bytes(name.encode())
    copy = local_copy(place, tmp_path)
    (place / "1.png").unlink()
    assert local_copy(place, tmp_path) == copy
    assert sorted(one.name for one in copy.glob("*.png")) == ["0.png", "2.png"]
