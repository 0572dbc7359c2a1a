"""The data that flows between the stages: frozen, never changed after they are made.

Order of axes everywhere: arrays (z, y, x) or (row, col), channels where the
docstring says. x runs to the patient's left, y to posterior, z to the head (LPS),
so a slice reads like a radiological image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Float16, UInt8

if TYPE_CHECKING:
    import dask.array as da

Affine = tuple[tuple[float, float, float, float], ...]
"""Four rows: voxel index (x, y, z, 1) to millimetres in RAS."""

PixelShape = tuple[float, float]
"""Height and width of a pixel, in its shorter side: (4, 1) is four times as high as wide."""

SQUARE: PixelShape = (1.0, 1.0)

Plane = Literal["axial", "coronal", "sagittal"]

MATCHED_PLANE: Plane = "axial"
"""The plane of photographs, in which scans are matched, however they were acquired."""

_SQUARE_WITHIN = 1e-3
"""Of 1: headers round spacings, and affines give them back with errors in the last digits."""

OUTSIDE = float("-inf")
"""Intensity where nothing was scanned: padding of a file, or beyond the rim of a shifted slice.
It is below every value, is never body, shows black, and counts in no statistics."""


def pixel_shape(row_mm: float, col_mm: float) -> PixelShape:
    """Return the shape of a pixel from the distances of rows and of columns, > 0 in any unit."""
    shorter = min(row_mm, col_mm)
    if max(row_mm, col_mm) <= (1 + _SQUARE_WITHIN) * shorter:
        return SQUARE
    return row_mm / shorter, col_mm / shorter


@dataclass(frozen=True)
class VolumeGeometry:
    """Where a volume lies."""

    shape: tuple[int, int, int]
    """Voxels along (z, y, x)."""

    spacing_mm: tuple[float, float, float]
    """Distance between voxel centres along (z, y, x)."""

    affine: Affine
    """Voxel index (x, y, z, 1) to millimetres in RAS."""

    steps: tuple[str, ...] = ()
    """What was done to the stored axes to arrive at (z, y, x) in LPS."""

    @property
    def pixel(self) -> PixelShape:
        """Shape of the pixels of a slice."""
        return pixel_shape(*self.spacing_mm[1:])

    @property
    def sharp_plane(self) -> Plane:
        """The plane across the longest side of a voxel: that of acquisition, as a rule.

        Axial unless another side is longer by more than headers are off.
        """
        longest = max(self.spacing_mm)
        if longest <= (1 + _SQUARE_WITHIN) * self.spacing_mm[0]:
            return "axial"
        return "coronal" if self.spacing_mm[1] == longest else "sagittal"


@dataclass(frozen=True)
class GreyLevels:
    """What alpha of a coloured volume says of the scan."""

    black: float
    white: float
    """Stored values shown as display grey 0 and 1."""

    unit: Literal["HU", "raw"]
    """Of stored values."""

    is_alpha: bool
    """Whether alpha is the display grey, and not the opacity of another rule."""


@dataclass(frozen=True)
class GrayVolume:
    """A scan, read lazily."""

    intensity: da.Array
    """(z, y, x), one chunk a slice."""

    unit: Literal["HU", "raw"]
    geometry: VolumeGeometry

    source: str
    """Where it was read from."""

    files: tuple[Path, ...]
    """All that it was read from, in order."""

    facts: dict[str, str | float] = field(default_factory=dict)
    """What may be told of how it was made: format, modality, numbers of the acquisition.
    Nothing else of a file's header leaves its reader."""

    is_placed: bool = False
    """Whether its files say where its axes run to in the body; else settings and habit do."""

    has_outside: bool = False
    """Whether intensity may be `OUTSIDE`; in any other volume infinity is an error."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; stop is exclusive."""

    row_start: int
    row_stop: int
    col_start: int
    col_stop: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.row_stop - self.row_start, self.col_stop - self.col_start

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index an array with it."""
        return slice(self.row_start, self.row_stop), slice(self.col_start, self.col_stop)


@dataclass(frozen=True)
class TargetSlice:
    """One slice of the scan at its own resolution."""

    luminance: Float[np.ndarray, "row col"]
    """Display grey, 0..1: what the result shows."""

    matched_luminance: Float[np.ndarray, "row col"]
    """The same through the matching tone curve, 0..1: what the network sees."""

    body: Bool[np.ndarray, "row col"]
    z: int

    values: Float[np.ndarray, "row col"]
    """What the scan measured, in its own unit; `OUTSIDE` where it did not."""

    pixel: PixelShape
    """Of these arrays. What compares shapes works on square pixels: see `prepared`."""

    outline: Bool[np.ndarray, "row2 col2"] | None = None
    """The body on square pixels (`body.square_shape`), smoother than long ones can say; None where
    it is what `body` says."""


@dataclass(frozen=True)
class ReferenceSlice:
    """One prepared colour cross-section, cropped to the body, in the target's orientation.

    Its pixels are square.
    """

    reference_id: str
    rgb: UInt8[np.ndarray, "row col 3"]

    tissue: Bool[np.ndarray, "row col"]
    """Where its colour may be given away: body, and not painted air."""


@dataclass(frozen=True)
class SliceVotes:
    """What photographs say of the colours of one slice, and what the scan measures there."""

    z: int
    box: Box
    """Of the body in the slice; the arrays show it at the working size, in square pixels."""

    body: Bool[np.ndarray, "row col"]

    contrast: Float16[np.ndarray, "row col"]
    """Of the scan, 0..1: see `transfer.scan`."""

    lab: Float16[np.ndarray, "vote 3 row col"]
    """CIE Lab: the slice reconstructed from each photograph, T' of equation 1. Steps of at most
    0.06, a quarter of what 8 bit sRGB tells apart."""

    trust: Float16[np.ndarray, "vote row col"]
    """0..1, zero outside the body."""

    nearness: tuple[float, ...]
    """Weight of each photograph, > 0."""


@dataclass(frozen=True)
class ColorSlice:
    """One coloured slice, straight alpha, sRGB."""

    rgba: UInt8[np.ndarray, "row col 4"]
    z: int


def check_orientation(code: str) -> None:
    """Raise ValueError unless `code` names one direction on each axis, columns first."""
    if len(code) != 3 or any(
        letter not in pair for letter, pair in zip(code, ("LR", "PA", "SI"), strict=True)
    ):
        raise ValueError(
            f"orientation {code!r} must be one of L/R, one of P/A, one of S/I, e.g. LPS"
        )
