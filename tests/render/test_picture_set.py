import json
import re

import av
import cv2
import numpy as np
import pytest

import medcolor
from medcolor.config import load_settings
from medcolor.domain import VolumeGeometry
from medcolor.render.sections import write_sections
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, write_slab

SMALL = load_settings(None, ["render.frames=5", "render.size_px=64"])


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A box: red in front, green behind with air (blue) inside, bright at the head; voxels twice
    as deep as wide."""
    path = tmp_path_factory.mktemp("v") / "box.ome.zarr"
    spacing = (2.0, 1.0, 1.0)
    affine = as_affine(affine_from_code("LPS", spacing))
    rgba = np.zeros((16, 40, 24, 4), np.uint8)
    rgba[2:14, 6:20, 4:20] = [200, 40, 40, 180]
    rgba[2:14, 20:34, 4:20] = [40, 200, 40, 180]
    rgba[10:14, 6:34, 4:20, 3] = 250
    rgba[4:8, 24:30, 8:16] = [40, 40, 250, 0]
    settings = StoreSettings(slab_slices=16, chunk=(16, 16, 16))
    create_store(path, VolumeGeometry(rgba.shape[:3], spacing, affine), settings, {})
    write_slab(path, 0, range(16), rgba)
    return path


@pytest.fixture(scope="module")
def pictures(volume, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    page = medcolor.render_volume(volume, folder, settings=SMALL)
    assert page == folder / "index.html"
    return folder


def test_there_is_a_frame_for_each_angle_and_they_turn(pictures):
    frames = [cv2.imread(str(path)) for path in sorted((pictures / "frames").iterdir())]
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 5
    # BGR: the front is red, the back green.
    assert frames[0][30:40, 28:36, 2].mean() > frames[0][30:40, 28:36, 1].mean() + 30
    behind = frames[2][30:40, 28:36].mean(axis=(0, 1)) + frames[3][30:40, 28:36].mean(axis=(0, 1))
    assert behind[1] > behind[2] + 30


def test_the_video_plays_every_frame(pictures):
    with av.open(str(pictures / "turntable.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert sum(1 for _ in container.decode(stream)) == 5


def test_sections_show_grey_beside_colour_in_true_proportion_head_up(pictures):
    section = cv2.imread(str(pictures / "sections" / "sagittal.png"))
    rows, cols = section.shape[:2]
    # 32 mm deep, 40 mm long, twice, and a gap.
    assert cols / 2 / rows == pytest.approx(40 / 32, rel=0.1)
    grey, color = section[:, : cols // 2 - 10], section[:, cols // 2 + 10 :]
    assert np.ptp(grey.astype(int), axis=-1).max() <= 2
    assert np.ptp(color.astype(int), axis=-1).max() > 100
    # Bright at the head, which is up.
    upper, lower = grey[rows // 5 : rows // 3].mean(), grey[-rows // 3 : -rows // 5].mean()
    assert upper > lower + 20
    # Anterior (red) is to the left of a sagittal section.
    middle = color[rows // 2]
    quarter = len(middle) // 4
    assert middle[quarter, 2] > middle[quarter, 1]
    assert middle[-quarter, 1] > middle[-quarter, 2]


def test_air_inside_the_body_is_black_in_sections(pictures):
    for name in ("axial", "coronal", "sagittal", "sheet"):
        blue, green, red = cv2.split(cv2.imread(str(pictures / "sections" / f"{name}.png")))
        assert not ((blue > 60) & (blue > green) & (blue > red)).any()


def test_the_page_holds_every_view(pictures):
    page = (pictures / "index.html").read_text()
    content = re.search(r'<script type="application/json" id="content">(.*?)</script>', page)
    views = json.loads(content[1])["views"]
    assert views["labels"] == ["0°", "72°", "144°", "216°", "288°"]
    assert len(set(views["color"])) == 5
    assert "Not a medical device" in page


def test_the_record_names_camera_and_level(pictures):
    record = json.loads((pictures / "render.json").read_text())
    assert record["drawn_level"] == 0
    assert record["settings"]["frames"] == 5


def test_drawing_again_leaves_no_stale_frames(volume, tmp_path):
    for frames in (3, 2):
        settings = load_settings(None, [f"render.frames={frames}", "render.size_px=32"])
        medcolor.render_volume(volume, tmp_path, settings=settings)
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_a_large_volume_is_drawn_from_a_coarser_level(tmp_path):
    path = tmp_path / "large.ome.zarr"
    spacing = (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((4, 150, 150), spacing, as_affine(affine_from_code("LPS", spacing)))
    levels = create_store(path, geometry, StoreSettings(), {})
    for level in levels:
        rgba = np.full((level.shape[0], *level.shape[1:], 4), 200, np.uint8)
        write_slab(path, level.index, range(level.shape[0]), rgba)
    settings = load_settings(
        None, ["render.longest_side=100", "render.frames=1", "render.size_px=32"]
    )
    medcolor.render_volume(path, tmp_path / "p", settings=settings)
    assert json.loads((tmp_path / "p" / "render.json").read_text())["drawn_level"] == 1


def test_an_empty_volume_has_sections_too(tmp_path):
    path = tmp_path / "empty.ome.zarr"
    spacing = (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((4, 20, 20), spacing, as_affine(affine_from_code("LPS", spacing)))
    (level,) = create_store(path, geometry, StoreSettings(), {})
    assert len(write_sections(path, level, tmp_path / "s", 0.1)) == 4


def test_a_folder_without_a_volume_is_refused(tmp_path):
    with pytest.raises(medcolor.InputError, match="no coloured OME-Zarr"):
        medcolor.render_volume(tmp_path, tmp_path / "p")
    assert not (tmp_path / "p").exists()
