import numpy as np
import pytest

from medcolor.config import load_settings
from medcolor.domain import GreyLevels
from medcolor.errors import InputError
from medcolor.render.opacity import PRESETS, TISSUES, points_of, thinned
from medcolor.render.scene import SceneSettings, camera_of, extent_of, frames_of, is_loop

CT = GreyLevels(-350.0, 650.0, "HU", is_alpha=True)


def shadows_of(visible):
    return tuple(visible.any(axis=axis) for axis in range(3))


def test_a_full_turn_does_not_show_its_first_frame_twice():
    angles = [frame.angle_deg for frame in frames_of(SceneSettings(start_deg=90.0), 4)]
    assert angles == [90.0, 180.0, 270.0, 0.0]
    assert is_loop(SceneSettings())


def test_half_a_turn_ends_where_it_is_told_to():
    scene = SceneSettings(sweep_deg=-90.0)
    assert [frame.angle_deg for frame in frames_of(scene, 4)] == [0.0, 330.0, 300.0, 270.0]
    assert not is_loop(scene)


@pytest.mark.parametrize(
    ("axis", "angle_deg", "direction"),
    [
        ("longitudinal", 0.0, (0, -1, 0)),  # before the face
        ("longitudinal", 90.0, (1, 0, 0)),  # at the patient's left
        ("transverse", 0.0, (0, -1, 0)),
        ("transverse", 90.0, (0, 0, 1)),  # above the head
        ("sagittal", 0.0, (1, 0, 0)),
        ("sagittal", 90.0, (0, 0, 1)),
    ],
)
def test_the_camera_stands_where_the_angle_says(axis, angle_deg, direction):
    scene = SceneSettings(axis=axis, start_deg=angle_deg, tilt_deg=0.0)
    extent = extent_of(shadows_of(np.ones((9, 9, 9), bool)), (1.0, 1.0, 1.0), axis)
    camera = camera_of(frames_of(scene, 1)[0], extent, scene)
    toward = np.subtract(camera.position_mm, camera.target_mm)
    np.testing.assert_allclose(toward / np.linalg.norm(toward), direction, atol=1e-12)
    assert np.dot(camera.up, toward) == pytest.approx(0, abs=1e-9)


def test_zoom_brings_the_camera_nearer():
    extent = extent_of(shadows_of(np.ones((5, 5, 5), bool)), (1.0, 1.0, 1.0), "longitudinal")
    distances = []
    for zoom in (1.0, 2.0):
        scene = SceneSettings(zoom=zoom)
        camera = camera_of(frames_of(scene, 1)[0], extent, scene)
        distances.append(np.linalg.norm(np.subtract(camera.position_mm, camera.target_mm)))
    assert distances[0] == pytest.approx(2 * distances[1])


@pytest.mark.parametrize("axis", ["longitudinal", "transverse", "sagittal"])
def test_the_extent_is_the_cylinder_around_all_that_is_visible(axis):
    rng = np.random.default_rng(3)
    visible = rng.random((7, 9, 11)) < 0.03
    spacing = (3.0, 1.0, 2.0)
    extent = extent_of(shadows_of(visible), spacing, axis)
    places = np.argwhere(visible) * spacing  # (z, y, x)
    along = {"longitudinal": 0, "sagittal": 1, "transverse": 2}[axis]
    center = np.array(extent.center_mm)[::-1]
    heights = np.abs(places[:, along] - center[along])
    across = np.delete(places - center, along, axis=1)
    assert heights.max() == pytest.approx(extent.half_height_mm - spacing[along] / 2)
    assert np.linalg.norm(across, axis=1).max() == pytest.approx(extent.radius_mm - 1.5)


def test_presets_of_slicer_are_moved_into_the_window():
    points = points_of("CT-Bone", CT, "x")
    # -16.4 HU and 641.4 HU, of -350..650.
    assert np.interp(0.33, *np.array(points).T) == 0
    assert np.interp((641.4 + 350) / 1000, *np.array(points).T) == pytest.approx(0.716, abs=1e-3)
    middle = ((641.4 - 16.4) / 2 + 350) / 1000
    assert np.interp(middle, *np.array(points).T) == pytest.approx(0.358, abs=2e-3)


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in TISSUES])
def test_no_preset_shows_air(name):
    levels = GreyLevels(0.0, 1000.0, "raw", is_alpha=True) if name.startswith("MR") else CT
    if name == "CT-Lung":
        levels = GreyLevels(-1350.0, 150.0, "HU", is_alpha=True)
    points = points_of(name, levels, "x")
    greys = [grey for grey, _ in points]
    assert points[0] == (0.0, 0.0)
    assert greys == sorted(greys)
    assert greys[-1] == 1
    assert max(opacity for _, opacity in points) > 0.1


def test_a_preset_outside_the_window_is_refused():
    with pytest.raises(InputError, match=r"CT-Lung shows -600..-399.*window.* -350..650"):
        points_of("CT-Lung", CT, "x")


@pytest.mark.parametrize("levels", [None, GreyLevels(0.0, 1.0, "raw", is_alpha=False)])
def test_a_preset_of_stored_values_needs_to_know_them(levels):
    with pytest.raises(InputError, match="alpha does not tell"):
        points_of("CT-Bone", levels, "x")


def test_density_thins_and_stays_below_opaque():
    assert thinned(((0.0, 0.0), (1.0, 0.6)), 0.5) == ((0.0, 0.0), (1.0, 0.3))
    assert thinned(((0.0, 0.0), (1.0, 0.6)), 9.0)[1][1] < 1


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("scene.opacity=glass", "opacity must be one of skin, muscle"),
        ("scene.tilt_deg=90", "tilt_deg must lie"),
        ("scene.sweep_deg=0", "sweep_deg"),
        ("scene.clip_axial=[0.5,0.5]", "low < high"),
        ("scene.opacity_points=[[0.2,0.1]]", "two or more grey levels"),
        ("scene.opacity_points=[[0.5,0],[0.2,1]]", "rising"),
        ("scene.opacity_points=[[0,0],[1,2]]", "opacities 0..1"),
        ("scene.opacity_points=[[0,0],[1,0]]", "show nothing"),
        ("scene.start_deg=.nan", "not finite"),
        ("scene.light_deg=[.inf,0]", "not finite"),
        ("scene.density=0", "density"),
        ("scene.path=fly", "turntable"),
        ("scene.zoom=0", "zoom"),
    ],
)
def test_scenes_without_meaning_are_refused(override, words):
    with pytest.raises(InputError, match=words):
        load_settings(None, [override])


def test_points_may_be_given_instead_of_a_preset():
    settings = load_settings(None, ["scene.opacity_points=[[0,0],[0.5,0.2],[1,0.9]]"])
    assert settings.scene.opacity_points == ((0.0, 0.0), (0.5, 0.2), (1.0, 0.9))
