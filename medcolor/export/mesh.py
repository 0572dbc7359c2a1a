"""Closed surfaces of triangles: found in a field, rid of specks, made of fewer triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int32
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

_SMALLEST_PART = 0.005
"""Of the triangles of the largest part, from which another one is kept: hands are, specks not."""


@dataclass(frozen=True)
class Mesh:
    """Triangles that share their corners; seen from outside, corners run counterclockwise."""

    points: Float32[np.ndarray, "point 3"]
    triangles: Int32[np.ndarray, "triangle 3"]


def surface_of(
    closed: Float32[np.ndarray, "z y x"], level: float, affine: Float[np.ndarray, "4 4"]
) -> Mesh | None:
    """Return the closed surface around what lies above a level, without specks.

    Args:
        closed: A field that is below `level` in all its outermost voxels.
        level: Of the surface; between voxels the field is linear.
        affine: Index (x, y, z, 1) of `closed` to the coordinates of the points.

    Returns:
        None if nothing lies above the level.
    """
    if not closed.max() > level:
        return None
    places, triangles, _, _ = marching_cubes(closed, level, allow_degenerate=False)
    points = places[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
    mesh = Mesh(np.asarray(points, np.float32), np.asarray(triangles, np.int32))
    if signed_volume(mesh) < 0:
        mesh = Mesh(mesh.points, np.ascontiguousarray(mesh.triangles[:, ::-1]))
    return _without_specks(mesh)


def signed_volume(mesh: Mesh) -> float:
    """Return the volume of a closed surface; below 0 if its triangles look inward."""
    corners = (mesh.points - mesh.points.mean(axis=0)).astype(np.float64)[mesh.triangles]
    return float(np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def normals_of(mesh: Mesh) -> Float32[np.ndarray, "point 3"]:
    """Return the unit normal at every point: the mean of its triangles', weighted by their area."""
    corners = mesh.points[mesh.triangles]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((len(mesh.points), 3))
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(
                mesh.triangles[:, corner], areas[:, axis], minlength=len(total)
            )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(
        np.where(length > 0, total / np.maximum(length, 1e-30), [0, 0, 1]), np.float32
    )


def decimated(mesh: Mesh, most: int) -> Mesh:
    """Return a mesh of at most so many triangles, where they are needed least (VTK's quadrics).

    Raises:
        ImportError: VTK is not installed: the extra `render`.
    """
    if len(mesh.triangles) <= most:
        return mesh
    import pyvista

    faces = np.column_stack([np.full(len(mesh.triangles), 3), mesh.triangles]).ravel()
    whole = pyvista.PolyData(mesh.points, faces)
    fewer = whole.decimate(1 - most / len(mesh.triangles), volume_preservation=True)
    return Mesh(
        np.asarray(fewer.points, np.float32),
        np.asarray(fewer.faces.reshape(-1, 4)[:, 1:], np.int32),
    )


def _without_specks(mesh: Mesh) -> Mesh:
    """Return the parts of a mesh that are not much smaller than the largest one."""
    count = len(mesh.points)
    first, second = mesh.triangles[:, 0], mesh.triangles[:, 1:]
    edges = np.concatenate([first, first]), second.T.ravel()
    linked = coo_array((np.ones(len(edges[0]), np.int8), edges), shape=(count, count))
    part_of = connected_components(linked, directed=False)[1]
    of_triangle = part_of[first]
    sizes = np.bincount(of_triangle, minlength=part_of.max() + 1)
    is_kept = sizes >= _SMALLEST_PART * sizes.max()
    if is_kept.all():
        return mesh
    points = is_kept[part_of]
    renumbered = np.cumsum(points, dtype=np.int32) - 1
    return Mesh(mesh.points[points], renumbered[mesh.triangles[is_kept[of_triangle]]])
