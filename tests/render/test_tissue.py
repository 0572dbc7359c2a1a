"""What each opacity shows of a body that is known: skin, fat, muscle, bone, an organ."""

import numpy as np
import pytest

from medcolor.domain import GreyLevels
from medcolor.errors import InputError
from medcolor.render.drawn import exposed, make_drawn, points_for
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.scene import Frame, SceneSettings
from medcolor.render.tissue import Overview, visibility

CT = GreyLevels(-350.0, 650.0, "HU", is_alpha=True)
SPACING_MM = (2.0, 2.0, 2.0)
# Outer radius in mm, sRGB, HU, from outside to inside.
LAYERS = {
    "skin": (60, (205, 165, 140), 20),
    "fat": (57, (215, 190, 110), -90),
    "muscle": (48, (130, 60, 50), 55),
    "bone": (36, (230, 220, 190), 700),
    "organ": (30, (150, 90, 130), 40),
}


@pytest.fixture(scope="module")
def body():
    """A long cylinder of layers, as the patient's trunk, in air."""
    _, y, x = np.mgrid[0:24, 0:64, 0:64]
    radius = 2 * np.hypot(y - 31.5, x - 31.5)
    rgba = np.zeros((24, 64, 64, 4), np.uint8)
    for outer, color, hounsfield in LAYERS.values():
        inside = radius < outer
        rgba[inside, :3] = color
        rgba[inside, 3] = np.clip(round(255 * (hounsfield + 350) / 1000), 0, 255)
    return rgba


def middle(body, opacity, **scene):
    """Return the colour at the middle of a view from the front, without light."""
    chosen = SceneSettings(opacity=opacity, light="flat", exposure=1.0, tilt_deg=0.0, **scene)
    overview = Overview.alone(body, SPACING_MM)
    drawn = make_drawn(lambda z: body[z.start : z.stop], overview, chosen, CT)
    renderer = OffscreenRenderer(drawn, chosen, 64)
    try:
        frame = renderer.frame(Frame(0.0))
    finally:
        renderer.close()
    return frame[30:34, 30:34].mean(axis=(0, 1))


def nearest_layer(color):
    return min(LAYERS, key=lambda name: np.abs(np.array(LAYERS[name][1]) - color).sum())


@pytest.mark.parametrize(
    ("opacity", "layer"),
    [
        ("skin", "skin"),
        ("muscle", "muscle"),
        ("bone", "bone"),
        ("ramp", "skin"),
    ],
)
def test_an_opacity_shows_its_tissue(body, opacity, layer):
    assert nearest_layer(middle(body, opacity)) == layer


def test_organs_hide_the_wall_of_the_body_and_bone(body):
    shown = visibility("organs", body, Overview.alone(body, SPACING_MM).depth_mm, CT)
    z, y, x = 12, 31, np.arange(64)
    radius = 2 * np.abs(x - 31.5)
    assert shown[z, y][radius < 28].min() > 0.9  # the organ
    assert shown[z, y][radius > 52].max() < 0.05  # skin and fat
    assert shown[z, y][(radius > 31) & (radius < 35)].max() < 0.1  # bone
    # Without Hounsfield units what is bright may be anything.
    unknown = visibility("organs", body, Overview.alone(body, SPACING_MM).depth_mm, None)
    assert unknown[z, y][(radius > 31) & (radius < 35)].min() > 0.9


def test_bone_beyond_the_window_is_refused():
    brain = GreyLevels(0.0, 80.0, "HU", is_alpha=True)
    with pytest.raises(InputError, match="bone shows what the window of the volume cuts off"):
        points_for(SceneSettings(opacity="bone"), brain, "x")
    points_for(SceneSettings(opacity="bone"), CT, "x")


