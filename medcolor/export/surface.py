"""The surface of a tissue, coloured: what scenes show of it, as triangles in millimetres.

The surface lies where a smooth field is one half: of the skin where half of a voxel is air, of the
others where scenes show half of them (180 HU of bone). Its colours are those that scenes give to
the rim: of the solid voxels below, since a voxel that is half air is dark.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.ndimage import gaussian_filter, map_coordinates

from medcolor.domain import GreyLevels
from medcolor.errors import InputError
from medcolor.export.mesh import Mesh, decimated, normals_of, surface_of
from medcolor.export.options import Tissue
from medcolor.progress import ProgressReport
from medcolor.render.drawn import ReadSlices, halo_voxels, make_drawn, part_slices
from medcolor.render.scene import SceneSettings
from medcolor.render.tissue import AIR, Overview, visibility

_log = logging.getLogger(__name__)

_BORDER_HU, _LEAST_BORDER = -500.0, 0.03
"""Half way between air and flesh, and the display gray from which it can be told from air."""

_SOLID_DEPTH_VOXELS = 2.0
"""Depth below the skin, in voxels of the overview, from which all is solid: what is hollow in there
is seen from nowhere."""


@dataclass(frozen=True)
class Surface:
    """A closed surface."""

    mesh: Mesh
    """In mm, LPS."""

    normals: Float32[np.ndarray, "point 3"]
    """Outward."""

    rgb: UInt8[np.ndarray, "point 3"]
    """SRGB."""

    tissue: Tissue
    credit: str
    """Whose photographs the colours come from."""


@dataclass(frozen=True)
class SurfaceSource:
    """A level of a volume of which surfaces are made."""

    read: ReadSlices
    overview: Overview
    affine_lps: Float[np.ndarray, "4 4"]
    """Voxel index (x, y, z, 1) to mm in LPS."""

    levels: GreyLevels | None
    """What alpha says of the scan."""

    credit: str
    place: str
    """What an error names."""


def make_surface(
    source: SurfaceSource, tissue: Tissue, most: int | None, progress: ProgressReport
) -> Surface:
    """Find the surface of a tissue and colour it.

    Args:
        source: What of.
        tissue: As scenes know it.
        most: Triangles; None: all that there are.
        progress: Told the slices.

    Raises:
        InputError: The volume shows nothing of the tissue, or alpha does not tell it.
    """
    if tissue == "bone" and source.levels is not None and not source.levels.is_alpha:
        raise InputError(
            source.place,
            "bone is told by the scan's gray levels, and alpha of this volume is not one of them",
            "Colour with opacity.base=luminance, or choose another tissue",
        )
    if tissue == "bone" and (source.levels is None or source.levels.unit != "HU"):
        _log.warning(
            "%s: not in Hounsfield units: what is brightest is taken for bone, which in MRI is fat",
            source.place,
        )
    scene = SceneSettings(opacity=tissue, exposure=1.0)
    colors = make_drawn(source.read, source.overview, scene, source.levels, source.place).rgba
    closed_affine = source.affine_lps.copy()
    closed_affine[:3, 3] -= source.affine_lps[:3, :3].sum(axis=1)  # its layer of clear voxels
    mesh = surface_of(closed_field(source, tissue, scene, progress), 0.5, closed_affine)
    if mesh is None:
        raise InputError(source.place, f"shows no {tissue}", "Choose another tissue")
    mesh = mesh if most is None else decimated(mesh, most)
    rgb = _colors_at(mesh, colors, closed_affine)
    return Surface(mesh, normals_of(mesh), rgb, tissue, source.credit)


def closed_field(
    source: SurfaceSource, tissue: Tissue, scene: SceneSettings, progress: ProgressReport
) -> Float32[np.ndarray, "z2 y2 x2"]:
    """Return how much of each voxel is the tissue, 0..1, within a layer of voxels that are not."""
    overview = source.overview
    depth = overview.shape[0]
    closed = np.zeros([side + 2 for side in overview.shape], np.float32)
    # Blurred as scenes blur opacity: without it every slice would be a step.
    halo, step = halo_voxels(scene, overview.drawn_mm), part_slices(overview.shape)
    progress.begin("surface", depth)
    for start in range(0, depth, step):
        stop = min(start + step, depth)
        around = range(max(0, start - halo), min(stop + halo, depth))
        solid = _solid(source, tissue, around)
        smooth = gaussian_filter(solid, scene.smooth_voxels, mode="nearest")
        inner = slice(start - around.start, stop - around.start)
        closed[1 + start : 1 + stop, 1:-1, 1:-1] = smooth[inner]
        progress.advance(stop - start)
    return closed


def border_of_body(levels: GreyLevels | None) -> float:
    """Return the display gray, above 0, at which half of a voxel is body: by the kind of scan.

    Windows for soft tissue show black what is half air; in MRI flesh is some four times as bright
    as `render.tissue` lets the body begin.
    """
    if levels is None or levels.unit != "HU" or not levels.is_alpha:
        return AIR
    gray = (_BORDER_HU - levels.black) / (levels.white - levels.black)
    return min(max(gray, _LEAST_BORDER), 0.5)


def _solid(source: SurfaceSource, tissue: Tissue, slices: range) -> Float32[np.ndarray, "z y x"]:
    """Return the field before it is smoothed; half way up at the border of the tissue."""
    rgba, depth_mm = source.read(slices), source.overview.depth_of(slices)
    if tissue == "bone":
        return visibility(tissue, rgba, depth_mm, source.levels)
    body = np.minimum(rgba[..., 3] / np.float32(2 * 255 * border_of_body(source.levels)), 1)
    if tissue == "skin":
        hollow = _SOLID_DEPTH_VOXELS * max(source.overview.spacing_mm)
        return np.asarray(np.where(depth_mm > hollow, 1, body), np.float32)
    return np.asarray(np.minimum(body, visibility(tissue, rgba, depth_mm, source.levels)))


def _colors_at(
    mesh: Mesh, colors: UInt8[np.ndarray, "z y x 4"], affine: Float[np.ndarray, "4 4"]
) -> UInt8[np.ndarray, "point 3"]:
    """Return the colours at the points, linearly between voxels."""
    places = (mesh.points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    sampled = [
        map_coordinates(colors[..., channel], places.T[::-1], np.float32, order=1, mode="nearest")
        for channel in range(3)
    ]
    return np.asarray(np.rint(np.stack(sampled, axis=-1)), np.uint8)
