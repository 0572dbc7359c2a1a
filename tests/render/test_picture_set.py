import hashlib
import json
import re
import shutil

import av
import cv2
import numpy as np
import pytest
import zarr
from PIL import Image
from trees import tree_bytes

import medcolor
from medcolor.config import load_settings
from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.render.frames import FrameWorker, choose_level, plan_set
from medcolor.render.picture_set import frame_tasks
from medcolor.render.scene import SceneSettings
from medcolor.render.sections import cut, find_body, middle_sections
from medcolor.render.settings import RenderSettings
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.levels import Level
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, read_slices, write_slab

GREY = GreyLevels(0.0, 1.0, "raw", is_alpha=True)
SMALL = load_settings(
    None, ["render.frames=5", "render.size_px=64", "render.sections=6", "scene.opacity=ramp"]
)
TINY = ("render.size_px=32", "render.sections=2", "render.grey=false")


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
    create_store(path, VolumeGeometry(rgba.shape[:3], spacing, affine), settings, {}, GREY)
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


def test_views_spread_over_the_path_are_drawn_in_cinematic_light_too(pictures):
    """4 of 5 frames; they make the figure, and show what the frames of the same number show."""
    stills = sorted(path.name for path in (pictures / "stills").iterdir())
    assert stills == ["0000.png", "0001.png", "0002.png", "0003.png"]
    figure = cv2.imread(str(pictures / "figure.png"))
    for number, name in enumerate(stills):
        still, frame = (cv2.imread(str(pictures / kind / name)) for kind in ("stills", "frames"))
        assert (still != frame).any()
        seen = [np.abs(one.astype(int) - one[0, 0]).max(-1) > 12 for one in (still, frame)]
        assert (seen[0] & seen[1]).sum() > 0.9 * (seen[0] | seen[1]).sum()
        left = number * (figure.shape[1] - 64) // 3
        np.testing.assert_array_equal(figure[-64:, left : left + 64], still)


