"""The function that every name out of a file passes."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hostile import CANARY, make_ground, names
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from medcolor.errors import InputError, printable
from medcolor.storage import path_below, plain_key, plain_name, refuse_links_out
from medcolor.storage.names import MOST_BYTES, why_not_plain, writing_no_link
from medcolor.volume.files import natural_name_key

GOOD = [
    "1000.png",
    "a_vm1398.raw.Z",
    "Schnitt 12 (Kopf), links.tif",
    "größe-医.nii.gz",
    "شريحة\u200c1.png",
    "2020-01-01T10:30:00.png",
    "100%.png",
    "50 % grau.png",
    "½.png",
    ".zattrs",
    "-rf",
    "a..b.png",
    "console.png",
    os.fsdecode(b"gr\xf6\xdfe.png"),
    "x" * MOST_BYTES,
]


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_what_people_call_their_files_is_plain(name):
    assert plain_name(name, "record") == name


def test_every_name_that_leads_elsewhere_is_refused_in_one_line_that_says_where_it_stood(tmp_path):
    hostile = [*names(tmp_path / "outside"), os.fspath(tmp_path), "\ud800", float("nan"), b"a.png"]
    for name in hostile:
        with pytest.raises(InputError) as caught:
            plain_name(name, "references.json")
        words = str(caught.value)
        assert words.startswith("references.json: names the file ")
        assert words.isprintable()
        assert len(words) < 500


@settings(max_examples=400, deadline=None)
@given(st.text(min_size=1, max_size=40) | st.text("./\\%2eEfF5cC: \0", max_size=12))
def test_a_plain_name_is_an_entry_of_its_folder_and_of_no_other(name):
    """Held to the path arithmetic of POSIX and of Windows, as it stands and percent-decoded."""
    import ntpath
    import posixpath
    from urllib.parse import unquote

    assume(not why_not_plain(name))
    for spelling in (name, unquote(name)):
        for system, folder in ((posixpath, "/in/side"), (ntpath, "C:\\in\\side")):
            joined = system.normpath(system.join(folder, spelling))
            assert system.dirname(joined) == folder
        assert not set(spelling) & set(map(chr, range(32)))
    os.fsencode(name)


@settings(max_examples=200, deadline=None)
@given(st.text(string.ascii_letters + string.digits + "_-. ", min_size=1, max_size=30))
def test_a_name_of_plain_letters_is_refused_only_if_it_is_a_folder_or_a_device(name):
    stem = name.partition(".")[0].lower()
    devices = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}
    assert bool(why_not_plain(name)) == (not name.strip(". ") or stem in devices)


def test_keys_are_plain_names_with_slashes_between_them():
    assert plain_key("0/c/0/1", "s3://a") == "0/c/0/1"
    for key in ("", "/a", "a/", "a//b", "a/./b", "a/../b", "a/con/b", "a\\b", "a/\n/b", 3):
        with pytest.raises(InputError, match="no path below it"):
            plain_key(key, "s3://a")


def test_a_path_below_a_folder_goes_through_no_link_out_of_it(tmp_path):
    ground = make_ground(tmp_path)
    inside = ground.inside
    (inside / "real").mkdir()
    (inside / "near").symlink_to(inside / "real")
    (inside / "far").symlink_to(ground.outside)
    (inside / "nowhere").symlink_to(ground.outside / "absent")
    (inside / "circle").symlink_to(inside / "circle")
    (inside / "file.png").symlink_to(ground.canary)
    (tmp_path / "mine").symlink_to(inside)
    assert path_below(inside, "a/b") == inside / "a" / "b"
    assert path_below(inside, "near/a") == inside / "near" / "a"
    # A file that is moved into place replaces a link, and the folder a user names may be one.
    assert path_below(inside, "file.png") == inside / "file.png"
    assert path_below(tmp_path / "mine", "a") == tmp_path / "mine" / "a"
    for key in ("far", f"far/{CANARY}", "nowhere/a", "far/a/b"):
        with pytest.raises(InputError, match="a link leads out of the folder"):
            path_below(inside, key)
    path_below(inside, "circle/a")  # leads nowhere
    with pytest.raises(InputError, match="far: a link leads out"):
        refuse_links_out(inside)
    (inside / "far").unlink()
    refuse_links_out(inside)
    refuse_links_out(tmp_path / "absent")


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_no_file_is_written_through_a_link(tmp_path, mode):
    ground = make_ground(tmp_path)
    before = ground.canary.read_bytes()
    link = ground.inside / ".a.part"
    for target in (ground.canary, ground.outside / "new"):
        link.symlink_to(target)
        with pytest.raises(InputError, match="a link"), writing_no_link(link, mode) as file:
            file.write(b"x")
        link.unlink()
    assert ground.canary.read_bytes() == before
    assert [*ground.outside.iterdir()] == [ground.canary]
    for _ in range(2):
        with writing_no_link(link, mode) as file:
            file.write(b"x")
    assert link.read_bytes() == (b"x" if mode == "wb" else b"xx")


def test_names_of_whatever_digits_are_sorted():
    """`²` is a digit to `str.isdigit` and no number to `int`."""
    names = ["²10.png", "²9.png", "²", "٣.png", "10.png", "9.png"]
    ordered = sorted(names, key=natural_name_key)
    assert ordered.index("9.png") < ordered.index("10.png")
    assert ordered.index("²9.png") < ordered.index("²10.png")


def test_an_error_is_one_line_that_steers_no_terminal():
    words = str(InputError(Path("a\x1b[2J\n\udce4"), "holds \x9b31m\u202e", "Mend\r it"))
    assert words == r"a\x1b[2J \xe4: holds \x9b31m\u202e. Mend it."
    assert printable("größe 医 ½") == "größe 医 ½"
