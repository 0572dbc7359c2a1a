"""Pulling from a site of the Visible Human's layout, where things go wrong."""

from __future__ import annotations

import sys

import cv2
import ncompress
import numpy as np
import pytest
from web import Site, serving_site

from medcolor.cli import main
from medcolor.data.catalog import CREDIT, DATASETS, TERMS, find_dataset
from medcolor.data.manifest import read_index, read_links
from medcolor.data.pull import pull
from medcolor.download import Patience
from medcolor.errors import InputError, RunError
from medcolor.progress import Silent

QUICK = Patience(attempts=3, timeout_s=2.0, pause_s=0.01)
MALE = find_dataset("visible-human-male")
BASE = "Male-Images/"


def png(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


def listing(files: dict[str, bytes]) -> bytes:
    """Return `ls -lR` of the files below the dataset."""
    by_folder: dict[str, list[str]] = {}
    for path, content in files.items():
        folder, _, name = path.removeprefix(BASE).rpartition("/")
        row = f"-rw-r--r-- 1 nlm nlm {len(content)} Jan 10 2019 {name}"
        by_folder.setdefault(folder, []).append(row)
    parts = [f"./{folder}:\ntotal 1\n" + "\n".join(rows) for folder, rows in by_folder.items()]
    return "\n\n".join(parts).encode()


@pytest.fixture
def site():
    head = {f"{BASE}PNG_format/head/a_vm{n}.png": png(n) for n in range(1001, 1007)}
    thorax = {f"{BASE}PNG_format/thorax/a_vm{n}.png": png(n) for n in (1300, 1301)}
    rest = {
        f"{BASE}PNG_format/{region}/a_vm{last}.png": png(last)
        for region, (_, last) in MALE.regions.items()
        if region not in ("head", "thorax")
    }
    files = {**head, **thorax, **rest}
    return Site({**files, f"{BASE}INDEX": listing(files)})


@pytest.fixture
def address(site, monkeypatch):
    with serving_site(site) as url:
        monkeypatch.setenv("MEDCOLOR_DATA_URL", url)
        yield url


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def fetch(folder, **options):
    return pull(MALE, folder, Silent(), patience=QUICK, **options)


@pytest.mark.usefixtures("address")
def test_a_region_is_fetched_with_its_credits_and_kept_the_next_time(site, tmp_path):
    done = fetch(tmp_path, region="head")
    assert (done.fetched, done.kept, done.lost) == (6, 0, 0)
    assert names(tmp_path) == ["CREDITS.txt", *(f"a_vm{n}.png" for n in range(1001, 1007))]
    for n in range(1001, 1007):
        assert (tmp_path / "cryosection" / f"a_vm{n}.png").read_bytes() == png(n)
    words = (tmp_path / "CREDITS.txt").read_text()
    assert CREDIT in words
    assert TERMS in words
    site.asked.clear()
    assert fetch(tmp_path, region="head").kept == 6
    assert [path for path, _ in site.asked] == [f"{BASE}INDEX"]


@pytest.mark.usefixtures("address")
def test_files_are_not_written_through_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "cryosection").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link leads out of the folder"):
        fetch(out, region="head")
    (out / "cryosection").unlink()
    (out / "cryosection").mkdir()
    (out / "cryosection" / "a_vm1001.png.part").symlink_to(tmp_path / "elsewhere" / "new")
    (out / "CREDITS.txt").symlink_to(tmp_path / "elsewhere" / "credits")
    with pytest.raises(RunError, match=r"1 of 6 files .*a_vm1001\.png \(a link leads out"):
        fetch(out, region="head")
    assert [*(tmp_path / "elsewhere").iterdir()] == []
    assert CREDIT in (out / "CREDITS.txt").read_text()


@pytest.mark.usefixtures("address")
def test_numbers_and_regions_choose(tmp_path):
    assert fetch(tmp_path / "a", numbers=(1003, 1300)).fetched == 5
    assert fetch(tmp_path / "b").fetched == 12
    assert fetch(tmp_path / "c", region="head", numbers=(1001, 1002)).fetched == 2
    for wrong in ({"region": "tail"}, {"modality": "xray"}, {"numbers": (1, 2)}):
        with pytest.raises(InputError, match=r"no region|no modality|lists no such files"):
            fetch(tmp_path / "d", **wrong)


@pytest.mark.usefixtures("address")
def test_faults_are_borne(site, tmp_path):
    folder = f"{BASE}PNG_format/head/"
    site.faults = {
        f"{BASE}INDEX": ["busy", "cut"],
        f"{folder}a_vm1001.png": ["cut", "cut"],
        f"{folder}a_vm1002.png": ["busy"],
        f"{folder}a_vm1003.png": ["corrupt"],
        f"{folder}a_vm1004.png": ["short"],
    }
    assert fetch(tmp_path, region="head").fetched == 6
    for n in range(1001, 1007):
        assert (tmp_path / "cryosection" / f"a_vm{n}.png").read_bytes() == png(n)
    ranges = [r for path, r in site.asked if path.endswith("a_vm1001.png")]
    assert ranges[0] is None
    assert ranges[1].startswith("bytes=")


