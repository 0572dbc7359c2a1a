"""The scan as the method sees it: one slice at a time, windowed, masked."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from medcolor.body import fill_holes, resize, resize_mask, square_shape
from medcolor.domain import OUTSIDE, GrayVolume, TargetSlice
from medcolor.volume.body_mask import body_mask
from medcolor.volume.open import read_slice
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.surroundings import EVERYTHING, Surroundings, find_surroundings
from medcolor.volume.window import Window, find_window, sampled_slices

_SLICES_FOR_SURROUNDINGS = 24


class TargetReader:
    """Reads slices of an open scan."""

    def __init__(
        self,
        volume: GrayVolume,
        window: Window,
        surroundings: Surroundings,
        settings: VolumeSettings,
    ) -> None:
        """Keep the scan open."""
        self._volume, self._settings = volume, settings
        self.window, self.surroundings = window, surroundings

    @classmethod
    def finding(
        cls, volume: GrayVolume, settings: VolumeSettings, equalization: float
    ) -> TargetReader:
        """Read an open scan as a run would: through its window, and with what is around its body.

        Raises:
            InputError: If the volume is of one value throughout.
        """
        window = find_window(volume, settings, equalization)
        return cls(volume, window, look_around(volume, window, settings), settings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self._volume.geometry.shape

    def __call__(self, z: int) -> TargetSlice:
        """Read slice `z`."""
        values = self._scanned(z)
        position = self.window.position(values)
        luminance, pixel = np.clip(position, 0, 1), self._volume.geometry.pixel
        # Shape decides what is body and what a table: it is looked at in square pixels.
        shape = square_shape(position.shape, pixel)
        outline = body_mask(resize(position, shape), self.surroundings)
        # Inside a body, a value of padding is air that happens to have it.
        scanned = fill_holes(values != OUTSIDE)
        return TargetSlice(
            luminance=luminance,
            matched_luminance=self.window.matched(luminance),
            body=resize_mask(outline, position.shape) & scanned,
            z=z,
            values=values,
            pixel=pixel,
            outline=outline & resize_mask(scanned, shape),
        )

    def luminance(self, z: int) -> Float[np.ndarray, "row col"]:
        """Read the display grey of slice `z`, 0..1, and nothing else."""
        position = self.window.position(self._scanned(z))
        return np.asarray(np.clip(position, 0, 1), np.float32)

    def _scanned(self, z: int) -> Float[np.ndarray, "row col"]:
        """Read the values of slice `z`, `OUTSIDE` where nothing was scanned."""
        return self.window.scanned(read_slice(self._volume, z, self._settings))


def look_around(volume: GrayVolume, window: Window, settings: VolumeSettings) -> Surroundings:
    """Find what is around the body of a scan whose window is known."""
    if settings.body == "everything":
        return EVERYTHING
    chosen = sampled_slices(volume, settings)
    step = -(-len(chosen) // _SLICES_FOR_SURROUNDINGS)

    def position(z: int) -> Float[np.ndarray, "row col"]:
        shown = window.position(window.scanned(read_slice(volume, z, settings)))
        return resize(shown, square_shape(shown.shape, volume.geometry.pixel))

    return find_surroundings(map(position, chosen[::step]), window.body_threshold, window.air)
