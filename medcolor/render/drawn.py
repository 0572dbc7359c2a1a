"""A level of a coloured volume made ready for drawing: smooth opacity, colours up to its rim.

Made a few slices at a time, so that what it takes beside the result does not grow with the volume.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import gaussian_filter, maximum_filter1d

from medcolor.domain import GreyLevels
from medcolor.errors import InputError
from medcolor.render.clip import Block, clear, part_of
from medcolor.render.opacity import TISSUES, Points, points_of, thinned, within_greys
from medcolor.render.scene import Extent, SceneSettings, extent_of
from medcolor.render.tissue import Overview, bone_levels, visibility

_VOXELS, _FEWEST = 2_000_000, 8
"""Made ready at a time, but no fewer slices: each part has others above and below beside it."""

_RIM_MM = 2.0
"""Depth below the invisible to which voxels take the colours of those around; one voxel at least,
_WIDEST at most."""

_WIDEST = 2
_RIM_REACH = 2.5
"""Standard deviations, as wide as the rim each, from which they take them."""

_REACH = 4.0
"""Standard deviations to which a blur reaches."""

_LIT, _LIT_PERCENTILE = 0.8, 60.0
"""Brightness, 0..1, that this percentile of the surface is given."""

_MOST_EXPOSED = 3.0

_SOLID = 0.7
"""Of the largest opacity, from which a voxel counts as solid."""

_LEAST_VISIBLE = 0.02
"""Opacity of a millimetre from which a voxel counts as visible: what frames are fitted to."""

ReadSlices = Callable[[range], UInt8[np.ndarray, "z y x 4"]]


@dataclass(frozen=True)
class DrawnVolume:
    """What the renderer is given."""

    rgba: UInt8[np.ndarray, "z y x 4"]
    """Colours, and what opacity depends on, within a layer of clear voxels: where the scan ends,
    its cut face is lit like a surface."""

    spacing_mm: tuple[float, float, float]
    """Along (z, y, x)."""

    points: Points
    """Opacity of a millimetre over the fourth channel, 0..1."""

    extent: Extent
    box: Block
    """Of what is visible and not clipped, in `rgba`."""

    exposure: float
    """By which colours were brightened."""


def make_drawn(
    read: ReadSlices,
    overview: Overview,
    scene: SceneSettings,
    levels: GreyLevels | None = None,
    place: str = "the volume",
    *,
    grey: bool = False,
    out: UInt8[np.ndarray, "z y x 4"] | None = None,
) -> DrawnVolume:
    """Make a volume ready.

    Args:
        read: Gives slices of the level that is drawn: sRGB, straight alpha.
        overview: The same volume, coarse; it knows how large the level is.
        scene: Opacity, smoothing, clipping.
        levels: What alpha says of the scan.
        place: What an error names.
        grey: Show the scan, which alpha is, instead of its colours; the same is visible.
        out: Where to write it: voxels that were made ready before.

    Raises:
        InputError: The opacity does not suit the volume.
    """
    shape, spacing_mm = overview.shape, overview.drawn_mm
    tissue = scene.opacity if scene.opacity_points is None and scene.opacity in TISSUES else None
    points = points_for(scene, levels, place)
    opacities = opacities_of(points)
    least = _least_visible(opacities)
    is_surface = (opacities > 0.05 * opacities.max()) & (opacities < _SOLID * opacities.max())
    counts = np.zeros(256)
    closed = np.zeros((*(side + 2 for side in shape), 4), np.uint8) if out is None else out
    rim = _rim_voxels(spacing_mm)
    solid = float(np.flatnonzero(opacities >= _SOLID * opacities.max())[0])
    halo = halo_voxels(scene, spacing_mm)
    z, y, x = shape
    shadows = np.zeros((y, x), bool), np.zeros((z, x), bool), np.zeros((z, y), bool)
    step = part_slices(shape)
    for start in range(0, z, step):
        wanted = range(start, min(start + step, z))
        around = range(max(0, start - halo), min(wanted.stop + halo, shape[0]))
        rgba = read(around)
        shown = rgba[..., 3].astype(np.float32)
        if tissue is not None:
            deep = overview.depth_of(around)
            shown *= visibility(tissue, rgba, deep, levels)
        if grey:
            rgba[..., :3] = rgba[..., 3:]
        inner = slice(wanted.start - around.start, wanted.stop - around.start)
        made = _smoothed(rgba, shown, scene.smooth_voxels, (255 * least, solid), rim, inner)
        surface = is_surface[made[..., 3]]
        counts += np.bincount(made[..., :3].max(axis=-1)[surface], minlength=256)
        closed[1 + wanted.start : 1 + wanted.stop, 1:-1, 1:-1] = made
        visible = made[..., 3] > 255 * least
        shadows[0][visible.any(axis=0)] = True
        shadows[1][wanted.start : wanted.stop] = visible.any(axis=1)
        shadows[2][wanted.start : wanted.stop] = visible.any(axis=2)
    exposure = scene.exposure or _exposure(counts)
    for part in closed:
        part[..., :3] = exposed(part[..., :3], exposure)
    box = _box(shadows)
    kept = part_of(box, (scene.clip_axial, scene.clip_coronal, scene.clip_sagittal))
    clear(closed, box, kept, part_of(box, scene.cut_out) if scene.cut_out else None)
    if not shadows[0].any():
        for shadow in shadows:
            shadow[:] = True
    extent = extent_of(shadows, spacing_mm, scene.axis)
    return DrawnVolume(closed, spacing_mm, points, extent, kept, exposure)


def _rim_voxels(spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Return the width of the border along each axis: none where voxels are much thicker."""
    finest = min(spacing_mm)
    wide = max(_RIM_MM, finest)
    z, y, x = (min(_WIDEST, round(wide / side)) for side in spacing_mm)
    return z, y, x


