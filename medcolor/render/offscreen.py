"""Ray casting without a screen: VTK's GPU mapper, on a GPU or on Mesa's software driver.

Never the fixed-point mapper, which draws four-component volumes wrong (whole bands
missing, VTK 9.5 and 9.7).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import UInt8

from medcolor.errors import RunError
from medcolor.extras import require
from medcolor.render.drawn import DrawnVolume
from medcolor.render.egl import choose_device
from medcolor.render.light import INTENSITY, REACH, SCATTERING, Mean, Pass, passes_of
from medcolor.render.opacity import Points
from medcolor.render.scene import (
    FIELD_OF_VIEW_DEG,
    Camera,
    Frame,
    Light,
    SceneSettings,
    camera_of,
)

_PACKAGES = "libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libxrender1"


class OffscreenRenderer:
    """Holds one volume on the renderer and draws frames of it."""

    def __init__(self, volume: DrawnVolume, scene: SceneSettings, size_px: int) -> None:
        """Upload a volume.

        Args:
            volume: Made ready for the scene.
            scene: Camera, light, opacity.
            size_px: Side of the square frames.

        Raises:
            RunError: If there is no OpenGL to draw with.
        """
        self._volume, self._scene = volume, scene
        pyvista = _import_pyvista()
        self._plotter = pyvista.Plotter(off_screen=True, window_size=(size_px, size_px))
        self._plotter.set_background(scene.background)
        self._plotter.remove_all_lights()
        self._lamp = pyvista.Light(light_type="camera light")
        self._lamp.focal_point = (0.0, 0.0, 0.0)
        self._plotter.add_light(self._lamp)
        self._size_px = size_px
        self._image = _image(pyvista, volume)
        self._actor = _vtk_volume(self._image, volume, scene)
        self._plotter.renderer.AddVolume(self._actor)
        self._reach_mm = float(np.linalg.norm(np.array(volume.rgba.shape[:3]) * volume.spacing_mm))
        self._whole = volume.rgba[..., 3].copy() if scene.path != "turntable" else None

    def frame(self, frame: Frame, light: Light | None = None) -> UInt8[np.ndarray, "row col 3"]:
        """Draw one frame of the path.

        Args:
            frame: Of the path.
            light: Instead of the scene's.
        """
        if frame.cut is not None:
            self._cut(*frame.cut)
        self._look(camera_of(frame, self._volume.extent, self._scene))
        chosen = light or self._scene.light
        self._shine(chosen)
        passes = passes_of(chosen, self._scene.light_deg, self._scene.passes)
        if chosen != "cinematic":
            return self._drawn(passes[0])
        mean = Mean(self._size_px)
        for one in passes:
            mean.add(self._drawn(one), one.shift_px)
        return mean.picture()

    def _shine(self, light: Light) -> None:
        """Choose how light falls."""
        mapper, is_cinematic = self._actor.GetMapper(), light == "cinematic"
        self._actor.GetProperty().SetShade(int(light != "flat"))
        self._lamp.intensity = INTENSITY if is_cinematic else 1.0
        mapper.SetVolumetricScatteringBlending(SCATTERING if is_cinematic else 0.0)
        mapper.SetGlobalIlluminationReach(REACH if is_cinematic else 0.0)

    def _drawn(self, one: Pass) -> UInt8[np.ndarray, "row col 3"]:
        """Draw once."""
        step_mm = one.step * min(self._volume.spacing_mm) / self._scene.samples_per_voxel
        self._actor.GetMapper().SetSampleDistance(step_mm)
        left, above = np.radians(one.light_deg)
        # Camera's own coordinates: x to the right, y up, z out of the picture, 1 at the camera.
        toward = -np.sin(left) * np.cos(above), np.sin(above), np.cos(left) * np.cos(above)
        self._lamp.position = toward
        moved = (sum(parts) for parts in zip(one.shift_px, one.offset_px, strict=True))
        # In halves of the picture.
        self._plotter.camera.SetWindowCenter(*(2 * part / self._size_px for part in moved))
        self._plotter.render()
        image = self._plotter.screenshot(return_img=True)
        return np.ascontiguousarray(image[..., :3])

    def update(self) -> None:
        """Upload again: the colours of the volume were changed."""
        self._image.GetPointData().GetScalars().Modified()
        self._image.Modified()

    def driver(self) -> str:
        """Return which OpenGL draws."""
        self._plotter.render()
        told = self._plotter.render_window.ReportCapabilities() or ""
        named = [line.partition(":")[2].strip() for line in told.splitlines() if "renderer" in line]
        return named[0] if named else "an unnamed OpenGL driver"

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._plotter.close()

    def _look(self, view: Camera) -> None:
        distance = float(np.linalg.norm(np.subtract(view.position_mm, view.target_mm)))
        camera = self._plotter.camera
        camera.position = view.position_mm
        camera.focal_point = view.target_mm
        camera.up = view.up
        camera.view_angle = FIELD_OF_VIEW_DEG
        near = max(0.01 * distance, distance - self._reach_mm)
        camera.clipping_range = (near, distance + self._reach_mm)

    def _cut(self, axis: int, position: float) -> None:
        """Clear what lies on the near side of a flight's plane."""
        assert self._whole is not None
        alpha = self._volume.rgba[..., 3]
        alpha[:] = self._whole
        side = self._volume.box[axis]
        at = side.start + round(position * (side.stop - side.start))
        cleared = np.moveaxis(alpha, axis, 0)
        if axis == 1:  # from the front back; the others come down from their axis' end
            cleared[:at] = 0
        else:
            cleared[at:] = 0
        self.update()


