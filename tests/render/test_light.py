"""Cinematic light: shadows, no pattern on the screen, and everything where it is without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medcolor.config import load_settings
from medcolor.errors import InputError
from medcolor.render.drawn import make_drawn
from medcolor.render.light import Mean, passes_of
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.scene import Frame, SceneSettings
from medcolor.render.tissue import Overview

SIDE_PX = 96
SCENE = SceneSettings(
    light="cinematic",
    tilt_deg=0.0,
    exposure=1.0,
    background=(0, 0, 0),
    opacity_points=((0.0, 0.0), (0.3, 0.0), (0.8, 0.5), (1.0, 0.5)),
)
FRONT = Frame(0.0)


def draw(rgba, *scenes):
    """Draw a volume of cubic voxels from the front, in several scenes that differ in light."""
    overview = Overview.alone(rgba, (1.0, 1.0, 1.0))
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], overview, scenes[0])
    pictures = []
    for scene in scenes:
        renderer = OffscreenRenderer(drawn, scene, SIDE_PX)
        pictures.append(renderer.frame(FRONT).astype(float))
        renderer.close()
    return pictures


def gray(shape=(40, 40, 40)):
    rgba = np.zeros((*shape, 4), np.uint8)
    rgba[..., :3] = 180
    return rgba


@pytest.fixture(scope="module")
def wall():
    """A wall that faces the camera."""
    rgba = gray()
    rgba[2:38, 20:38, 2:38, 3] = 255
    return rgba


@pytest.fixture(scope="module")
def ball():
    z, y, x = np.mgrid[:40, :40, :40] - 19.5
    rgba = gray()
    rgba[..., 3] = np.clip(255 * (16 - np.sqrt(x**2 + y**2 + z**2)) / 3, 0, 255)
    return rgba


def power(picture, finest_px, coarsest_px):
    """Return the standard deviation of what has these wavelengths, in the middle of a picture."""
    inside = picture[32:64, 32:64, 0]
    window = np.hanning(32)[:, None] * np.hanning(32)
    spectrum = np.abs(np.fft.fft2((inside - gaussian_filter(inside, 8)) * window)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    band = (frequency <= 1 / finest_px) & (frequency > 1 / coarsest_px)
    return float(np.sqrt(spectrum[band].sum() / (window**2).sum() / 32**2))


@pytest.mark.parametrize("shape", ["wall", "ball"])
def test_light_leaves_no_pattern_on_the_screen_and_no_rings(request, shape):
    """What has wavelengths up to eight pixels on an even surface is about one level of 255."""
    rgba = request.getfixturevalue(shape)
    lit = replace(SCENE, light_deg=(20.0, 25.0))
    cinematic, once, studio = draw(rgba, lit, replace(lit, passes=1), replace(lit, light="studio"))
    assert power(cinematic, 1.4, 8) < min(1.4, 0.25 * power(once, 1.4, 8))
    assert power(cinematic, 1.4, 3) < power(studio, 1.4, 3)


def test_a_shadow_is_cast_away_from_the_lamp():
    """A ball before a wall, lit from the left: the wall is darker to the right of the ball."""
    rgba = gray((48, 48, 64))
    rgba[2:46, 34:46, 2:62, 3] = 255
    z, y, x = np.mgrid[:48, :48, :64]
    rgba[(z - 24) ** 2 + (y - 26) ** 2 + (x - 32) ** 2 < 36, 3] = 255
    scene = replace(SCENE, light_deg=(50.0, 0.0), passes=3)
    cinematic, studio = draw(rgba, scene, replace(scene, light="studio"))

    def right_against_left(picture):
        rows = picture[44:52, :, 0].mean(0)
        return rows[56:64].mean() / rows[32:40].mean()

    assert right_against_left(cinematic) < 0.8
    assert 0.9 < right_against_left(studio) < 1.1


def test_what_is_seen_stands_where_it_stands_without_light(wall):
    rgba = wall.copy()
    rgba[20:, :, :18, 3] = 0  # no symmetry
    flat, cinematic = draw(rgba, replace(SCENE, light="flat"), SCENE)
    seen = [picture.max(-1) > 8 for picture in (flat, cinematic)]
    assert (seen[0] & seen[1]).sum() > 0.97 * (seen[0] | seen[1]).sum()


def test_moved_drawings_come_back_to_where_they_were():
    """Brute force: pictures are cut out of a larger one where a moved camera sees them."""
    source = np.random.default_rng(0)
    world = source.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    mean = Mean(20)
    for one in passes_of("cinematic", (0.0, 0.0), 16):
        left, down = one.shift_px
        mean.add(world[10 - down : 30 - down, 10 + left : 30 + left], one.shift_px)
    np.testing.assert_array_equal(mean.value(), world[10:30, 10:30])


def test_drawings_are_moved_densely_and_the_first_is_not():
    moved = [one.shift_px for one in passes_of("cinematic", (0.0, 0.0), 64)]
    assert moved[0] == (0, 0)
    assert set(moved[:4]) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert set(moved[:16]) == {(left, down) for left in range(4) for down in range(4)}
    assert len(set(moved)) == 64


@pytest.mark.parametrize("count", [1, 4, 9])
def test_lamps_and_offsets_are_spread_about_those_of_the_scene(count):
    passes = passes_of("cinematic", (30.0, 40.0), count)
    assert len(passes) == count
    lamps = np.array([one.light_deg for one in passes if one.light_deg != (0.0, 0.0)])
    assert (np.hypot(*(lamps - (30.0, 40.0)).T) <= 20 + 1e-9).all()
    offsets = np.array([one.offset_px for one in passes])
    assert (np.abs(offsets) <= 0.5).all()
    assert np.abs(offsets.mean(0)).max() <= 0.5 / count**0.5


@pytest.mark.parametrize("light", ["studio", "flat"])
def test_other_light_is_drawn_once_from_where_the_scene_says(light):
    (one,) = passes_of(light, (30.0, 40.0), 8)
    assert (one.shift_px, one.offset_px, one.step) == ((0, 0), (0.0, 0.0), 1.0)
    assert one.light_deg == (30.0, 40.0)


def test_a_block_is_taken_out_and_all_else_stays(wall):
    """The upper left quarter, seen from the front: the patient's right is at the left."""
    scene = replace(SCENE, light="flat")
    (whole,) = draw(wall, scene)
    (cut,) = draw(wall, replace(scene, cut_out=((0.5, 1.0), (0.0, 1.0), (0.0, 0.5))))
    top, left = slice(0, 44), slice(0, 44)
    assert whole[24:44, 24:44].max() > 100
    assert cut[top, left].max() < 8
    np.testing.assert_allclose(cut[52:, 52:], whole[52:, 52:], atol=2)
    np.testing.assert_allclose(cut[55:, :44], whole[55:, :44], atol=2)


def test_a_scene_of_before_says_what_light_is_called_now():
    with pytest.raises(InputError, match=r"scene\.light=flat"):
        load_settings(None, ["scene.shade=false"])