def halo_voxels(scene: SceneSettings, spacing_mm: tuple[float, float, float]) -> int:
    """Return how many slices above and below are needed to make a slice ready."""
    rim = _rim_voxels(spacing_mm)[0]
    return math.ceil(max(_REACH * scene.smooth_voxels, rim + _RIM_REACH * rim))


def part_slices(shape: tuple[int, int, int]) -> int:
    """Return how many slices are made ready at a time."""
    return max(_FEWEST, _VOXELS // (shape[1] * shape[2]))


def points_for(scene: SceneSettings, levels: GreyLevels | None, place: str) -> Points:
    """Return the opacity of a millimetre over the fourth channel of what is drawn.

    Raises:
        InputError: The opacity does not suit the volume.
    """
    if scene.opacity_points is not None:
        return thinned(within_greys(scene.opacity_points), scene.density)
    if scene.opacity == "bone" and bone_levels(levels)[0] >= 1:
        raise InputError(
            place,
            "opacity bone shows what the window of the volume cuts off",
            "Colour through a wider window (volume.window=bone), or choose another opacity",
        )
    name = "ramp" if scene.opacity in TISSUES else scene.opacity
    return thinned(points_of(name, levels, place), scene.density)


def opacities_of(points: Points) -> Float[np.ndarray, " 256"]:
    """Return the opacity of a millimetre of every level."""
    return np.asarray(np.interp(np.arange(256) / 255, *np.array(points).T), np.float64)


def _exposure(counts: Float[np.ndarray, " 256"]) -> float:
    """Return the exposure at which a surface is well lit.

    Args:
        counts: Of its voxels by the largest of red, green and blue.
    """
    if not counts.any():
        return 1.0
    share = np.cumsum(counts) / counts.sum()
    largest = np.searchsorted(share, _LIT_PERCENTILE / 100) / 255
    found = np.log(1 - _LIT) / np.log(1 - np.clip(largest, 0.01, 0.99))
    return float(np.clip(found, 1.0, _MOST_EXPOSED))


def exposed(rgb: UInt8[np.ndarray, "*grid 3"], exposure: float) -> UInt8[np.ndarray, "*grid 3"]:
    """Return brighter colours; see `SceneSettings.exposure`."""
    if exposure == 1:
        return rgb
    largest = np.maximum(np.arange(256), 1) / 255
    gain = ((1 - (1 - largest) ** exposure) / largest).astype(np.float32)
    return np.asarray(np.rint(rgb * gain[rgb.max(axis=-1, keepdims=True)]), np.uint8)


def _least_visible(opacities: Float[np.ndarray, " 256"]) -> float:
    """Return the level, 0..1, above which something shows."""
    shown = np.flatnonzero(opacities > _LEAST_VISIBLE)
    return float(max(0, shown[0] - 1) / 255) if len(shown) else 0.0


def _smoothed(
    rgba: UInt8[np.ndarray, "z y x 4"],
    shown: Float[np.ndarray, "z y x"],
    sigma_voxels: float,
    from_to: tuple[float, float],
    rim_voxels: tuple[int, int, int],
    inner: slice,
) -> UInt8[np.ndarray, "inner y x 4"]:
    """Blur what opacity depends on, and give what borders on the invisible solid colours.

    The outermost voxels are half air, or half of a tissue that is not shown, and their colours
    with them: they take those of the more solid voxels around.

    Args:
        rgba: Slices, and those around.
        shown: What opacity depends on, 0..255.
        sigma_voxels: Of the blur.
        from_to: Of `shown`: above the first something is visible, from the second on it is solid.
        rim_voxels: Width of the border along (z, y, x).
        inner: Which slices to return.
    """
    result = rgba[inner].copy()
    if sigma_voxels == 0:
        result[..., 3] = np.rint(shown[inner])
        return result
    blurred = gaussian_filter(shown, sigma_voxels, truncate=_REACH)[inner]
    result[..., 3] = np.rint(np.clip(blurred, 0, 255))
    least, enough = from_to
    near = shown <= least
    for axis, width in enumerate(rim_voxels):
        if width:
            near = maximum_filter1d(near, 2 * width + 1, axis)
    rim = near[inner] & (blurred > 0)
    sigma = tuple(float(width) for width in rim_voxels)
    # No more than solid: what is denser below must not show through.
    solid = np.minimum(shown / enough, 1) ** 2
    total = np.maximum(gaussian_filter(solid, sigma, truncate=_RIM_REACH)[inner], 1e-6)[rim]
    for channel in range(3):
        colors = gaussian_filter(rgba[..., channel] * solid, sigma, truncate=_RIM_REACH)[inner]
        result[..., channel][rim] = np.rint(np.clip(colors[rim] / total, 0, 255))
    return result


def _box(shadows: tuple[Bool[np.ndarray, "_row _col"], ...]) -> Block:
    """Return the box of the visible, counted in the closed volume; all of it if nothing is."""

    def span(seen: Bool[np.ndarray, " side"]) -> slice:
        at = np.flatnonzero(seen)
        return slice(1 + int(at[0]), 2 + int(at[-1])) if len(at) else slice(1, 1 + len(seen))

    sides = shadows[1].any(axis=1), shadows[0].any(axis=1), shadows[0].any(axis=0)
    z, y, x = (span(np.asarray(side)) for side in sides)
    return z, y, x
