"""PLY, binary: MeshLab, 3D Slicer, 3-D printers. In millimetres, LPS; colours are sRGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medcolor.export.surface import Surface

_POINT = np.dtype([("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)])
_TRIANGLE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


def write_ply(path: Path, surface: Surface) -> None:
    """Write one surface with its normals and colours."""
    mesh = surface.mesh
    points = np.empty(len(mesh.points), _POINT)
    points["xyz"], points["normal"], points["rgb"] = mesh.points, surface.normals, surface.rgb
    triangles = np.empty(len(mesh.triangles), _TRIANGLE)
    triangles["count"], triangles["corners"] = 3, mesh.triangles
    credit = [f"comment {line}" for line in surface.credit.splitlines() if line.strip()]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {surface.tissue}; millimetres; colours are not measured",
        *credit,
        "comment SPACE=LPS",  # 3D Slicer looks for it
        f"element vertex {len(points)}",
        *(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
        f"element face {len(triangles)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n").encode())
        file.write(points.tobytes())
        file.write(triangles.tobytes())
