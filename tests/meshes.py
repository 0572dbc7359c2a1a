"""Reads PLY and GLB by their specifications, knowing nothing of who wrote them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PLY = {"float": "<f4", "uchar": "u1"}
_COMPONENTS = {5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COUNTS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True)
class Read:
    points: np.ndarray
    """In mm, LPS."""

    normals: np.ndarray
    rgb: np.ndarray
    """SRGB, 0..255."""

    triangles: np.ndarray
    words: str
    """What the file says beside."""


def read_ply(path: Path) -> Read:
    content = path.read_bytes()
    head, _, body = content.partition(b"end_header\n")
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    counts = {line.split()[1]: int(line.split()[2]) for line in lines if line[:7] == "element"}
    fields = [line.split() for line in lines if line[:8] == "property"]
    point = np.dtype([(name, _PLY[kind]) for _, kind, name in fields[:-1]])
    assert fields[-1] == ["property", "list", "uchar", "int", "vertex_indices"]
    triangle = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
    points = np.frombuffer(body, point, counts["vertex"])
    triangles = np.frombuffer(body, triangle, counts["face"], points.nbytes)
    assert len(body) == points.nbytes + triangles.nbytes
    assert (triangles["count"] == 3).all()

    def columns(*names: str) -> np.ndarray:
        return np.stack([points[name] for name in names], axis=-1)

    return Read(
        columns("x", "y", "z"),
        columns("nx", "ny", "nz"),
        columns("red", "green", "blue").astype(float),
        triangles["corners"],
        head.decode(),
    )


def read_glb(path: Path) -> Read:
    """Read a file of one node, and bring it from metres, y up, z forward, back to mm in LPS."""
    content = path.read_bytes()
    magic, version, size, length, kind = struct.unpack("<4sIII4s", content[:20])
    assert (magic, version, size, kind) == (b"glTF", 2, len(content), b"JSON")
    assert length % 4 == 0
    about = json.loads(content[20 : 20 + length])
    start = 20 + length
    binary_length, kind = struct.unpack("<I4s", content[start : start + 8])
    binary = content[start + 8 :]
    assert (kind, binary_length) == (b"BIN\0", len(binary))
    assert about["buffers"] == [{"byteLength": len(binary)}]

    def accessor(number: int) -> np.ndarray:
        one = about["accessors"][number]
        view = about["bufferViews"][one["bufferView"]]
        dtype = np.dtype(_COMPONENTS[one["componentType"]])
        width = _COUNTS[one["type"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == one["count"] * width * dtype.itemsize
        values = np.frombuffer(binary, dtype, one["count"] * width, view["byteOffset"])
        found = values.reshape(-1, width)
        for bound, value in (("min", found.min(axis=0)), ("max", found.max(axis=0))):
            if bound in one:
                np.testing.assert_allclose(one[bound], value, rtol=1e-6)
        return found / 65535 if one.get("normalized") else found

    (node,) = about["nodes"]
    ((primitive,),) = (mesh["primitives"] for mesh in about["meshes"])
    names = primitive["attributes"]
    assert {"min", "max"} <= about["accessors"][names["POSITION"]].keys()
    turn = _rotation(node["rotation"])
    points = accessor(names["POSITION"]) * node["scale"] @ turn.T
    x, y, z = 1000 * points.T
    linear = accessor(names["COLOR_0"])[:, :3]
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    nx, ny, nz = (accessor(names["NORMAL"]) @ turn.T).T
    return Read(
        np.stack([x, -z, y], axis=-1),
        np.stack([nx, -nz, ny], axis=-1),
        255 * srgb,
        accessor(primitive["indices"]).reshape(-1, 3),
        json.dumps(about),
    )


def _rotation(quaternion: list[float]) -> np.ndarray:
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
