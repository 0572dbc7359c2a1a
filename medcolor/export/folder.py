"""Folders of numbered slices, and what tells those that were exported from all others."""

from __future__ import annotations

import re
from pathlib import Path

import cv2

from medcolor.export.exported import Exported
from medcolor.storage import read_object, write_json

_GEOMETRY = "geometry.json"
_SLICE = re.compile(r"\d{5}\.(png|dcm)")


def write_png_folder(path: Path, volume: Exported) -> None:
    """Write numbered PNG slices, feet first, and where they lie."""
    path.mkdir()
    for z, pixels in enumerate(volume.slices()):
        bgr = pixels[..., [2, 1, 0, *range(3, volume.channels)]]
        (path / f"{z:05d}.png").write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
    write_geometry(path, volume, alpha="straight" if volume.channels == 4 else "none")


def write_geometry(path: Path, volume: Exported, *, alpha: str) -> None:
    """Write where the slices of a folder lie; the folder is known by it as an export."""
    about = {
        "affine_ras_mm": volume.affine.tolist(),
        "spacing_mm_zyx": volume.level.spacing_mm,
        "orientation": "LPS",
        "alpha": alpha,
    }
    write_json(path / _GEOMETRY, about)


def holds_export_alone(folder: Path) -> bool:
    """Tell a folder of numbered slices and their geometry, or an empty one, from all others."""
    there = [*folder.iterdir()]
    slices = [one for one in there if _SLICE.fullmatch(one.name) and one.is_file()]
    is_export = "affine_ras_mm" in (read_object(folder / _GEOMETRY) or {})
    return not there or (is_export and len(slices) == len(there) - 1)
