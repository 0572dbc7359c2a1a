"""What is shown and from where: settings of the scene, and the camera of every frame.

World coordinates are millimetres in LPS: x to the patient's left, y to posterior, z to
the head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from medcolor.render.opacity import PRESETS, Points
from medcolor.settings import Settings

FIELD_OF_VIEW_DEG = 30.0
_MARGIN = 0.04

CameraPath = Literal["turntable", "fly-axial", "fly-coronal", "fly-sagittal"]
Light = Literal["studio", "cinematic", "flat"]
Axis = Literal["longitudinal", "transverse", "sagittal"]

# Of each axis: along it, from the centre to the camera at 0 degrees, and at 90 (x, y, z).
_FRAMES = {
    "longitudinal": ((0, 0, 1), (0, -1, 0), (1, 0, 0)),
    "transverse": ((1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "sagittal": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
}
# Array axis (z, y, x) along which each flight's plane moves, and whether it moves downward there:
# from the head to the feet, from front to back, from the patient's left to the right.
_FLIGHTS = {"fly-axial": (0, True), "fly-coronal": (1, False), "fly-sagittal": (2, True)}


@dataclass(frozen=True, kw_only=True)
class SceneSettings(Settings):
    """Camera path, light, opacity, clipping."""

    path: CameraPath = "turntable"
    """turntable: the camera goes round. fly-axial, fly-coronal, fly-sagittal: it stands still, and
    a plane cuts the body away from the head down, from the front back, from left to right."""

    axis: Axis = "longitudinal"
    """What the camera goes round: longitudinal (feet to head), transverse (right to left),
    sagittal (back to front)."""

    start_deg: float = 0.0
    """Angle of the first frame. About the longitudinal axis 0 looks at the face, 90 at the
    patient's left side."""

    sweep_deg: float = 360.0
    """How far the camera goes; less than a full turn ends at its last frame."""

    tilt_deg: float = 10.0
    """How far the camera stands above the plane of its turn, -80..80: it looks down on the body."""

    zoom: float = 1.0
    """1 fills the frame with the body; 2 shows half of it, twice as large."""

    opacity: str = "skin"
    """What is visible. By colour, grey level and depth: skin (all), muscle (no superficial fat),
    organs (nothing superficial, and no bone in CT), bone (CT). luminance: the scan's grey level
    (the paper). ramp: all but what is dark. CT-Bone, CT-Muscle and others: 3D Slicer's presets,
    where the scan's window holds them; `docs/scenes.md` shows them."""

    opacity_points: tuple[tuple[float, float], ...] | None = None
    """Instead of `opacity`: pairs of grey level (0..1) and opacity of a millimetre (0..1),
    rising in grey level; in between it is linear. Grey level 0 is never visible."""

    density: float = 1.0
    """Multiplies all opacities: less is more transparent."""

    smooth_voxels: float = 1.2
    """Gaussian blur of opacity before drawing (standard deviation): shading follows its
    gradient and would show rings of voxels without it."""

    light: Light = "studio"
    """studio: a lamp shades surfaces. cinematic: light is scattered in the body and shadows are
    cast, as in photographs; about 2.5 times the time. flat: colours as they are."""

    passes: int = 4
    """Drawings of which a cinematic frame is the mean: more are smoother and take longer."""

    light_deg: tuple[float, float] = (20.0, 25.0)
    """Where light comes from, seen from the camera: to its left and above it; (0, 0) is the
    camera's own lamp. Cinematic light comes from a disc around that place."""

    ambient: float = 0.5
    """Share of light that comes from everywhere."""

    diffuse: float = 1.0
    """Share of light that surfaces scatter."""

    specular: float = 0.12
    """Share of light that surfaces mirror."""

    specular_power: float = 14.0
    """How sharp the highlights are."""

    exposure: float | None = None
    """Brightens dark colours before light falls on them, as a photographer would: the largest v of
    red, green and blue, 0..1, becomes 1 - (1 - v)^exposure, and the others keep their ratio to it.
    1 leaves them alone. Unset: so that the surface of what is visible is well lit."""

    background: tuple[int, int, int] = (16, 17, 20)
    """sRGB, 0..255, around the body."""

    clip_axial: tuple[float, float] = (0.0, 1.0)
    """Part that is shown, from the feet (0) to the head (1) of what is visible. The camera stands
    where it would without; see `zoom`."""

    clip_coronal: tuple[float, float] = (0.0, 1.0)
    """From the front (0) to the back (1)."""

    clip_sagittal: tuple[float, float] = (0.0, 1.0)
    """From the patient's right (0) to the left (1)."""

    cut_out: tuple[tuple[float, float], tuple[float, float], tuple[float, float]] | None = None
    """A block taken out of the visible body: its parts from the feet (0) to the head (1), from the
    front to the back, from the patient's right to the left."""

    samples_per_voxel: float = 2.0
    """Samples of a ray along the shortest side of a voxel."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not all(math.isfinite(value) for value in _numbers(astuple(self))):
            raise ValueError("a number that is not finite")
        if not -80 <= self.tilt_deg <= 80:
            raise ValueError("tilt_deg must lie in -80..80")
        if not 0 < abs(self.sweep_deg) <= 360:
            raise ValueError("sweep_deg must lie in -360..360, and not be 0")
        if not 0.1 <= self.zoom <= 20:
            raise ValueError("zoom must lie in 0.1..20")
        if self.opacity not in PRESETS:
            raise ValueError(f"opacity must be one of {', '.join(PRESETS)}")
        if self.opacity_points is not None:
            _check_points(self.opacity_points)
        clips = self.clip_axial, self.clip_coronal, self.clip_sagittal
        if not all(0 <= low < high <= 1 for low, high in (*clips, *(self.cut_out or ()))):
            raise ValueError("clip_*, cut_out: low < high must lie in 0..1")
        if not 1 <= self.passes <= 64:
            raise ValueError("passes must lie in 1..64")
        if min(self.density, self.samples_per_voxel, self.specular_power) <= 0:
            raise ValueError("density, samples_per_voxel and specular_power must be > 0")
        if self.exposure is not None and self.exposure <= 0:
            raise ValueError("exposure must be > 0")
        if min(self.ambient, self.diffuse, self.specular) < 0 or not 0 <= self.smooth_voxels <= 5:
            raise ValueError("ambient, diffuse, specular must be >= 0, smooth_voxels lie in 0..5")
        if not all(0 <= channel <= 255 for channel in self.background):
            raise ValueError("background must be sRGB, 0..255")


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, (int, float)):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _numbers(one)


def _check_points(points: Points) -> None:
    greys = [grey for grey, _ in points]
    if len(points) < 2 or greys != sorted(set(greys)) or not 0 <= greys[0] <= greys[-1] <= 1:
        raise ValueError("opacity_points need two or more grey levels, rising, 0..1")
    if not all(0 <= opacity <= 1 for _, opacity in points):
        raise ValueError("opacity_points need opacities 0..1")
    if not any(opacity > 0 for _, opacity in points):
        raise ValueError("opacity_points show nothing")


@dataclass(frozen=True)
class Extent:
    """The cylinder about the axis of the turn around all that is visible, in mm."""

    center_mm: tuple[float, float, float]
    """(x, y, z)."""

    radius_mm: float
    half_height_mm: float


@dataclass(frozen=True)
class Camera:
    """Where the camera of one frame stands, in mm (x, y, z)."""

    position_mm: tuple[float, float, float]
    target_mm: tuple[float, float, float]
    up: tuple[float, float, float]


@dataclass(frozen=True)
class Frame:
    """One picture of the path."""

    angle_deg: float
    cut: tuple[int, float] | None = None
    """Array axis (z, y, x) of a flight's plane, and where it stands: 0 at that axis' start, 1 at
    its end; what lies before it is cut away."""


def frames_of(scene: SceneSettings, count: int) -> tuple[Frame, ...]:
    """Return the frames of the path, evenly spread; a full turn does not repeat its first."""
    if scene.path == "turntable":
        steps = count if abs(scene.sweep_deg) == 360 else max(1, count - 1)
        return tuple(
            Frame((scene.start_deg + scene.sweep_deg * number / steps) % 360)
            for number in range(count)
        )
    axis, is_downward = _FLIGHTS[scene.path]
    return tuple(
        Frame(scene.start_deg, (axis, 1 - part if is_downward else part))
        for part in (number / count for number in range(count))
    )


def is_loop(scene: SceneSettings) -> bool:
    """Tell whether the first frame follows the last."""
    return scene.path == "turntable" and abs(scene.sweep_deg) == 360


def extent_of(
    shadows: tuple[Bool[np.ndarray, "y x"], Bool[np.ndarray, "z x"], Bool[np.ndarray, "z y"]],
    spacing_mm: tuple[float, float, float],
    axis: Axis,
) -> Extent:
    """Return the cylinder that a turn about its axis shows from everywhere.

    Args:
        shadows: Whether anything is visible along z, along y, along x; all of them if nothing is.
        spacing_mm: Along (z, y, x).
        axis: Of the turn.
    """
    along = {"longitudinal": 0, "sagittal": 1, "transverse": 2}[axis]
    across = [other for other in range(3) if other != along]
    shadow = shadows[along]
    other = shadows[across[0]]  # seen along another axis it shows the height
    # Of the two axes that are left in `other`, the one along the turn's is dropped last.
    left = [one for one in range(3) if one != across[0]]
    height = other.any(axis=1 - left.index(along))
    sides = np.array(spacing_mm)
    places = np.argwhere(shadow) * sides[across]
    low, high = places.min(axis=0), places.max(axis=0)
    rows = np.flatnonzero(height) * sides[along]
    center = np.empty(3)
    center[across], center[along] = (low + high) / 2, (rows[0] + rows[-1]) / 2
    # Half a voxel more: voxels have a size too.
    radius = np.linalg.norm(places - (low + high) / 2, axis=1).max() + max(spacing_mm) / 2
    half_height = (rows[-1] - rows[0] + sides[along]) / 2
    z, y, x = (float(value) for value in center)
    return Extent((x, y, z), float(radius), float(half_height))


def camera_of(frame: Frame, extent: Extent, scene: SceneSettings) -> Camera:
    """Return the camera of a frame."""
    along, front, side = (np.array(vector, float) for vector in _FRAMES[scene.axis])
    angle, tilt = np.radians([frame.angle_deg, scene.tilt_deg])
    outward = np.cos(angle) * front + np.sin(angle) * side
    toward = np.cos(tilt) * outward + np.sin(tilt) * along
    # About the body's own axis it stays upright; about others the picture turns with the camera.
    tangent = np.cos(angle) * side - np.sin(angle) * front
    up = along if scene.axis == "longitudinal" else tangent
    center = np.array(extent.center_mm)
    distance = distance_mm(extent, float(tilt)) / scene.zoom
    return Camera(_three(center + distance * toward), extent.center_mm, _three(up))


def _three(vector: Float[np.ndarray, " 3"]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def distance_mm(extent: Extent, tilt: float) -> float:
    """Return the distance from which the whole cylinder fills the view.

    Args:
        extent: The cylinder.
        tilt: How far the camera stands above its equator, in radians.
    """
    radius, half_height = extent.radius_mm, extent.half_height_mm
    half_angle = np.radians(FIELD_OF_VIEW_DEG / 2)
    rise, run = abs(np.sin(tilt)), np.cos(tilt)
    # The near and the far rims, above and below; then the sides.
    rims = [
        near * radius * run
        + up * half_height * rise
        + abs(up * half_height * run - near * radius * rise) / np.tan(half_angle)
        for near in (-1, 1)
        for up in (-1, 1)
    ]
    sides = radius / np.sin(half_angle) + half_height * rise
    return float((1 + _MARGIN) * max(*rims, sides))
