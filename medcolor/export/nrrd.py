"""NRRD, gzip: 3D Slicer opens it as a vector volume and draws alpha, where it is, as opacity."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from jaxtyping import Float

from medcolor.export.exported import Exported
from medcolor.export.nifti import GZIP_LEVEL

_KINDS = {3: "RGB-color", 4: "RGBA-color"}


def write_nrrd(path: Path, volume: Exported) -> None:
    """Write one file with its header."""
    x, y, z = volume.level.shape[::-1]
    affine = volume.affine_lps
    lines = [
        "NRRD0005",
        "type: uint8",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {volume.channels} {x} {y} {z}",
        "space directions: none " + " ".join(_vector(affine[:3, axis]) for axis in range(3)),
        f"kinds: {_KINDS[volume.channels]} domain domain domain",
        "encoding: gzip",
        f"space origin: {_vector(affine[:3, 3])}",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode())
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as packed:
            for pixels in volume.slices():
                packed.write(pixels.tobytes())


def _vector(values: Float[np.ndarray, " 3"]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"
