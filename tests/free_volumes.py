"""Small coloured volumes to turn freely: whose sides and layers differ in colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medcolor.domain import GreyLevels, VolumeGeometry
from medcolor.render.free_volume import FreeVolume, make_free_volume
from medcolor.render.scene import SceneSettings
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, read_about, read_levels, write_slab

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 180, 30), (40, 60, 220), (230, 200, 110)
MR = GreyLevels(0.0, 1.0, "raw", is_alpha=True)
CT = GreyLevels(-1000.0, 2000.0, "HU", is_alpha=True)


def write_rgba(
    path: Path,
    rgba: np.ndarray,
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0),
    levels: GreyLevels = MR,
    smallest_side: int = 128,
) -> Path:
    """Write voxels (z, y, x, RGBA) and the coarser levels down to `smallest_side`."""
    affine = np.array(affine_from_code("LPS", spacing_mm))
    affine[:3, 3] = 11.0, -7.0, 5.0
    size = min(16, *rgba.shape[:3])
    settings = StoreSettings(slab_slices=size, chunk=(size,) * 3, smallest_side=smallest_side)
    geometry = VolumeGeometry(rgba.shape[:3], spacing_mm, as_affine(affine))
    for level in create_store(path, geometry, settings, {}, levels):
        for number in range(level.slab_count(size)):
            slices = level.slab(number, size)
            made = (
                coarse_slab(path, level, slices)
                if level.index
                else rgba[slices.start : slices.stop]
            )
            write_slab(path, level.index, slices, made)
    return path


def four_quarters() -> np.ndarray:
    """Return a block: red front, green back; from the middle up blue in front, yellow behind."""
    rgba = np.zeros((40, 40, 40, 4), np.uint8)
    block = rgba[6:34, 6:34, 6:34]
    block[:14, :14, :, :3], block[:14, 14:, :, :3] = RED, GREEN
    block[14:, :14, :, :3], block[14:, 14:, :, :3] = BLUE, YELLOW
    block[..., 3] = 200
    return rgba


def layered() -> np.ndarray:
    """Return a block of fat around flesh: yellow for 14 mm, red below."""
    rgba = np.zeros((40, 40, 40, 4), np.uint8)
    rgba[4:36, 4:36, 4:36] = (*YELLOW, 200)
    rgba[11:29, 11:29, 11:29] = (*RED, 200)
    return rgba


def free_volume(
    path: Path, scene: SceneSettings | None = None, most_bytes: int = 10**7
) -> FreeVolume | None:
    """Return what a page would hold of a volume."""
    about = read_about(path)
    return make_free_volume(path, read_levels(path), about, scene or SceneSettings(), most_bytes)
