"""glTF 2.0 in one file (GLB): Blender, web viewers, Unity, Windows and macOS previews.

Points stay in millimetres, LPS; the node brings them to what glTF means: metres, y upward, z
forward. Colours of points are linear light there, as the standard says.
https://registry.khronos.org/glTF/specs/2.0
"""

from __future__ import annotations

import json
import struct
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.color import srgb_to_linear
from medcolor.export.surface import Surface

_MAGIC, _JSON, _BINARY = b"glTF", b"JSON", b"BIN\0"
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_POINTS, _INDICES = 34962, 34963
_TO_GLTF = {"rotation": [-(0.5**0.5), 0.0, 0.0, 0.5**0.5], "scale": [0.001, 0.001, 0.001]}


def write_glb(path: Path, surface: Surface) -> None:
    """Write one surface with its normals and colours."""
    mesh = surface.mesh
    linear = np.ones((len(mesh.points), 4), np.float32)
    linear[:, :3] = srgb_to_linear(surface.rgb.astype(np.float32) / 255)
    bounds = {"min": mesh.points.min(axis=0).tolist(), "max": mesh.points.max(axis=0).tolist()}
    parts: list[tuple[np.ndarray, dict[str, Any], int]] = [
        (mesh.points.astype("<f4"), {"type": "VEC3", "componentType": _FLOAT} | bounds, _POINTS),
        (surface.normals.astype("<f4"), {"type": "VEC3", "componentType": _FLOAT}, _POINTS),
        (
            np.rint(linear * 65535).astype("<u2"),
            {"type": "VEC4", "componentType": _UINT16, "normalized": True},
            _POINTS,
        ),
        (
            mesh.triangles.ravel().astype("<u4"),
            {"type": "SCALAR", "componentType": _UINT32},
            _INDICES,
        ),
    ]
    about = json.dumps(_about(surface, parts), separators=(",", ":")).encode()
    about += b" " * (-len(about) % 4)
    size = sum(array.nbytes for array, _, _ in parts)  # each a multiple of four
    with path.open("wb") as file:
        file.write(_MAGIC + struct.pack("<II", 2, 12 + 8 + len(about) + 8 + size))
        file.write(struct.pack("<I", len(about)) + _JSON + about)
        file.write(struct.pack("<I", size) + _BINARY)
        file.writelines(array.tobytes() for array, _, _ in parts)


def _about(surface: Surface, parts: list[tuple[np.ndarray, dict[str, Any], int]]) -> dict[str, Any]:
    """Return the JSON chunk."""
    views, accessors, start = [], [], 0
    for number, (array, kind, target) in enumerate(parts):
        views.append(
            {"buffer": 0, "byteOffset": start, "byteLength": array.nbytes, "target": target}
        )
        accessors.append({"bufferView": number, "count": len(array)} | kind)
        start += array.nbytes
    return {
        "asset": {
            "version": "2.0",
            "generator": f"medcolor {version('medcolor')}",
            "copyright": surface.credit,
            "extras": {"note": "colours are not measured", "points": "mm, LPS"},
        },
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": surface.tissue, "mesh": 0} | _TO_GLTF],
        "meshes": [
            {
                "name": surface.tissue,
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2},
                        "indices": 3,
                        "material": 0,
                    }
                ],
            }
        ],
        "materials": [
            {
                "name": surface.tissue,
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8},
            }
        ],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": start}],
    }