@pytest.mark.parametrize("change", ["scene.light=flat", "scene.light=cinematic", "render.stills=0"])
def test_no_view_is_drawn_twice_where_light_is_chosen_or_stills_are_not_wanted(
    volume, tmp_path, change
):
    settings = load_settings(None, ["render.frames=2", "scene.opacity=ramp", *TINY, change])
    medcolor.render_volume(volume, tmp_path, settings=settings)
    assert not (tmp_path / "stills").exists()
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_the_video_plays_every_frame(pictures):
    with av.open(str(pictures / "turntable.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert sum(1 for _ in container.decode(stream)) == 5


def test_sections_show_grey_beside_colour_in_true_proportion_head_up(pictures):
    section = cv2.imread(str(pictures / "sections" / "sagittal.png"))[:-30]  # above the bar
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


@pytest.mark.parametrize("turned", [False, True])
def test_an_axis_of_short_pixels_is_averaged_though_the_other_is_enlarged(turned):
    """Stripes of one pixel, half of them bright, in pixels 30 times as long as wide."""
    rgba = np.full((20, 1200, 4), 255, np.uint8)
    rgba[:, ::2, :3] = 0
    pixel_mm = (30.0, 1.0)
    if turned:
        rgba, pixel_mm = rgba.swapaxes(0, 1), (1.0, 30.0)
    shown = cut(np.ascontiguousarray(rgba), pixel_mm, "axial", 400, has_grey=True).color
    assert shown.shape[:2] == ((400, 200) if turned else (200, 400))
    assert np.abs(shown.astype(int) - 127).max() < 45  # sampled, they are 0 and 255


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


def test_the_page_has_a_3d_tab_unless_it_is_left_out(volume, pictures, tmp_path):
    page = (pictures / "index.html").read_text()
    held = json.loads(re.search(r'id="free-view">(.*?)</script>', page, re.DOTALL)[1])
    assert held["shown"] == "scene"  # scene.opacity=ramp, which is no tissue
    assert len(page) < 6e6
    settings = load_settings(None, [*TINY, "render.frames=1", "render.free_view=false"])
    page = medcolor.render_volume(volume, tmp_path / "p", settings=settings).read_text()
    assert "free-view" not in page
    assert "niivue" not in page.lower()


def test_where_no_level_is_small_enough_the_page_has_no_tab_and_the_log_says_so(
    volume, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("medcolor.render.free_volume._MOST_VOXELS", 100)
    small = load_settings(None, [*TINY, "render.frames=1", "render.stills=0", "scene.opacity=ramp"])
    page = medcolor.render_volume(volume, tmp_path / "p", settings=small).read_text()
    assert "free-view" not in page
    assert "no level is small enough for the 3-D tab" in caplog.text


def test_the_scan_is_drawn_from_the_same_cameras(pictures):
    for number in range(5):
        color = cv2.imread(str(pictures / "frames" / f"{number:04d}.png")).astype(int)
        grey = cv2.imread(str(pictures / "grey" / f"{number:04d}.png")).astype(int)
        body = grey.max(axis=-1) > 60
        assert body.sum() > 100
        assert np.ptp(grey[body], axis=-1).max() <= 8  # the background is not quite neutral
        assert np.ptp(color[body], axis=-1).mean() > 30
        # Both show the same outline.
        assert ((color.max(axis=-1) > 40) == (grey.max(axis=-1) > 40)).mean() > 0.96


def test_animation_thumbnail_and_figure_are_there(pictures):
    with Image.open(pictures / "turntable.webp") as animation:
        assert animation.n_frames == 5
        assert animation.info["loop"] == 0
    with Image.open(pictures / "thumbnail.webp") as thumbnail:
        assert max(thumbnail.size) <= 256
    figure = cv2.imread(str(pictures / "figure.png"))
    assert figure.shape[:2] == (2 * 64 + 8, 4 * 64 + 3 * 8)


def test_sections_have_a_scale_bar_of_the_right_length(pictures):
    section = cv2.imread(str(pictures / "sections" / "axial.png"))
    bar = np.flatnonzero(section[-30 + 14, :, 0] > 150)
    run = bar[: np.flatnonzero(np.diff(bar) > 1)[0] + 1] if (np.diff(bar) > 1).any() else bar
    # The body's 28 mm and 5 on either side fill 560 pixels; 10 mm is the longest that fits.
    assert len(run) == pytest.approx(10 * 560 / 38, abs=4)


def test_sections_show_the_body_and_not_the_table_around(tmp_path):
    path, spacing = tmp_path / "small.ome.zarr", (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((20, 160, 160), spacing, as_affine(affine_from_code("LPS", spacing)))
    levels = create_store(path, geometry, StoreSettings(), {}, GREY)
    rgba = np.zeros((20, 160, 160, 4), np.uint8)
    rgba[:, 90:130, 20:70] = [200, 150, 100, 200]
    for level in levels:
        slices = range(level.shape[0])
        write_slab(
            path,
            level.index,
            slices,
            rgba if level.index == 0 else coarse_slab(path, level, slices),
        )
    box = find_body(path, levels)
    for level in levels:
        _, rows, cols = box.of(level)
        scale = 2**level.index
        assert rows.start * scale in range(80, 90)
        assert rows.stop * scale in range(130, 142)
        assert cols.start * scale in range(10, 20)
        assert cols.stop * scale in range(70, 82)


def test_checksums_are_those_of_the_files(pictures):
    sums = json.loads((pictures / "checksums.json").read_text())
    files = {p.relative_to(pictures).as_posix() for p in pictures.rglob("*") if p.is_file()}
    assert set(sums) == files - {"checksums.json"}
    for name, digest in sums.items():
        assert hashlib.sha256((pictures / name).read_bytes()).hexdigest() == digest


def test_the_record_names_cameras_and_level(pictures):
    record = json.loads((pictures / "render.json").read_text())
    assert record["drawn_level"] == 0
    assert record["settings"]["frames"] == 5
    assert [camera["angle_deg"] for camera in record["cameras"]] == [0, 72, 144, 216, 288]
    first = record["cameras"][0]
    assert first["position_mm"][1] < first["target_mm"][1]  # before the face


def test_frames_do_not_depend_on_who_draws_them_and_in_which_order(volume, pictures, tmp_path):
    plan = plan_set(volume, tmp_path, SMALL.scene, SMALL.render, 1)
    tasks = frame_tasks(plan)
    workers = FrameWorker(plan), FrameWorker(plan)
    for number, task in enumerate(reversed(tasks)):
        report = workers[number % 2](task)
        assert report == workers[0](task)
    for task in tasks:
        name = f"{task.stage}/{task.number:04d}.png"
        assert (tmp_path / name).read_bytes() == (pictures / name).read_bytes()


def test_a_volume_whose_alpha_is_no_luminance_is_drawn_without_the_scan(tmp_path, caplog):
    path = tmp_path / "gradient.ome.zarr"
    spacing = (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((12, 16, 16), spacing, as_affine(affine_from_code("LPS", spacing)))
    grey = GreyLevels(0.0, 1.0, "raw", is_alpha=False)
    create_store(path, geometry, StoreSettings(), {}, grey)
    rgba = np.zeros((12, 16, 16, 4), np.uint8)
    rgba[2:10, 4:12, 4:12] = [200, 100, 50, 255]
    write_slab(path, 0, range(12), rgba)
    medcolor.render_volume(path, tmp_path / "p", settings=SMALL)
    assert "alpha is not the scan's luminance" in caplog.text
    assert not (tmp_path / "p" / "grey").exists()
    section = cv2.imread(str(tmp_path / "p" / "sections" / "axial.png"))
    assert np.ptp(section[280, 280].astype(int)) > 100  # colour alone, at the left too


def test_a_flight_is_drawn_and_labelled(volume, tmp_path):
    settings = load_settings(
        None,
        ["scene.path=fly-axial", "scene.opacity=ramp", "render.frames=3", "render.size_px=32"],
    )
    page = medcolor.render_volume(volume, tmp_path / "p", settings=settings)
    assert "axial cut at 67 %" in page.read_text()
    assert "fly-axial" in page.read_text()


def test_a_folder_of_volumes_gets_a_set_each_and_a_page_of_all(volume, tmp_path):
    folder = tmp_path / "cohort"
    for name in ("a", "b"):
        shutil.copytree(volume, folder / f"{name}.ome.zarr")
    settings = load_settings(None, ["render.frames=1", "render.size_px=32", "render.sections=1"])
    page = medcolor.render_volume(folder, tmp_path / "p", settings=settings)
    text = page.read_text()
    for name in ("a", "b"):
        assert f'href="{name}/index.html"' in text
        assert (tmp_path / "p" / name / "turntable.mp4").is_file()


def test_the_same_set_is_kept_and_another_is_drawn(volume, tmp_path):
    mine = tmp_path / "v.ome.zarr"
    shutil.copytree(volume, mine)
    group = zarr.open_group(mine, mode="a")
    about = dict(group.attrs["medcolor"])
    settings = load_settings(None, ["render.frames=1", *TINY])

    def draw(provenance, chosen=settings):
        group.attrs["medcolor"] = about | {"provenance": provenance}
        medcolor.render_volume(mine, tmp_path / "p", settings=chosen)
        return (tmp_path / "p" / "frames" / "0000.png").stat().st_mtime_ns

    first = draw({"target": "a"})
    assert draw({"target": "a"}) == first
    second = draw({"target": "b"})
    assert second > first
    third = draw({"target": "b"}, load_settings(None, ["scene.zoom=2", "render.frames=1", *TINY]))
    assert third > second
    # What does not say what it is cannot be known to be the same.
    fourth = draw({})
    assert draw({}) > fourth > third
    # An unfinished set is drawn.
    done = draw({"target": "a"})
    (tmp_path / "p" / "checksums.json").unlink()
    again = draw({"target": "a"})
    assert again > done
    (tmp_path / "p" / "index.html").unlink()  # nor one of which something was deleted
    assert draw({"target": "a"}) > again
    assert (tmp_path / "p" / "index.html").is_file()


@pytest.mark.parametrize("name", ["frames/0000.png", "turntable.mp4"])
def test_a_set_of_which_a_file_was_cut_is_drawn_again(volume, tmp_path, name):
    mine = tmp_path / "v.ome.zarr"
    shutil.copytree(volume, mine)
    group = zarr.open_group(mine, mode="a")
    group.attrs["medcolor"] = dict(group.attrs["medcolor"]) | {"provenance": {"target": "a"}}
    settings = load_settings(None, ["render.frames=1", *TINY])
    medcolor.render_volume(mine, tmp_path / "p", settings=settings)
    cut = (tmp_path / "p" / name).read_bytes()[:60]
    (tmp_path / "p" / name).write_bytes(cut)
    medcolor.render_volume(mine, tmp_path / "p", settings=settings)
    found = hashlib.sha256((tmp_path / "p" / name).read_bytes()).hexdigest()
    assert found == json.loads((tmp_path / "p" / "checksums.json").read_text())[name]


def test_a_volume_that_went_on_growing_is_drawn_again(volume, tmp_path):
    mine = tmp_path / "v.ome.zarr"
    shutil.copytree(volume, mine)
    group = zarr.open_group(mine, mode="a")
    group.attrs["medcolor"] = dict(group.attrs["medcolor"]) | {"provenance": {"target": "a"}}
    kept = read_slices(mine, 0, range(16))
    write_slab(mine, 0, range(16), np.zeros_like(kept))
    settings = load_settings(None, ["render.frames=1", *TINY])
    medcolor.render_volume(mine, tmp_path / "p", settings=settings)
    empty = (tmp_path / "p" / "frames" / "0000.png").read_bytes()
    write_slab(mine, 0, range(16), kept)
    medcolor.render_volume(mine, tmp_path / "p", settings=settings)
    assert (tmp_path / "p" / "frames" / "0000.png").read_bytes() != empty


def test_an_opacity_that_does_not_suit_costs_no_earlier_picture(volume, tmp_path):
    settings = load_settings(None, ["render.frames=1", *TINY])
    medcolor.render_volume(volume, tmp_path / "p", settings=settings)
    before = tree_bytes(tmp_path / "p")
    wrong = load_settings(None, ["scene.opacity=CT-Fat", "render.frames=1", *TINY])
    with pytest.raises(medcolor.InputError, match="CT-Fat"):
        medcolor.render_volume(volume, tmp_path / "p", settings=wrong)
    assert tree_bytes(tmp_path / "p") == before


@pytest.mark.parametrize("told", [{"grey": {"black": 0.0}}, {"provenance": ["a"]}])
def test_metadata_of_another_version_is_one_line(volume, tmp_path, told):
    mine = tmp_path / "v.ome.zarr"
    shutil.copytree(volume, mine)
    group = zarr.open_group(mine, mode="a")
    group.attrs["medcolor"] = dict(group.attrs["medcolor"]) | told
    with pytest.raises(medcolor.InputError, match="not of this version"):
        medcolor.render_volume(mine, tmp_path / "p", settings=SMALL)


def test_a_broken_volume_of_a_cohort_holds_no_other_up(volume, tmp_path):
    folder = tmp_path / "cohort"
    shutil.copytree(volume, folder / "whole.ome.zarr")
    (folder / "broken.ome.zarr").mkdir()
    settings = load_settings(None, ["render.frames=1", *TINY])
    with pytest.raises(medcolor.RunError, match="1 of 2 volumes could not be drawn"):
        medcolor.render_volume(folder, tmp_path / "p", settings=settings)
    page = (tmp_path / "p" / "index.html").read_text()
    assert 'href="whole/index.html"' in page
    assert "broken" not in page


def test_a_name_that_begins_as_the_volume_s_is_no_place_inside_it(volume):
    settings = load_settings(None, ["render.frames=1", *TINY])
    place = volume.with_name(volume.name + "-pictures")
    assert medcolor.render_volume(volume, place, settings=settings).is_file()


def test_pictures_are_not_drawn_into_the_volume(volume):
    before = sorted(volume.rglob("*"))
    for place in (volume, volume / "pictures"):
        with pytest.raises(medcolor.InputError, match="lies in the volume"):
            medcolor.render_volume(volume, place, settings=SMALL)
    assert sorted(volume.rglob("*")) == before


def test_files_of_somebody_else_are_never_written_over(volume, tmp_path):
    for name in ("index.html", "frames/20240101.png"):
        place = tmp_path / name.replace("/", "-") / name
        place.parent.mkdir(parents=True)
        place.write_text("years of work")
        folder = tmp_path / name.replace("/", "-")
        with pytest.raises(medcolor.InputError, match="was not drawn by medcolor"):
            medcolor.render_volume(volume, folder, settings=SMALL)
        assert [path for path in folder.rglob("*") if path.is_file()] == [place]


def test_a_volume_whose_run_has_not_ended_is_refused(volume, tmp_path):
    mine = tmp_path / "v.ome.zarr"
    shutil.copytree(volume, mine)
    run = tmp_path / "v.ome.zarr.run"
    run.mkdir()
    (run / "plan.json").write_text('{"identity": "a"}')
    with pytest.raises(medcolor.InputError, match="has not come to its end"):
        medcolor.render_volume(mine, tmp_path / "p", settings=SMALL)
    (run / "run.json").write_text('{"complete": true}')
    settings = load_settings(None, ["render.frames=1", *TINY])
    assert medcolor.render_volume(mine, tmp_path / "p", settings=settings).is_file()


def test_a_volume_without_four_channels_is_refused(tmp_path):
    group = zarr.open_group(tmp_path / "grey.ome.zarr", mode="w")
    group.create_array("0", shape=(1, 4, 4, 4), dtype="uint8")
    scale = [
        {"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0]},
        {"type": "translation", "translation": [0.0, 0.0, 0.0, 0.0]},
    ]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"multiscales": [{"datasets": datasets}]}
    with pytest.raises(medcolor.InputError, match="no coloured OME-Zarr"):
        medcolor.render_volume(tmp_path / "grey.ome.zarr", tmp_path / "p", settings=SMALL)


def test_a_folder_that_cannot_be_made_is_refused(volume, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(medcolor.InputError, match=r"file/p: cannot be written to"):
        medcolor.render_volume(volume, tmp_path / "file" / "p", settings=SMALL)


def test_memory_decides_the_level_and_what_ran_before_does_not():
    levels = tuple(
        Level(index, (side,) * 3, (1.0,) * 3, (0.0,) * 3, (2,) * 3)
        for index, side in enumerate((1024, 512, 256, 128))
    )
    ballast = np.ones(50_000_000)  # 400 MB that are no business of drawing
    chosen = {
        limit: choose_level(
            levels, RenderSettings(longest_side=2000, memory_mb=limit), SceneSettings()
        ).index
        for limit in (1000, 1500, 3500, 30_000)
    }
    assert ballast.all()
    assert chosen == {1000: 3, 1500: 2, 3500: 1, 30_000: 0}


def test_memory_that_holds_no_level_is_refused(volume, tmp_path):
    settings = load_settings(None, ["render.memory_mb=1"])
    with pytest.raises(medcolor.InputError, match=r"memory_mb: 1 MB hold no level.*needs \d+ MB"):
        medcolor.render_volume(volume, tmp_path / "p", settings=settings)
    assert not (tmp_path / "p").exists()


def test_drawing_again_leaves_no_stale_frames(volume, tmp_path):
    for frames in (3, 2):
        settings = load_settings(None, [f"render.frames={frames}", *TINY])
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
    settings = load_settings(None, ["render.longest_side=100", "render.frames=1", *TINY])
    medcolor.render_volume(path, tmp_path / "p", settings=settings)
    assert json.loads((tmp_path / "p" / "render.json").read_text())["drawn_level"] == 1


def test_an_empty_volume_has_sections_too(tmp_path):
    path = tmp_path / "empty.ome.zarr"
    spacing = (1.0, 1.0, 1.0)
    geometry = VolumeGeometry((4, 20, 20), spacing, as_affine(affine_from_code("LPS", spacing)))
    levels = create_store(path, geometry, StoreSettings(), {})
    write_slab(path, 0, range(4), np.zeros((4, 20, 20, 4), np.uint8))
    assert len(middle_sections(path, levels, has_grey=True)) == 4


def test_a_folder_without_a_volume_is_refused(tmp_path):
    with pytest.raises(medcolor.InputError, match="no coloured OME-Zarr"):
        medcolor.render_volume(tmp_path, tmp_path / "p")
    assert not (tmp_path / "p").exists()
