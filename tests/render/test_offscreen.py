"""Frames against an independent projection: a ray marcher in numpy."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from medcolor.render.drawn import make_drawn
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.scene import Frame, SceneSettings, camera_of, frames_of
from medcolor.render.tissue import Overview

SIDE_PX = 96
FLAT = SceneSettings(
    light="flat",
    smooth_voxels=0.0,
    exposure=1.0,
    tilt_deg=20.0,
    opacity_points=((0.0, 0.0), (0.12, 0.0), (0.5, 0.25), (1.0, 0.25)),
    samples_per_voxel=3.0,
)
SPACING_MM = (2.0, 1.0, 1.0)


def draw(rgba, scene, *frames, spacing_mm=SPACING_MM, size_px=SIDE_PX):
    """Return frames, and the volume as it was given to the renderer."""
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], Overview.alone(rgba, spacing_mm), scene)
    renderer = OffscreenRenderer(drawn, scene, size_px)
    try:
        return [renderer.frame(frame) for frame in frames], drawn
    finally:
        renderer.close()


@pytest.fixture(scope="module")
def rgba():
    """A smooth blob, red to the patient's right, blue to the left, bright towards the head."""
    z, y, x = np.mgrid[0:20, 0:44, 0:36]
    distance = ((z - 10) / 8) ** 2 + ((y - 22) / 18) ** 2 + ((x - 18) / 12) ** 2
    alpha = gaussian_filter((distance < 1) * 255.0, 1)
    red, blue = 255 * (x < 18), 255 * (x >= 18)
    green = 12 * z
    return np.stack([red, green, blue, alpha], axis=-1).astype(np.uint8)


def march(rgba, spacing_mm, scene, camera, points):
    """Cast rays through the volume, front to back."""
    position, target, up = (
        np.array(one) for one in (camera.position_mm, camera.target_mm, camera.up)
    )
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    upward = np.cross(right, forward)
    plane = np.tan(np.radians(15)) * ((np.arange(SIDE_PX) + 0.5) / SIDE_PX * 2 - 1)
    rays = forward + plane[None, :, None] * right + -plane[:, None, None] * upward
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    step = min(spacing_mm) / scene.samples_per_voxel
    color = np.zeros((SIDE_PX, SIDE_PX, 3))
    light = np.ones((SIDE_PX, SIDE_PX, 1))
    levels, opacities = np.array(points).T
    middle = np.linalg.norm(target - position)
    reach = np.sqrt(((np.array(rgba.shape[:3]) * spacing_mm) ** 2).sum())
    for along in np.arange(max(0, middle - reach), middle + reach, step):
        place = position + along * rays
        index = [place[..., 2] / spacing_mm[0], place[..., 1] / spacing_mm[1], place[..., 0]]
        sample = np.stack(
            [map_coordinates(rgba[..., c] / 255.0, index, order=1) for c in range(4)], axis=-1
        )
        inside = np.all(
            [(i >= 0) & (i <= n - 1) for i, n in zip(index, rgba.shape[:3], strict=True)], axis=0
        )
        opacity = np.interp(sample[..., 3:], levels, opacities) * inside[..., None]
        held = 1 - (1 - opacity) ** step
        color += light * held * sample[..., :3]
        light *= 1 - held
    return 255 * color + light * scene.background


LUMINANCE = SceneSettings(
    light="flat",
    smooth_voxels=0.0,
    exposure=1.0,
    opacity="luminance",
    density=0.4,
    samples_per_voxel=3.0,
)
"""The paper's rule: opacity is proportional to the scan's luminance."""


