"""Scans of given values, and coloured volumes of given colours."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np

from medcolor.domain import GrayVolume, VolumeGeometry
from medcolor.volume.geometry import affine_from_code, as_affine
from medcolor.volume.settings import StoreSettings
from medcolor.volume.store import create_store, write_slab


def write_volume(path: Path, rgb: np.ndarray, spacing_mm: float) -> Path:
    """Write opaque voxels (z, y, x, channel) as colorize would."""
    spacing = (float(spacing_mm),) * 3
    affine = as_affine(affine_from_code("LPS", spacing))
    settings = StoreSettings()
    create_store(path, VolumeGeometry(rgb.shape[:3], spacing, affine), settings, {})
    alpha = np.full((*rgb.shape[:3], 1), 255, np.uint8)
    rgba = np.concatenate([rgb, alpha], axis=-1)
    for start in range(0, len(rgba), settings.slab_slices):
        slab = range(start, min(start + settings.slab_slices, len(rgba)))
        write_slab(path, 0, slab, rgba[slab.start : slab.stop])
    return path


def raw_volume(values: np.ndarray, unit: str = "raw", modality: str = "") -> GrayVolume:
    """Return a scan (z, y, x) of cubic voxels, as a reader would."""
    spacing = (1.0, 1.0, 1.0)
    geometry = VolumeGeometry(values.shape, spacing, as_affine(affine_from_code("LPS", spacing)))
    array = da.from_array(values.astype(np.float32), chunks=(1, -1, -1))
    facts = {"modality": modality} if modality else {}
    return GrayVolume(array, unit, geometry, "made up", (), facts)
