"""Ray casting without a screen: VTK's GPU mapper, on a GPU or on Mesa's software driver.

Never the fixed-point mapper, which draws four-component volumes wrong (whole bands
missing, VTK 9.5 and 9.7). World coordinates are millimetres in LPS: x to the
patient's left, y to posterior, z to the head.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from medcolor.errors import RunError
from medcolor.render.settings import RenderSettings

_PACKAGES = "libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libxrender1"
_FIELD_OF_VIEW_DEG = 30.0
_MARGIN = 0.04


class OffscreenRenderer:
    """Holds one volume on the renderer and draws frames of it.

    The camera turns about `center_mm` (x, y, z) at `distance_mm`.
    """

    def __init__(
        self,
        rgba: UInt8[np.ndarray, "z y x 4"],
        spacing_mm: tuple[float, float, float],
        settings: RenderSettings,
    ) -> None:
        """Upload a volume.

        Args:
            rgba: sRGB with straight alpha.
            spacing_mm: Along (z, y, x).
            settings: Camera, light, opacity.

        Raises:
            RunError: If there is no OpenGL to draw with.
        """
        self._settings = settings
        pyvista = _import_pyvista()
        side = settings.size_px
        self._plotter = pyvista.Plotter(off_screen=True, window_size=(side, side))
        self._plotter.set_background(settings.background)
        blurred = _blur_alpha(rgba, settings.alpha_blur_voxels)
        self._plotter.renderer.AddVolume(_volume(pyvista, blurred, spacing_mm, settings))
        self.center_mm, radius_mm, half_height_mm = _visible_cylinder(
            rgba, spacing_mm, settings.opacity_low
        )
        self.distance_mm = _camera_distance_mm(
            radius_mm, half_height_mm, float(np.radians(settings.tilt_deg))
        )
        self._reach_mm = float(np.linalg.norm(np.array(rgba.shape[:3]) * spacing_mm))

    def frame(self, azimuth_deg: float) -> UInt8[np.ndarray, "row col 3"]:
        """Draw one view.

        Args:
            azimuth_deg: 0 looks at the face; grows toward the patient's left side.
        """
        azimuth, tilt = np.radians([azimuth_deg, self._settings.tilt_deg])
        toward_camera = np.array(
            [np.sin(azimuth) * np.cos(tilt), -np.cos(azimuth) * np.cos(tilt), np.sin(tilt)]
        )
        distance = self.distance_mm
        camera = self._plotter.camera
        camera.position = tuple(self.center_mm + distance * toward_camera)
        camera.focal_point = tuple(self.center_mm)
        camera.up = (0.0, 0.0, 1.0)
        camera.view_angle = _FIELD_OF_VIEW_DEG
        near = max(0.01 * distance, distance - self._reach_mm)
        camera.clipping_range = (near, distance + self._reach_mm)
        self._plotter.render()
        return np.ascontiguousarray(self._plotter.screenshot(return_img=True)[..., :3])

    def driver(self) -> str:
        """Return which OpenGL draws."""
        self._plotter.render()
        told = self._plotter.render_window.ReportCapabilities() or ""
        named = [line.partition(":")[2].strip() for line in told.splitlines() if "renderer" in line]
        return named[0] if named else "an unnamed OpenGL driver"

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._plotter.close()


def _import_pyvista() -> Any:
    """Import PyVista so that it draws without a screen on Linux."""
    if sys.platform == "linux":
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
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


def _visible_cylinder(
    rgba: UInt8[np.ndarray, "z y x 4"], spacing_mm: tuple[float, float, float], opacity_low: float
) -> tuple[Float[np.ndarray, " 3"], float, float]:
    """Return centre (x, y, z), radius and half height of the upright cylinder around the visible.

    In mm. A turn about its axis shows the same extent from everywhere.
    """
    visible = rgba[..., 3] > 255 * opacity_low
    if not visible.any():
        visible = np.ones_like(visible)
    heights_mm = np.flatnonzero(visible.any(axis=(1, 2))) * spacing_mm[0]
    places_mm = np.argwhere(visible.any(axis=0)) * spacing_mm[1:]
    low, high = places_mm.min(axis=0), places_mm.max(axis=0)
    middle = (low + high) / 2
    # Half a voxel more: voxels have a size too.
    radius_mm = np.linalg.norm(places_mm - middle, axis=1).max() + max(spacing_mm) / 2
    half_height_mm = (heights_mm[-1] - heights_mm[0] + spacing_mm[0]) / 2
    center = np.array([middle[1], middle[0], (heights_mm[0] + heights_mm[-1]) / 2])
    return center, float(radius_mm), float(half_height_mm)


def _camera_distance_mm(radius_mm: float, half_height_mm: float, tilt: float) -> float:
    """Return the distance from which a whole upright cylinder fills the view.

    Args:
        radius_mm: Of the cylinder.
        half_height_mm: Of the cylinder.
        tilt: How far the camera looks down, in radians.
    """
    half_angle = np.radians(_FIELD_OF_VIEW_DEG / 2)
    rise, run = abs(np.sin(tilt)), np.cos(tilt)
    # The near and the far rims, above and below; then the sides.
    rims = [
        near * radius_mm * run
        + up * half_height_mm * rise
        + abs(up * half_height_mm * run - near * radius_mm * rise) / np.tan(half_angle)
        for near in (-1, 1)
        for up in (-1, 1)
    ]
    sides = radius_mm / np.sin(half_angle) + half_height_mm * rise
    return float((1 + _MARGIN) * max(*rims, sides))


def _blur_alpha(
    rgba: UInt8[np.ndarray, "z y x 4"], sigma_voxels: float
) -> UInt8[np.ndarray, "z y x 4"]:
    """Blur alpha alone, and spread colours into the rim that it gains."""
    if sigma_voxels == 0:
        return rgba
    weight = (rgba[..., 3] > 0).astype(np.float32)
    spread = np.maximum(gaussian_filter(weight, sigma_voxels), 1e-6)
    result = rgba.copy()
    empty = weight == 0
    for channel in range(3):
        color = gaussian_filter(rgba[..., channel] * weight, sigma_voxels)
        result[..., channel][empty] = np.clip(color / spread, 0, 255)[empty]
    result[..., 3] = np.rint(gaussian_filter(rgba[..., 3].astype(np.float32), sigma_voxels))
    return result


def _volume(
    pyvista: Any,
    rgba: UInt8[np.ndarray, "z y x 4"],
    spacing_mm: tuple[float, float, float],
    settings: RenderSettings,
) -> Any:
    """Return the VTK volume: colours direct, opacity from alpha through a ramp."""
    from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction
    from vtkmodules.vtkRenderingCore import vtkVolume, vtkVolumeProperty
    from vtkmodules.vtkRenderingVolumeOpenGL2 import vtkOpenGLGPUVolumeRayCastMapper

    # A layer of clear voxels around it: where the scan ends, its cut face is lit like a surface.
    closed = np.pad(rgba, ((1, 1), (1, 1), (1, 1), (0, 0)), mode="edge")
    closed[[0, -1], ..., 3] = closed[:, [0, -1], :, 3] = closed[:, :, [0, -1], 3] = 0
    image = pyvista.ImageData(
        dimensions=closed.shape[2::-1],
        spacing=spacing_mm[::-1],
        origin=tuple(-side for side in spacing_mm[::-1]),
    )
    image.point_data["rgba"] = closed.reshape(-1, 4)
    image.set_active_scalars("rgba")
    mapper = vtkOpenGLGPUVolumeRayCastMapper()
    mapper.SetInputData(image)
    mapper.SetBlendModeToComposite()
    mapper.AutoAdjustSampleDistancesOff()
    mapper.SetSampleDistance(min(spacing_mm) / settings.samples_per_voxel)
    mapper.UseJitteringOn()

    opacity = vtkPiecewiseFunction()
    opacity.AddPoint(0, 0)
    opacity.AddPoint(255 * settings.opacity_low, 0)
    opacity.AddPoint(255 * settings.opacity_high, settings.opacity_per_mm)
    opacity.AddPoint(255, settings.opacity_per_mm)
    properties = vtkVolumeProperty()
    # Before the first drawing: the flag decides how the texture is made.
    properties.IndependentComponentsOff()
    properties.SetScalarOpacity(opacity)
    properties.SetScalarOpacityUnitDistance(1.0)
    properties.SetInterpolationTypeToLinear()
    properties.SetShade(int(settings.shade))
    properties.SetAmbient(0.45)
    properties.SetDiffuse(0.95)
    properties.SetSpecular(0.12)
    properties.SetSpecularPower(12)
    volume = vtkVolume()
    volume.SetMapper(mapper)
    volume.SetProperty(properties)
    return volume