@pytest.mark.parametrize("scene", [FLAT, LUMINANCE], ids=["points", "luminance"])
@pytest.mark.parametrize(
    ("axis", "angle_deg"), [("longitudinal", 0.0), ("longitudinal", 65.0), ("transverse", 40.0)]
)
def test_a_frame_agrees_with_an_independent_projection(rgba, scene, axis, angle_deg):
    scene = replace(scene, axis=axis)
    ((frame,), drawn) = draw(rgba, scene, Frame(angle_deg))
    points = scene.opacity_points or ((0.0, 0.0), (1.0, 0.4))
    camera = camera_of(Frame(angle_deg), drawn.extent, scene)
    difference = np.abs(frame - march(rgba, SPACING_MM, scene, camera, points))

    assert difference.mean() < 2
    assert np.percentile(difference, 99) < 10


def test_what_draws_is_the_gpu_mapper(rgba):
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], Overview.alone(rgba, SPACING_MM), FLAT)
    renderer = OffscreenRenderer(drawn, FLAT, 64)
    renderer.frame(Frame(0.0))
    volumes = renderer._plotter.renderer.GetVolumes()
    volumes.InitTraversal()
    mapper = volumes.GetNextVolume().GetMapper()
    renderer.close()
    assert mapper.IsA("vtkOpenGLGPUVolumeRayCastMapper")
    assert not mapper.IsA("vtkFixedPointVolumeRayCastMapper")


def test_the_first_frame_looks_at_the_face(rgba):
    ((frame,), _) = draw(rgba, FLAT, Frame(0.0))
    frame = frame.astype(int)
    left, right = frame[:, 30:44].mean(axis=(0, 1)), frame[:, 52:66].mean(axis=(0, 1))
    # The patient's right is at the image's left, the head is up.
    assert left[0] > left[2] + 20
    assert right[2] > right[0] + 20
    assert frame[30:45, 48, 1].mean() > frame[52:66, 48, 1].mean() + 20


