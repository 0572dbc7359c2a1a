"""From a scan to its pictures: what the volume tells of itself arrives in them."""

import json
import re
from base64 import b64encode
from io import BytesIO

import numpy as np
import pytest
from conftest import make_photographs, make_scan
from PIL import Image

import medcolor
from medcolor.config import load_settings
from medcolor.domain import GreyLevels
from medcolor.errors import InputError
from medcolor.run.pictures import PlaceCheck
from medcolor.volume.store import read_about

SIZE = ("render.frames=1", "render.size_px=32", "render.sections=1")
QUICK = ("features.working_size_px=64", "store.slab_slices=4", "store.chunk=[4,16,16]")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    photographs = make_photographs(folder / "library" / "cryosection", 3)
    (folder / "library" / "CREDITS.txt").write_text("A <b>library</b>\nCourtesy of its owner.\n")
    return make_scan(folder / "scan.nii", 4), photographs


def test_grey_levels_and_credit_travel_with_the_volume_to_the_page(inputs, tmp_path):
    settings = load_settings(None, [*QUICK, *SIZE, "render.credits=['Scan: ours']"])
    medcolor.colorize_volume(*inputs, tmp_path / "a.ome.zarr", settings=settings)
    about = read_about(tmp_path / "a.ome.zarr")
    record = json.loads((tmp_path / "a.ome.zarr.run" / "run.json").read_text())
    window = record["window"]
    assert about.grey == GreyLevels(window["black"], window["white"], "raw", is_alpha=True)
    assert about.credit == "A <b>library</b>. Courtesy of its owner."
    page = medcolor.render_volume(tmp_path / "a.ome.zarr", tmp_path / "p", settings=settings)
    shown = re.search(r'<section class="credits">(.*?)</section>', page.read_text(), re.DOTALL)
    assert "A &lt;b&gt;library&lt;/b&gt;. Courtesy of its owner." in shown[1]
    assert "Scan: ours" in shown[1]
    sheet = (tmp_path / "a.ome.zarr.run" / "body.webp").read_bytes()
    assert f"base64,{b64encode(sheet).decode()}" in page.read_text()
    red, green, blue = np.moveaxis(np.asarray(Image.open(BytesIO(sheet)).convert("RGB"), int), 2, 0)
    assert ((green > red + 60) & (green > blue + 20)).sum() > 200  # outlines on gray


def test_the_credit_reaches_the_volumes_of_a_cohort(inputs, tmp_path):
    scan, photographs = inputs
    settings = load_settings(None, [*QUICK])
    pattern = str(scan.parent / "*.nii")
    medcolor.colorize_cohort(pattern, photographs, tmp_path / "cohort", settings=settings)
    (volume,) = (tmp_path / "cohort").glob("*.ome.zarr")
    assert read_about(volume).credit == "A <b>library</b>. Courtesy of its owner."


def test_another_rule_of_opacity_is_told(inputs, tmp_path):
    settings = load_settings(None, [*QUICK, "opacity.gradient=0.8"])
    medcolor.colorize_volume(*inputs, tmp_path / "a.ome.zarr", settings=settings)
    about = read_about(tmp_path / "a.ome.zarr")
    assert about.grey is not None
    assert not about.grey.is_alpha


def test_a_node_that_does_not_see_volume_or_output_is_named(tmp_path):
    volume, mark = tmp_path / "v.ome.zarr", tmp_path / "p" / ".probe.png"
    with pytest.raises(InputError, match=r"v\.ome\.zarr: no such volume here"):
        PlaceCheck(volume, mark)()
    volume.mkdir()
    (volume / "zarr.json").write_text("{}")
    with pytest.raises(InputError, match=r"/p: what the driver wrote is not seen here"):
        PlaceCheck(volume, mark)()
    mark.parent.mkdir()
    mark.touch()
    PlaceCheck(volume, mark)()