def _import_pyvista() -> Any:
    """Import PyVista so that it draws without a screen on Linux."""
    require("render", "rendering", "drawing")
    if sys.platform == "linux":
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        choose_device()
        # Mesa and Triton bring an LLVM each. Loaded after the other's, Triton's ends the process:
        # one that draws and then colours would die of it. In this order both work.
        with suppress(ImportError):
            import triton  # noqa: F401
    try:
        import pyvista
    except ImportError as error:
        raise RunError(
            "rendering", f"VTK does not load ({error})", f"On Debian install: {_PACKAGES}"
        ) from error
    _check_opengl()
    return pyvista


def _check_opengl() -> None:
    """Open a context of eight pixels, and say so if nothing can draw: VTK itself would crash."""
    from vtkmodules import vtkRenderingOpenGL2  # noqa: F401  registers the drawing windows
    from vtkmodules.vtkRenderingCore import vtkRenderWindow

    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(8, 8)
    window.Initialize()
    is_ready = window.GetInitialized()
    window.Finalize()
    if not is_ready:
        raise RunError("rendering", "no OpenGL to draw with", f"On Debian install: {_PACKAGES}")


def _image(pyvista: Any, volume: DrawnVolume) -> Any:
    """Return VTK's view of the voxels; they are not copied."""
    image = pyvista.ImageData(
        dimensions=volume.rgba.shape[2::-1],
        spacing=volume.spacing_mm[::-1],
        origin=tuple(-side for side in volume.spacing_mm[::-1]),
    )
    image.point_data["rgba"] = volume.rgba.reshape(-1, 4)
    image.set_active_scalars("rgba")
    return image


def _vtk_volume(image: Any, drawn: DrawnVolume, scene: SceneSettings) -> Any:
    """Return the VTK volume: colours direct, opacity by the fourth channel."""
    from vtkmodules.vtkRenderingCore import vtkVolume, vtkVolumeProperty
    from vtkmodules.vtkRenderingVolumeOpenGL2 import vtkOpenGLGPUVolumeRayCastMapper

    mapper = vtkOpenGLGPUVolumeRayCastMapper()
    mapper.SetInputData(image)
    mapper.SetBlendModeToComposite()
    mapper.AutoAdjustSampleDistancesOff()
    mapper.UseJitteringOn()
    properties = vtkVolumeProperty()
    # Before the first drawing: the flag decides how the texture is made.
    properties.IndependentComponentsOff()
    properties.SetScalarOpacity(_opacity(drawn.points))
    properties.SetScalarOpacityUnitDistance(1.0)
    properties.SetInterpolationTypeToLinear()
    properties.SetAmbient(scene.ambient)
    properties.SetDiffuse(scene.diffuse)
    properties.SetSpecular(scene.specular)
    properties.SetSpecularPower(scene.specular_power)
    volume = vtkVolume()
    volume.SetMapper(mapper)
    volume.SetProperty(properties)
    return volume


def _opacity(points: Points) -> Any:
    from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction

    function = vtkPiecewiseFunction()
    for level, opacity in points:
        function.AddPoint(255 * level, opacity)
    return function