@pytest.mark.usefixtures("address")
def test_what_cannot_be_had_is_listed_and_the_rest_is_kept(site, tmp_path):
    folder = f"{BASE}PNG_format/head/"
    site.faults = {f"{folder}a_vm1002.png": ["corrupt"] * 2}
    gone = site.files.pop(f"{folder}a_vm1005.png")
    with pytest.raises(RunError, match=r"2 of 6 files.*a_vm1002.*a_vm1005.*404") as caught:
        fetch(tmp_path, region="head")
    assert caught.value.exit_status == 1
    assert len(names(tmp_path)) == 5
    site.files[f"{folder}a_vm1005.png"] = gone
    done = fetch(tmp_path, region="head")
    assert (done.fetched, done.kept) == (2, 4)


@pytest.mark.usefixtures("address")
def test_placeholders_of_lost_sections_are_counted(site, tmp_path):
    whole = np.full((3, 1216, 2048), 90, np.uint8).tobytes()
    raw = f"{BASE}Fullcolor/fullbody/"
    made = {
        f"{raw}a_vm1001.raw.Z": ncompress.compress(whole),
        f"{raw}a_vm1002.raw.Z": b"",
        f"{raw}a_vm1003.raw.Z": ncompress.compress(bytes(len(whole))),
    }
    site.files.update(made)
    site.files[f"{BASE}INDEX"] = listing(made)
    done = fetch(tmp_path, modality="cryosection-raw")
    assert (done.fetched, done.lost) == (3, 2)


@pytest.mark.usefixtures("address")
def test_ct_comes_with_its_headers_where_the_reader_looks_for_them(site, tmp_path):
    from volume.test_visible_human import genesis_file, pixels_of

    for n in (1100, 1101):
        content = genesis_file(pixels_of(n, 480.0, (0.0, 0.0)), 480.0)
        site.files[f"{BASE}radiological/frozenCT/c_vm{n}.fro.Z"] = ncompress.compress(content)
        site.files[f"{BASE}radiological/frozenCTHeaders/c_vm{n}.fro.txt"] = b"Image location...: 1"
    del site.files[f"{BASE}INDEX"]
    for folder in ("frozenCT", "frozenCTHeaders"):
        base = f"{BASE}radiological/{folder}/"
        links = [path.removeprefix(base) for path in site.files if path.startswith(base)]
        page = "".join(f"<a href='{name}'>{name}</a>" for name in [*links, "../", "/etc/passwd"])
        site.files[base] = page.encode()
    assert fetch(tmp_path, modality="ct").fetched == 4
    from medcolor.volume.open import open_volume
    from medcolor.volume.settings import VolumeSettings

    volume = open_volume(tmp_path / "ct", VolumeSettings(), tmp_path)
    assert volume.geometry.shape[0] == 2


def test_hostile_names_are_left_out(site, address):
    hostile = ["../up.png", "/etc/passwd", "a\\b.png", "%2e%2e%2fup.png", ".hidden", "a b.png"]
    page = "".join(f'<a href="{name}">x</a>' for name in [*hostile, "a_vm1001.png"])
    site.files["Male-Images/page/"] = page.encode()
    assert read_links(f"{address}Male-Images/page/", QUICK) == {"a_vm1001.png": None}
    rows = [f"-rw-r--r-- 1 a b 5 Jan 10 2019 {name}" for name in [*hostile, "ok.png"]]
    site.files[f"{BASE}INDEX"] = ("../../x:\n" + "\n".join(rows) + "\n\n./y:\n" + rows[-1]).encode()
    assert read_index(f"{address}{BASE}", QUICK) == {"y/": {"ok.png": 5}}


def command(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["medcolor", "data", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command_lists_terms_and_pulls(address, tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, "list") == 0
    told = capsys.readouterr().out
    for word in (*DATASETS, "thorax 1280-1688", CREDIT, TERMS, address):
        assert word in told
    pulling = ("pull", "visible-human-male", tmp_path / "out", "--range", "1001-1002")
    assert command(monkeypatch, *pulling) == 0
    assert (
        f"2 fetched, 0 kept, 0 of them empty placeholders of lost sections, 0.0 MB. {CREDIT}"
        in (capsys.readouterr().out)
    )
    assert command(monkeypatch, "pull", "visible-human-male", tmp_path, "--range", "x") == 2
    assert command(monkeypatch, "pull", "visible-dog", tmp_path) == 2


@pytest.mark.usefixtures("address")
def test_a_damaged_picture_of_the_right_size_is_fetched_again(tmp_path):
    fetch(tmp_path, region="head")
    path = tmp_path / "cryosection" / "a_vm1003.png"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    assert fetch(tmp_path, region="head").fetched == 1
    assert path.read_bytes() == png(1003)


@pytest.mark.usefixtures("address")
def test_a_site_that_dies_is_not_asked_for_every_file(site, tmp_path):
    content = {f"{BASE}PNG_format/head/a_vm{n}.png": png(n) for n in range(1001, 1061)}
    site.files.update(content)
    site.files[f"{BASE}INDEX"] = listing(content)
    site.faults = {path: ["busy"] * 99 for path in content}
    with pytest.raises(RunError, match=r"60 of 60 files"):
        fetch(tmp_path, region="head")
    asked = {path for path, _ in site.asked if path.endswith(".png")}
    assert len(asked) < 12
    site.faults = {}
    assert fetch(tmp_path, region="head").fetched == 60
