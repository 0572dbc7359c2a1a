"""Frames against an independent projection: a ray marcher in numpy."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.settings import RenderSettings

FLAT = RenderSettings(
    size_px=96,
    shade=False,
    alpha_blur_voxels=0.0,
    tilt_deg=20.0,
    opacity_per_mm=0.25,
    samples_per_voxel=3.0,
)
SPACING_MM = (2.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def rgba():
    """A smooth blob, red to the patient's right, blue to the left, bright towards the head."""
    z, y, x = np.mgrid[0:20, 0:44, 0:36]
    distance = ((z - 10) / 8) ** 2 + ((y - 22) / 18) ** 2 + ((x - 18) / 12) ** 2
    alpha = gaussian_filter((distance < 1) * 255.0, 1)
    red, blue = 255 * (x < 18), 255 * (x >= 18)
    green = 12 * z
    return np.stack([red, green, blue, alpha], axis=-1).astype(np.uint8)


def march(rgba, spacing_mm, settings, azimuth_deg, center, distance):
    """Cast rays through the volume, front to back, with the settings' opacity."""
    extent = np.array(rgba.shape[:3]) * spacing_mm
    azimuth, tilt = np.radians([azimuth_deg, settings.tilt_deg])
    toward = np.array(
        [np.sin(azimuth) * np.cos(tilt), -np.cos(azimuth) * np.cos(tilt), np.sin(tilt)]
    )
    camera = center + distance * toward
    right = np.cross(-toward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, -toward)
    side = settings.size_px
    plane = np.tan(np.radians(15)) * ((np.arange(side) + 0.5) / side * 2 - 1)
    rays = -toward + plane[None, :, None] * right + -plane[:, None, None] * up
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    step = min(spacing_mm) / settings.samples_per_voxel
    color = np.zeros((side, side, 3))
    light = np.ones((side, side, 1))
    ramp = [0, settings.opacity_low, settings.opacity_high, 1]
    opacities = [0, 0, settings.opacity_per_mm, settings.opacity_per_mm]
    reach = np.sqrt((extent**2).sum()) / 2
    for along in np.arange(distance - reach, distance + reach, step):
        place = camera + along * rays
        index = [place[..., 2] / spacing_mm[0], place[..., 1] / spacing_mm[1], place[..., 0]]
        sample = np.stack(
            [map_coordinates(rgba[..., c] / 255.0, index, order=1) for c in range(4)], axis=-1
        )
        inside = np.all(
            [(i >= 0) & (i <= n - 1) for i, n in zip(index, rgba.shape[:3], strict=True)], axis=0
        )
        opacity = np.interp(sample[..., 3:], ramp, opacities) * inside[..., None]
        held = 1 - (1 - opacity) ** step
        color += light * held * sample[..., :3]
        light *= 1 - held
    return 255 * color + light * settings.background


@pytest.mark.parametrize("azimuth_deg", [0.0, 65.0])
def test_a_frame_agrees_with_an_independent_projection(rgba, azimuth_deg):
    renderer = OffscreenRenderer(rgba, SPACING_MM, FLAT)
    frame = renderer.frame(azimuth_deg).astype(float)
    renderer.close()

    expected = march(rgba, SPACING_MM, FLAT, azimuth_deg, renderer.center_mm, renderer.distance_mm)
    difference = np.abs(frame - expected)

    assert difference.mean() < 2
    assert np.percentile(difference, 99) < 10


def test_the_first_frame_looks_at_the_face(rgba):
    renderer = OffscreenRenderer(rgba, SPACING_MM, FLAT)
    frame = renderer.frame(0.0).astype(int)
    renderer.close()
    left, right = frame[:, 30:44].mean(axis=(0, 1)), frame[:, 52:66].mean(axis=(0, 1))
    # The patient's right is at the image's left, the head is up.
    assert left[0] > left[2] + 20
    assert right[2] > right[0] + 20
    assert frame[30:45, 48, 1].mean() > frame[52:66, 48, 1].mean() + 20


@pytest.mark.parametrize("tilt_deg", [-60.0, 0.0, 35.0])
@pytest.mark.parametrize("sides", [(10, 10, 40), (40, 12, 12)])
def test_a_turn_shows_all_and_fills_the_frame(tilt_deg, sides):
    rgba = np.zeros((44, 44, 44, 4), np.uint8)
    inner = tuple(slice((44 - side) // 2, (44 + side) // 2) for side in sides)
    rgba[inner] = [200, 160, 120, 255]
    settings = RenderSettings(
        size_px=128, tilt_deg=tilt_deg, alpha_blur_voxels=0.0, background=(0,) * 3
    )
    renderer = OffscreenRenderer(rgba, (1.0, 1.0, 1.0), settings)
    seen = np.zeros((128, 128), bool)
    for eighth in range(8):
        seen |= renderer.frame(45.0 * eighth).max(axis=-1) > 20
    renderer.close()
    rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert min(rows[0], cols[0]) > 0
    assert max(rows[-1], cols[-1]) < 127
    assert max(np.ptp(rows), np.ptp(cols)) > 0.75 * 128


def test_the_same_frame_twice_is_identical(rgba):
    frames = []
    for _ in range(2):
        renderer = OffscreenRenderer(rgba, SPACING_MM, RenderSettings(size_px=64))
        frames += [renderer.frame(30.0), renderer.frame(30.0)]
        renderer.close()
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame, frames[0])


def test_an_empty_volume_is_background_alone():
    renderer = OffscreenRenderer(np.zeros((8, 8, 8, 4), np.uint8), SPACING_MM, FLAT)
    frame = renderer.frame(0.0)
    renderer.close()
    assert np.abs(frame.astype(int) - FLAT.background).max() <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="EGL drivers are chosen by variable on Linux")
def test_without_opengl_there_is_one_line_that_names_the_packages():
    code = (
        "import numpy as np, medcolor\n"
        "from medcolor.render.offscreen import OffscreenRenderer\n"
        "from medcolor.render.settings import RenderSettings\n"
        "empty = np.zeros((4, 4, 4, 4), np.uint8)\n"
        "try: OffscreenRenderer(empty, (1.0, 1.0, 1.0), RenderSettings())\n"
        "except medcolor.RunError as error: print(error)\n"
    )
    no_driver = os.environ | {
        "__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere.json",
        "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=no_driver, capture_output=True, text=True, check=True
    )
    assert "no OpenGL to draw with. On Debian install: libegl1" in done.stdout
