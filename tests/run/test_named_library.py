"""References by the name of a library: fetched, prepared and indexed once, into the cache."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from conftest import COLORS, draw_slice, make_scan
from dicom_files import write_dicom
from web import Site, serving_site

import medcolor
from medcolor.cli import main
from medcolor.config import load_settings
from medcolor.errors import InputError, RunError
from medcolor.progress import Silent
from medcolor.retrieval.index import read_index
from medcolor.run import named_library
from medcolor.run.serial import SerialRunner

QUICK = ["features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]"]
HEAD = "Male-Images/PNG_format/head/"


def photograph(level: float) -> bytes:
    rgb = COLORS[draw_slice(level, 60)[1]][::-1]
    return cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()


@pytest.fixture
def site(monkeypatch, tmp_path):
    """The male's head, photographed every millimetre, 1001..1026."""
    frames = {f"{HEAD}a_vm{n}.png": photograph(1 - (n - 1001) / 25) for n in range(1001, 1027)}
    links = "".join(f'<a href="{path.rpartition("/")[2]}">x</a>' for path in frames)
    site = Site({**frames, HEAD: links.encode()})
    with serving_site(site) as url:
        monkeypatch.setenv("MEDCOLOR_DATA_URL", url)
        monkeypatch.setenv("MEDCOLOR_CACHE", str(tmp_path / "cache"))
        yield site


def settings_with(*more):
    return load_settings(None, [*QUICK, "library.region=head", *more])


def index_of(name="visible-human-male", *more):
    folder = named_library.named_index(name, settings_with(*more), SerialRunner(), Silent())
    return read_index(folder)


def fetched(site):
    return sorted(path.rpartition("/")[2] for path, _ in site.asked if path.endswith(".png"))


def test_a_library_is_fetched_prepared_and_indexed_once(site):
    index = index_of()
    assert fetched(site) == [f"a_vm{n}.png" for n in range(1001, 1027, 5)]
    assert index.positions_mm is not None
    np.testing.assert_array_equal(index.positions_mm, np.arange(1001, 1027, 5))
    library = index.folder.parent
    assert "National Library of Medicine" in (library / "CREDITS.txt").read_text()
    prepared = json.loads((index.records[0].path.parent / "references.json").read_text())
    assert {frame["status"] for frame in prepared["frames"]} == {"clean"}
    assert {frame["orientation"] for frame in prepared["frames"]} == {"LAI"}  # that is known
    site.asked.clear()
    site.files.clear()
    assert index_of().library_digest == index.library_digest
    assert site.asked == []


def test_another_way_to_prepare_fetches_nothing_another_distance_does(site):
    first = index_of()
    site.asked.clear()
    other = index_of("visible-human-male", "reference.air_blueness=5.0")
    assert site.asked == []
    assert other.folder != first.folder
    assert len(index_of("visible-human-male", "library.every_mm=2").records) == 13
    assert len(fetched(site)) == 13


def test_a_site_that_breaks_off_keeps_what_came(site):
    kept = site.files.pop(f"{HEAD}a_vm1011.png")
    with pytest.raises(RunError, match="a_vm1011"):
        index_of()
    site.files[f"{HEAD}a_vm1011.png"] = kept
    site.asked.clear()
    assert len(index_of().records) == 6
    assert fetched(site) == ["a_vm1011.png"]


def test_no_such_region_is_said_and_nothing_is_kept_that_stands_in_the_way(site):
    with pytest.raises(InputError, match=r"no region tail.*head"):
        index_of("visible-human-male", "library.region=tail")
    assert site.asked == []
    with pytest.raises(InputError, match=r"phantom.*head, trunk, whole"):
        index_of("phantom", "library.region=tail")


@pytest.mark.usefixtures("site")
def test_the_phantom_is_a_library():
    index = index_of("phantom", "library.every_mm=31")
    assert index.positions_mm is not None
    assert set(np.diff(index.positions_mm)) == {32.0}, "the next multiple of its 2 mm"
    assert index.positions_mm[-1] - index.positions_mm[0] > 200


def test_the_second_example_of_the_readme(site, tmp_path, monkeypatch, capsys):
    """A DICOM folder in the colours of visible-human-male."""
    grey = np.stack([draw_slice(z / 9)[0] for z in range(10)])
    (tmp_path / "series").mkdir()
    for z, pixels in enumerate(np.round(1000 * grey)):
        write_dicom(tmp_path / "series" / f"{z}.dcm", 3.0 * z, pixels)
    output = tmp_path / "out.ome.zarr"
    words = ["medcolor", "colorize", str(tmp_path / "series"), "visible-human-male", str(output)]
    for one in (*QUICK, "library.region=head"):
        words += ["--set", one]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "10 slices" in capsys.readouterr().out
    assert fetched(site) == [f"a_vm{n}.png" for n in range(1001, 1027, 5)]


@pytest.mark.usefixtures("site")
def test_a_folder_of_the_same_name_is_not_guessed_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scan = make_scan(tmp_path / "scan.nii.gz")
    (tmp_path / "phantom").mkdir()
    with pytest.raises(InputError, match=r"phantom: the name of a library.*\./phantom"):
        medcolor.colorize_volume(scan, "phantom", tmp_path / "a.ome.zarr")
    with pytest.raises(InputError, match="no reference photographs"):
        medcolor.colorize_volume(scan, "./phantom", tmp_path / "a.ome.zarr")
