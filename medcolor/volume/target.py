"""The scan as the method sees it: one slice at a time, windowed, masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from medcolor.body import body_mask, fill_holes, resize, resize_mask, square_shape
from medcolor.domain import OUTSIDE, GrayVolume, TargetSlice
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.window import Window, find_window


class TargetReader:
    """Reads slices of an open scan."""

    def __init__(self, volume: GrayVolume, window: Window, settings: VolumeSettings) -> None:
        """Keep the scan open."""
        self._volume, self._window, self._settings = volume, window, settings

    @classmethod
    def open(
        cls, path: Path, window: Window, settings: VolumeSettings, staging: Path
    ) -> TargetReader:
        """Open a scan whose window is known."""
        return cls(open_volume(path, settings, staging), window, settings)

    @classmethod
    def finding_window(
        cls, volume: GrayVolume, settings: VolumeSettings, equalization: float
    ) -> TargetReader:
        """Read an open scan through the window that a run would find for it."""
        return cls(volume, find_window(volume, settings, equalization), settings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self._volume.geometry.shape

    def __call__(self, z: int) -> TargetSlice:
        """Read slice `z`."""
        values = read_slice(self._volume, z, self._settings)
        position = self._window.position(values)
        luminance, pixel = np.clip(position, 0, 1), self._volume.geometry.pixel
        # Shape decides what is body and what a table: it is looked at in square pixels.
        shape = square_shape(position.shape, pixel)
        outline = body_mask(resize(position, shape), threshold=self._window.body_threshold)
        # Inside a body, a value of padding is air that happens to have it.
        scanned = fill_holes(values != OUTSIDE)
        return TargetSlice(
            luminance=luminance,
            matched_luminance=self._window.matched(luminance),
            body=resize_mask(outline, position.shape) & scanned,
            z=z,
            values=values,
            pixel=pixel,
            outline=outline & resize_mask(scanned, shape),
        )

    def luminance(self, z: int) -> Float[np.ndarray, "row col"]:
        """Read the display grey of slice `z`, 0..1, and nothing else."""
        position = self._window.position(read_slice(self._volume, z, self._settings))
        return np.asarray(np.clip(position, 0, 1), np.float32)
