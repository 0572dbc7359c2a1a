"""What drawing costs beside VTK, on two renderers, and within a memory budget.

    python jobs/bench_render.py [loop] [light] [two] [budget] [--side 1024]      by default all

- loop: frames a second of the product's renderer and of a bare VTK loop with the same volume, light
  and cameras, in turn within one run. PNG encoding is left out on both sides.
- light: processor time of frames in cinematic light against those in studio light.
- two: the frames of a set by one and by two renderers of one thread each (LP_NUM_THREADS=1), as
  actors on Ray, volume and OpenGL loaded on both sides.
- budget: a cube of 1024 voxels a side, drawn within 1500 MB: which level is taken, and the largest
  resident memory of the process that draws.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray

from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.render.drawn import DrawnVolume, make_drawn
from medcolor.render.frames import FrameTask, FrameWorker, plan_set
from medcolor.render.offscreen import OffscreenRenderer
from medcolor.render.scene import FIELD_OF_VIEW_DEG, Light, SceneSettings, camera_of, frames_of
from medcolor.render.settings import RenderSettings
from medcolor.render.tissue import Overview
from medcolor.run.ray_pool import RayRunner
from medcolor.run.tasks import run_all
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, write_slab

_SIDE_PX = 512
_ROUNDS = 3
_SPACING_MM = (1.0, 1.0, 1.0)


def ball(side: int, slices: range) -> np.ndarray:
    """Return slices of a ball of shells in several colours."""
    z, y, x = np.ogrid[slices.start : slices.stop, :side, :side]
    radius = np.sqrt(
        ((z - side / 2) ** 2 + (y - side / 2) ** 2 + (x - side / 2) ** 2).astype(np.float32)
    ) / (side / 2)
    rgba = np.empty((*radius.shape, 4), np.uint8)
    for channel, rate in enumerate((9, 14, 21)):
        rgba[..., channel] = 150 + 90 * np.sin(rate * radius)
    rgba[..., 3] = np.clip(255 * 8 * (0.9 - radius), 0, 255)
    return rgba


def write_ball(path: Path, side: int) -> None:
    """Write it as a coloured volume with its pyramid."""
    geometry = VolumeGeometry(
        (side,) * 3, _SPACING_MM, as_affine(affine_from_code("LPS", _SPACING_MM))
    )
    settings = StoreSettings(compression_level=1)
    grey = GreyLevels(0.0, 1.0, "raw", is_alpha=True)
    for level in create_store(path, geometry, settings, {}, grey):
        for number in range(level.slab_count(settings.slab_slices)):
            slices = level.slab(number, settings.slab_slices)
            rgba = ball(side, slices) if level.index == 0 else coarse_slab(path, level, slices)
            write_slab(path, level.index, slices, rgba)


class BareLoop:
    """VTK alone, set up as the product sets it up."""

    def __init__(self, drawn: DrawnVolume, scene: SceneSettings) -> None:
        """Upload."""
        from vtkmodules.util.numpy_support import numpy_to_vtk
        from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPiecewiseFunction
        from vtkmodules.vtkRenderingCore import (
            vtkLight,
            vtkRenderer,
            vtkRenderWindow,
            vtkVolume,
            vtkVolumeProperty,
        )
        from vtkmodules.vtkRenderingVolumeOpenGL2 import vtkOpenGLGPUVolumeRayCastMapper

        image = vtkImageData()
        image.SetDimensions(*drawn.rgba.shape[2::-1])
        image.SetSpacing(*drawn.spacing_mm[::-1])
        image.SetOrigin(*(-side for side in drawn.spacing_mm[::-1]))
        wrap: Any = numpy_to_vtk
        image.GetPointData().SetScalars(wrap(drawn.rgba.reshape(-1, 4)))
        mapper = vtkOpenGLGPUVolumeRayCastMapper()
        mapper.SetInputData(image)
        mapper.AutoAdjustSampleDistancesOff()
        mapper.SetSampleDistance(min(drawn.spacing_mm) / scene.samples_per_voxel)
        mapper.UseJitteringOn()
        opacity = vtkPiecewiseFunction()
        for level, value in drawn.points:
            opacity.AddPoint(255 * level, value)
        look = vtkVolumeProperty()
        look.IndependentComponentsOff()
        look.SetScalarOpacity(opacity)
        look.SetScalarOpacityUnitDistance(1.0)
        look.SetInterpolationTypeToLinear()
        look.ShadeOn()
        look.SetAmbient(scene.ambient)
        look.SetDiffuse(scene.diffuse)
        look.SetSpecular(scene.specular)
        look.SetSpecularPower(scene.specular_power)
        volume = vtkVolume()
        volume.SetMapper(mapper)
        volume.SetProperty(look)
        self._renderer = vtkRenderer()
        self._renderer.AddVolume(volume)
        lamp = vtkLight()
        lamp.SetLightTypeToCameraLight()
        self._renderer.AddLight(lamp)
        self._window = vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetSize(_SIDE_PX, _SIDE_PX)
        self._window.AddRenderer(self._renderer)
        self._drawn, self._scene = drawn, scene

    def frame(self, frame: Any) -> np.ndarray:
        """Draw and read back."""
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

        view = camera_of(frame, self._drawn.extent, self._scene)
        camera = self._renderer.GetActiveCamera()
        camera.SetPosition(*view.position_mm)
        camera.SetFocalPoint(*view.target_mm)
        camera.SetViewUp(*view.up)
        camera.SetViewAngle(FIELD_OF_VIEW_DEG)
        self._renderer.ResetCameraClippingRange()
        self._window.Render()
        pixels: Any = vtkUnsignedCharArray()
        last = _SIDE_PX - 1
        window: Any = self._window  # VTK's types know another form of the call alone
        window.GetRGBACharPixelData(0, 0, last, last, 1, pixels, 0)
        read: Any = vtk_to_numpy
        return np.asarray(read(pixels).reshape(_SIDE_PX, _SIDE_PX, 4)[::-1, :, :3])


def bench_loop() -> None:
    """Draw alternately."""
    scene = SceneSettings(opacity="ramp")
    rgba = ball(256, range(256))
    overview = Overview.alone(rgba, _SPACING_MM)
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], overview, scene)
    ours, bare = OffscreenRenderer(drawn, scene, _SIDE_PX), BareLoop(drawn, scene)
    frames = frames_of(scene, 6)
    seconds = {"medcolor": 0.0, "bare VTK": 0.0}
    pairs: list[tuple[str, Any]] = [("medcolor", ours), ("bare VTK", bare)]
    for name, loop in pairs:
        loop.frame(frames[0])  # textures and shaders are made by the first frame
        print(f"{name} draws")
    for number in range(_ROUNDS * len(frames)):
        for name, loop in pairs[:: 1 if number % 2 else -1]:
            begin = time.perf_counter()
            loop.frame(frames[number % len(frames)])
            seconds[name] += time.perf_counter() - begin
    rates = {name: _ROUNDS * len(frames) / total for name, total in seconds.items()}
    print(
        f"256^3 at {_SIDE_PX} px, shaded: medcolor {rates['medcolor']:.2f} frames/s, bare VTK "
        f"{rates['bare VTK']:.2f}, ratio {rates['medcolor'] / rates['bare VTK']:.3f}"
    )


def bench_light() -> None:
    """Draw alternately in both lights."""
    scene = SceneSettings(opacity="ramp")
    rgba = ball(256, range(256))
    drawn = make_drawn(lambda z: rgba[z.start : z.stop], Overview.alone(rgba, _SPACING_MM), scene)
    renderer = OffscreenRenderer(drawn, scene, _SIDE_PX)
    lights: tuple[Light, Light] = ("studio", "cinematic")
    seconds = dict.fromkeys(lights, 0.0)
    for number, frame in enumerate((*frames_of(scene, 1), *frames_of(scene, 6))):
        for light in lights:
            begin = time.process_time()  # Mesa draws with this process's threads
            renderer.frame(frame, light)
            if number:  # shaders are made by the first frames
                seconds[light] += time.process_time() - begin
    print(
        f"256^3 at {_SIDE_PX} px, {scene.passes} passes: cinematic "
        f"{seconds['cinematic'] / seconds['studio']:.2f} times studio"
    )


def bench_two(folder: Path) -> None:
    """Draw one set by one and by two renderers of a thread each."""
    os.environ["LP_NUM_THREADS"] = "1"
    volume = folder / "ball-128.ome.zarr"
    write_ball(volume, 128)
    settings = RenderSettings(frames=24, size_px=_SIDE_PX, grey=False)
    plan = plan_set(volume, folder / "pictures", SceneSettings(opacity="ramp"), settings, 1)
    tasks = [FrameTask("frames", number) for number in range(settings.frames)]
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200_000_000,
        logging_level=logging.WARNING,
    )
    seconds = {}
    for count in (1, 2):
        runner = RayRunner("auto", count)

        def draw(runner: RayRunner = runner) -> float:
            begin = time.perf_counter()
            run_all(runner, lambda: FrameWorker(plan), tasks, lambda _: None, "bench")
            return time.perf_counter() - begin

        draw()  # the first round loads volume and OpenGL
        seconds[count] = min(draw() for _ in range(2))
    ray.shutdown()
    print(
        f"{settings.frames} frames: one renderer {seconds[1]:.1f} s, two {seconds[2]:.1f} s, "
        f"{seconds[1] / seconds[2]:.2f} times as fast"
    )


def bench_budget(folder: Path, side: int) -> None:
    """Draw a cube that is larger than the budget by the command, and measure its process."""
    volume = folder / f"ball-{side}.ome.zarr"
    begin = time.perf_counter()
    write_ball(volume, side)
    print(f"{side}^3 written in {time.perf_counter() - begin:.0f} s")
    command = [sys.executable, "-m", "medcolor", "render", str(volume), str(folder / "p")]
    limits = ["render.memory_mb=1500", "render.longest_side=100000", "render.frames=2"]
    done = subprocess.run(
        [*command, *(word for limit in limits for word in ("--set", limit))],
        capture_output=True,
        text=True,
        check=False,
    )
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(*(line for line in done.stderr.splitlines() if "level" in line), sep="\n")
    print(f"status {done.returncode}, largest resident memory {peak_mb:.0f} MB of 1500")


def main() -> None:
    """Run what is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", help="loop, light, two, budget")
    parser.add_argument("--side", type=int, default=1024)
    chosen = parser.parse_args()
    parts = chosen.parts or ["loop", "light", "two", "budget"]
    with tempfile.TemporaryDirectory() as name:
        if "budget" in parts:  # first: children that were measured before would count
            bench_budget(Path(name), chosen.side)
        if "loop" in parts:
            bench_loop()
        if "light" in parts:
            bench_light()
        if "two" in parts:
            bench_two(Path(name))


if __name__ == "__main__":
    main()
