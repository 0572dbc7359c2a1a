"""Ray casting without a screen: VTK's GPU mapper, on a GPU or on Mesa's software driver.

Never the fixed-point mapper, which draws four-component volumes wrong (whole bands
missing, VTK 9.5 and 9.7). World coordinates are millimetres in LPS: x to the
patient's left, y to posterior, z to the head.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from medcolor.errors import RunError
from medcolor.render.settings import RenderSettings

if TYPE_CHECKING:
    pass

_PACKAGES = "libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libxrender1"
_FIELD_OF_VIEW_DEG = 30.0


class OffscreenRenderer:
    """Holds one volume on the renderer and draws frames of it."""

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
        self._center, self._radius_mm = _visible_sphere(rgba, spacing_mm, settings.opacity_low)
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
        distance = self._radius_mm / np.sin(np.radians(_FIELD_OF_VIEW_DEG / 2))
        camera = self._plotter.camera
        camera.position = tuple(self._center + distance * toward_camera)
        camera.focal_point = tuple(self._center)
        camera.up = (0.0, 0.0, 1.0)
        camera.view_angle = _FIELD_OF_VIEW_DEG
        near = max(0.01 * distance, distance - self._reach_mm)
        camera.clipping_range = (near, distance + self._reach_mm)
        self._plotter.render()
        return np.ascontiguousarray(self._plotter.screenshot(return_img=True)[..., :3])

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


def _visible_sphere(
    rgba: UInt8[np.ndarray, "z y x 4"], spacing_mm: tuple[float, float, float], opacity_low: float
) -> tuple[Float[np.ndarray, " 3"], float]:
    """Return centre (x, y, z) and radius in mm of the sphere around all that can be seen."""
    visible = rgba[..., 3] > 255 * opacity_low
    bounds = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        shown = np.flatnonzero(visible.any(axis=others))
        ends = (shown[0], shown[-1]) if len(shown) else (0, visible.shape[axis] - 1)
        bounds.append(np.array(ends) * spacing_mm[axis])
    low, high = np.array(bounds).T
    # A voxel more: a single one has a size too.
    radius_mm = float(np.linalg.norm(high - low)) / 2 + max(spacing_mm)
    return ((low + high) / 2)[::-1], radius_mm


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
    properties.SetAmbient(0.35)
    properties.SetDiffuse(0.75)
    properties.SetSpecular(0.12)
    properties.SetSpecularPower(12)
    volume = vtkVolume()
    volume.SetMapper(mapper)
    volume.SetProperty(properties)
    return volume
