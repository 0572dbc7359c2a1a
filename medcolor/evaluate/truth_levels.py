"""Photographs of the scanned body itself, beside what a volume shows in their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.color import deltaE_ciede2000

from medcolor.color import srgb_to_lab
from medcolor.config import RunSettings
from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.evaluate.registered import RegisteredLevel
from medcolor.evaluate.volume_metrics import Figures
from medcolor.reference.library import ReferenceRecord, read_photograph
from medcolor.reference.orientation import to_view
from medcolor.reference.settings import ReferenceSettings
from medcolor.transfer.scan import known
from medcolor.volume.open import open_volume, read_slice
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.window import Window, find_window

Lab = Float[np.ndarray, "row col 3"]
Mask = Bool[np.ndarray, "row col"]
ReadSlices = Callable[[range], Shaped[np.ndarray, "z y x *channel"]]

_BLUR_PX = 2.0
"""Registration is not exact to a pixel."""

_LEAST_MASS = 1e-3
_INSIDE_SHARE = 0.5


@dataclass(frozen=True)
class HounsfieldScan:
    """An open CT."""

    volume: GrayVolume
    window: Window
    settings: VolumeSettings

    @classmethod
    def open(cls, path: Path, settings: RunSettings, staging: Path) -> HounsfieldScan:
        """Open a CT.

        Raises:
            InputError: It is none.
        """
        volume = open_volume(path, settings.volume, staging)
        window = find_window(volume, settings.volume, settings.features.equalization)
        if window.unit != "HU":
            problem = "its values are not Hounsfield units, by which tissues are told"
            raise InputError(path, problem, "Give a CT")
        return cls(volume, window, settings.volume)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self.volume.geometry.shape

    def hu(self, slices: range) -> Float[np.ndarray, "z row col"]:
        """Read slices."""
        return np.stack([known(read_slice(self.volume, z, self.settings)) for z in slices])

    def grey(self, hu: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
        """Return display grey, 0..1."""
        return np.asarray(np.clip(self.window.position(hu), 0, 1))


@dataclass(frozen=True)
class TruthLevel:
    """A photograph, and what the scan measures in its places."""

    number: int
    place: Float[np.ndarray, "3 row col"]
    body: Mask
    """Inside the scan."""

    rgb: UInt8[np.ndarray, "row col 3"]
    lab: Lab
    hu: Float[np.ndarray, "row col"]
    tissues: dict[str, Mask]


def load_level(
    level: RegisteredLevel,
    record: ReferenceRecord,
    scan: HounsfieldScan,
    settings: ReferenceSettings,
) -> TruthLevel:
    """Read the photograph of a level and the scan in its places.

    Args:
        level: Where its pixels lie.
        record: The photograph.
        scan: Of the same body.
        settings: How photographs lie.

    Raises:
        InputError: The photograph is too small for the level's box, or the places lie outside the
            scan.
    """
    code = (record.orientation or settings.presumed_orientation)[:2]
    frame = to_view(read_photograph(record.path)[0], code)
    if frame.shape[0] < level.box.row_stop or frame.shape[1] < level.box.col_stop:
        raise InputError(
            record.path,
            f"{frame.shape[0]} x {frame.shape[1]} pixels, its box ends at "
            f"{level.box.row_stop}, {level.box.col_stop}",
            "Give the photographs that were registered",
        )
    rgb = np.ascontiguousarray(frame[level.box.slices])
    last = np.array(scan.shape)[:, None, None] - 1
    body = level.body & ((level.place >= 0) & (level.place <= last)).all(axis=0)
    if body.sum() < max(1, _INSIDE_SHARE * level.body.sum()):
        raise InputError(
            f"level {level.number}",
            f"most of its places lie outside the scan of {' x '.join(map(str, scan.shape))}",
            "Give the scan that the photographs were registered to",
        )
    lab = srgb_to_lab(rgb.astype(np.float32) / 255)
    hu = sample(scan.hu, level.place, body)
    return TruthLevel(level.number, level.place, body, rgb, lab, hu, tissues_of(lab, hu, body))


def tissues_of(lab: Lab, hu: Float[np.ndarray, "row col"], body: Mask) -> dict[str, Mask]:
    """Return where photograph and scan agree on a tissue, a pixel from its rim."""
    light, red = lab[..., 0], lab[..., 1]
    found = {
        "muscle": (light < 42) & (red > 12) & (np.abs(hu) < 150),
        "fat": (light > 58) & (hu > -250) & (hu < -20),
        "bone": hu > 400,
        "brain": (light > 50) & (hu > 0) & (hu < 90),
    }
    kernel = np.ones((3, 3), np.uint8)
    return {
        name: cv2.erode((body & where).astype(np.uint8), kernel) > 0
        for name, where in found.items()
    }


def sample(
    read: ReadSlices, place: Float[np.ndarray, "3 row col"], body: Mask
) -> Float[np.ndarray, "row col *channel"]:
    """Return a volume in the places of a body's pixels, interpolated linearly; 0 elsewhere."""
    at = place[:, body].astype(np.float64)
    first = int(np.floor(at[0].min()))
    part = read(range(first, int(np.ceil(at[0].max())) + 1)).astype(np.float32)
    at[0] -= first
    channels = np.moveaxis(part[..., None] if part.ndim == 3 else part, -1, 0)
    found = np.stack([map_coordinates(one, at, order=1, mode="nearest") for one in channels], -1)
    image = np.zeros((*body.shape, len(channels)), np.float32)
    image[body] = found
    return image if part.ndim == 4 else image[..., 0]


class Likeness:
    """Sums of the errors of levels, pixel by pixel."""

    def __init__(self) -> None:
        """Start empty."""
        self._sums, self._pixels = np.zeros(2), 0

    def add(self, result: Lab, truth: Lab, body: Mask) -> None:
        """Add a level: both are blurred inside the body, as registration is not exact."""
        found, expected = (blurred(lab, body)[body] for lab in (result, truth))
        chroma = np.hypot(*(found - expected)[:, 1:].T)
        self._sums += deltaE_ciede2000(expected, found).sum(), chroma.sum()
        self._pixels += int(body.sum())

    @property
    def figures(self) -> Figures:
        """Mean CIEDE2000 and distance in a*, b*."""
        mean = self._sums / self._pixels
        return {"dE": float(mean[0]), "chroma": float(mean[1])}


def blurred(lab: Lab, body: Mask) -> Float[np.ndarray, "row col 3"]:
    """Return the Gaussian mean over the body's pixels."""
    counts = body.astype(np.float64)
    mass = np.maximum(gaussian_filter(counts, _BLUR_PX), _LEAST_MASS)
    means = [gaussian_filter(one * counts, _BLUR_PX) / mass for one in np.moveaxis(lab, -1, 0)]
    return np.stack(means, -1)


def sheet_of(
    levels: Sequence[TruthLevel], columns: Callable[[TruthLevel], list[np.ndarray]], most: int = 5
) -> UInt8[np.ndarray, "row col 3"]:
    """Return a sheet of some levels, one a row: the photograph, then `columns` of it."""
    chosen = np.unique(np.linspace(0, len(levels) - 1, most).round().astype(int))
    rows = [np.concatenate([levels[k].rgb, *columns(levels[k])], axis=1) for k in chosen]
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
    )
