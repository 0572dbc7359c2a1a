"""The scan as the method sees it: one slice at a time, windowed, masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from medcolor.body import body_mask, fill_holes
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
        values = self._scanned(z)
        position = self._window.position(values)
        luminance = np.clip(position, 0, 1)
        body = body_mask(position, threshold=self._window.body_threshold)
        return TargetSlice(
            luminance=luminance,
            matched_luminance=self._window.matched(luminance),
            # Inside a body, a value of padding is air that happens to have it.
            body=body & fill_holes(values != OUTSIDE),
            z=z,
            values=values,
        )

    def luminance(self, z: int) -> Float[np.ndarray, "row col"]:
        """Read the display grey of slice `z`, 0..1, and nothing else."""
        position = self._window.position(self._scanned(z))
        return np.asarray(np.clip(position, 0, 1), np.float32)

    def _scanned(self, z: int) -> Float[np.ndarray, "row col"]:
        """Read the values of slice `z`, `OUTSIDE` where nothing was scanned."""
        return self._window.scanned(read_slice(self._volume, z, self._settings))