@pytest.mark.parametrize(
    ("axis", "tilt_deg"),
    [
        ("longitudinal", -60.0),
        ("longitudinal", 0.0),
        ("longitudinal", 35.0),
        ("transverse", 0.0),
        ("sagittal", 20.0),
    ],
)
@pytest.mark.parametrize("sides", [(10, 10, 40), (40, 12, 12)])
def test_a_turn_shows_all_and_fills_the_frame(axis, tilt_deg, sides):
    rgba = np.zeros((44, 44, 44, 4), np.uint8)
    inner = tuple(slice((44 - side) // 2, (44 + side) // 2) for side in sides)
    rgba[inner] = [200, 160, 120, 255]
    scene = SceneSettings(
        tilt_deg=tilt_deg, axis=axis, smooth_voxels=0.0, background=(0,) * 3, opacity="ramp"
    )
    eighths = [Frame(45.0 * eighth) for eighth in range(8)]
    frames, _ = draw(rgba, scene, *eighths, spacing_mm=(1.0, 1.0, 1.0), size_px=64)
    seen = np.max(frames, axis=(0, -1)) > 20
    rows, cols = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert min(rows[0], cols[0]) > 0
    assert max(rows[-1], cols[-1]) < 63
    assert max(np.ptp(rows), np.ptp(cols)) > 0.7 * 64


def test_a_process_that_has_drawn_may_load_triton_afterwards():
    """Both load LLVM; in the other order that ends the process."""
    code = (
        "from medcolor.render.offscreen import _import_pyvista; _import_pyvista();"
        "import importlib.util;"
        "importlib.util.find_spec('triton') and __import__('triton'); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "alive", done.stderr[-500:]


def test_the_same_frame_twice_is_identical(rgba):
    scene = SceneSettings(opacity="ramp")
    frames = [draw(rgba, scene, Frame(30.0), Frame(30.0), size_px=64)[0] for _ in range(2)]
    for frame in (*frames[0], *frames[1]):
        np.testing.assert_array_equal(frame, frames[0][0])


def test_an_empty_volume_is_background_alone():
    ((frame,), _) = draw(np.zeros((8, 8, 8, 4), np.uint8), FLAT, Frame(0.0))
    assert np.abs(frame.astype(int) - FLAT.background).max() <= 1


def test_a_flight_takes_the_body_away_from_the_head_down(rgba):
    scene = replace(FLAT, path="fly-axial", tilt_deg=0.0, background=(0, 0, 0))
    frames = frames_of(scene, 4)
    pictures, drawn = draw(rgba, scene, *frames)
    heights = [np.flatnonzero(picture.max(axis=(1, 2)) > 20) for picture in pictures]
    for before, after in itertools.pairwise(heights):
        assert after[0] > before[0] + 5  # the top goes
        assert abs(int(after[-1]) - int(before[-1])) <= 2  # the rest stays
    # The first frame is whole again when it is drawn after the last.
    again, _ = draw(rgba, scene, frames[3], frames[0])
    np.testing.assert_array_equal(again[1], pictures[0])
    assert drawn.extent.half_height_mm > 0


def test_a_clip_box_takes_parts_away(rgba):
    scene = replace(FLAT, tilt_deg=0.0, background=(0, 0, 0))
    ((whole,), _) = draw(rgba, scene, Frame(0.0))
    ((half,), _) = draw(rgba, replace(scene, clip_sagittal=(0.0, 0.5)), Frame(0.0))
    # The patient's right is at the left of the picture.
    assert half[:, 54:].max() <= 3
    assert half[:, 30:44].max() > 60
    assert whole[:, 54:66].max() > 60


def test_points_that_show_everything_show_nothing_that_was_cleared(rgba):
    points = ((0.3, 0.5), (1.0, 0.9))  # held on below 0.3, but not at 0
    scene = replace(FLAT, tilt_deg=0.0, background=(0, 0, 0), opacity_points=points)
    ((half,), drawn) = draw(rgba, replace(scene, clip_sagittal=(0.0, 0.5)), Frame(0.0))
    assert half[:, 56:].max() <= 3
    assert half[:, 30:44].max() > 60
    assert drawn.points[0] == (0.0, 0.0)


def test_a_flight_goes_through_what_is_not_clipped(rgba):
    scene = replace(FLAT, path="fly-axial", clip_axial=(0.0, 0.4), background=(0, 0, 0))
    pictures, _ = draw(rgba, scene, *frames_of(scene, 4))
    for before, after in itertools.pairwise(pictures):
        assert (before != after).any()


def test_light_from_the_left_lights_the_left():
    rgba = np.zeros((40, 40, 40, 4), np.uint8)
    z, y, x = np.mgrid[:40, :40, :40] - 19.5
    rgba[...] = 200
    rgba[..., 3] = np.clip(255 * (16 - np.sqrt(x**2 + y**2 + z**2)) / 4, 0, 255)
    scene = SceneSettings(opacity="ramp", light_deg=(60.0, 0.0), background=(0, 0, 0), tilt_deg=0.0)
    ((frame,), _) = draw(rgba, scene, Frame(0.0), spacing_mm=(1.0, 1.0, 1.0))
    columns = frame[40:56].mean(axis=(0, 2))
    assert columns[20:40].mean() > 1.3 * columns[56:76].mean()


@pytest.mark.skipif(sys.platform != "linux", reason="EGL drivers are chosen by variable on Linux")
def test_without_opengl_there_is_one_line_that_names_the_packages():
    code = (
        "import numpy as np, medcolor\n"
        "from medcolor.render.drawn import make_drawn\n"
        "from medcolor.render.offscreen import OffscreenRenderer\n"
        "from medcolor.render.scene import SceneSettings\n"
        "empty, scene = np.zeros((4, 4, 4, 4), np.uint8), SceneSettings(opacity='ramp')\n"
        "from medcolor.render.tissue import Overview\n"
        "overview = Overview.alone(empty, (1.0, 1.0, 1.0))\n"
        "drawn = make_drawn(lambda _: empty, overview, scene)\n"
        "try: OffscreenRenderer(drawn, scene, 64)\n"
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