def test_voxels_much_thicker_than_the_rim_lend_it_no_colour():
    """With slices of 5 mm two voxels would be a centimetre."""
    rgba = np.zeros((6, 24, 24, 4), np.uint8)
    rgba[:, 4:20, 4:20] = [200, 150, 100, 200]
    rgba[3:, ..., :3] = [50, 60, 200]  # the upper half is of another colour
    scene = SceneSettings(opacity="ramp", exposure=1.0)
    overview = Overview.alone(rgba, (5.0, 0.5, 0.5))
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], overview, scene)
    np.testing.assert_allclose(drawn.rgba[1 + 2, 5, 12, :3], [200, 150, 100], atol=2)
    np.testing.assert_allclose(drawn.rgba[1 + 3, 5, 12, :3], [50, 60, 200], atol=2)


def test_depth_is_the_distance_from_the_outside(body):
    depth = Overview.alone(body, SPACING_MM).depth_mm
    x = np.arange(64)
    expected = np.clip(60 - 2 * np.abs(x - 31.5), 0, None)
    assert np.abs(depth[12, 31] - expected).max() < 2.1
    # The scan's first and last slices are cut faces, no skin.
    np.testing.assert_allclose(depth[0], depth[12], atol=1e-3)


def test_depth_of_a_finer_level_is_that_between_the_coarse_voxels(body):
    coarse = body[::2, ::2, ::2]
    overview = Overview(coarse, (4.0, 4.0, 4.0), (24, 64, 64), SPACING_MM)
    fine = Overview.alone(body, SPACING_MM).depth_mm
    found = overview.depth_of(range(5, 19))
    assert found.shape == (14, 64, 64)
    assert np.abs(found - fine[5:19]).max() < 5
    assert np.abs(found - fine[5:19]).mean() < 1.5


def test_air_in_the_body_has_depth_and_a_table_has_none(body):
    made = body.copy()
    made[:, 28:36, 28:36] = 0  # a cavity
    made[:, 63, 20:44] = 255  # a thin table, apart
    depth = Overview.alone(made, SPACING_MM).depth_mm
    assert depth[12, 32, 32] > 50
    assert depth[12, 63, 30] == 0


def test_the_rim_of_a_body_is_drawn_in_its_own_colour(body):
    """Half of an outermost voxel is air, and dark: frames would have a dark skin."""
    made = body.copy()
    edge = (body[..., 3] > 0) & ~np.roll(body[..., 3] > 0, 1, axis=1)
    made[edge, :3] = 10
    color = middle(made, "skin", smooth_voxels=1.0)
    assert color.min() > 80


def test_exposure_keeps_the_ratio_of_the_channels():
    rgb = np.array([[[60, 40, 20], [250, 100, 0], [0, 0, 0]]], np.uint8)
    brighter = exposed(rgb, 2.0)
    assert brighter[0, 0, 0] == round(255 * (1 - (1 - 60 / 255) ** 2))
    ratios = brighter[0, 0] / brighter[0, 0, 0]
    np.testing.assert_allclose(ratios, [1, 2 / 3, 1 / 3], atol=0.02)
    assert brighter[0, 1, 0] <= 255
    assert (brighter[0, 2] == 0).all()
    np.testing.assert_array_equal(exposed(rgb, 1.0), rgb)


def test_a_dark_volume_is_exposed_longer_than_a_bright_one(body):
    found = []
    for gain in (0.4, 1.0):
        made = body.copy()
        made[..., :3] = (made[..., :3] * gain).astype(np.uint8)
        overview = Overview.alone(made, SPACING_MM)
        scene = SceneSettings(opacity="ramp")
        found.append(make_drawn(lambda z, m=made: m[z.start : z.stop], overview, scene).exposure)
    assert found[0] > 1.5 * found[1]


def test_what_is_made_ready_does_not_depend_on_how_many_slices_at_once(body, monkeypatch):
    scene = SceneSettings(opacity="muscle")
    overview = Overview.alone(body, SPACING_MM)
    whole = make_drawn(lambda z: body[z.start : z.stop], overview, scene, CT)
    monkeypatch.setattr("medcolor.render.drawn._VOXELS", 1)
    parts = make_drawn(lambda z: body[z.start : z.stop], overview, scene, CT)
    np.testing.assert_array_equal(parts.rgba, whole.rgba)
    assert parts.extent == whole.extent
    assert parts.exposure == whole.exposure
