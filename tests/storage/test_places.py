from pathlib import Path

import pytest

from medcolor.errors import InputError
from medcolor.storage import ObjectPath, create_exclusive, delete_tree, place_of, write_atomic


def test_paths_and_addresses_are_told_apart():
    assert place_of("scan.nii") == Path("scan.nii")
    assert place_of("file:///data/a%20b.nii") == Path("/data/a b.nii")
    assert place_of("S3://bucket/a/b/") == ObjectPath("s3", "bucket", "a/b")
    assert str(place_of("gs://bucket")) == "gs://bucket"
    assert place_of(ObjectPath("az", "box", "k")) == ObjectPath("az", "box", "k")


def test_a_key_has_the_parts_of_a_path():
    place = place_of("s3://bucket/run/t1.ome.zarr")
    as_path = Path("run/t1.ome.zarr")
    for part in ("name", "stem", "suffix"):
        assert getattr(place, part) == getattr(as_path, part)
    assert str(place / "0") == "s3://bucket/run/t1.ome.zarr/0"
    assert str(place.parent) == "s3://bucket/run"
    assert str(place.with_name("x.run")) == "s3://bucket/run/x.run"


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://", "no bucket"),
        ("s3://bucket/../other", "no path below it"),
        ("s3://bucket/a//b", "no path below it"),
        ("s3://bucket/a\\b", "no path below it"),
        ("s3://bucket/a\nb", "no path below it"),
        ("https://host/scan.nii?signature=hUsH", "not a place that is read"),
        ("ftp://user:hUsH@host/scan", "not a place that is read"),
        ("s3://KEY:hUsH@bucket/scan", "credentials or a port"),
        ("file://elsewhere/scan.nii", "a file on elsewhere"),
    ],
)
def test_addresses_that_cannot_be_are_refused_without_repeating_secrets(address, problem):
    with pytest.raises(InputError, match=problem) as caught:
        place_of(address)
    assert "hUsH" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_two_who_create_a_file_one_wins(tmp_path):
    assert create_exclusive(tmp_path / "marker", b"first")
    assert not create_exclusive(tmp_path / "marker", b"second")
    assert (tmp_path / "marker").read_bytes() == b"first"


def test_trees_are_deleted_and_absent_ones_are_no_error(tmp_path):
    write_atomic(tmp_path / "a" / "b", b"x")
    delete_tree(tmp_path / "a")
    delete_tree(tmp_path / "a")
    assert not (tmp_path / "a").exists()
