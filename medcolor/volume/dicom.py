"""A DICOM series in a folder: sorted by position, in Hounsfield units where it says so.

Only geometry and rescale fields are read; nothing that names a person leaves this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dask.array as da
import numpy as np
import pydicom
from dask.delayed import delayed
from numpy.typing import NDArray

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.files import list_files
from medcolor.volume.geometry import to_lps

_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
_FIELDS = [*_NEEDED, "SeriesInstanceUID", "Modality", "RescaleIntercept", "SamplesPerPixel"]
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True)
class _Header:
    path: Path
    series: str
    shape: tuple[int, int]
    position: NDArray[np.float64]
    row_direction: NDArray[np.float64]
    """Along increasing column, in LPS."""

    col_direction: NDArray[np.float64]
    pixel_mm: tuple[float, float]
    """Row spacing, column spacing."""

    is_hounsfield: bool

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.row_direction, self.col_direction)


def open_dicom_series(folder: Path) -> GrayVolume:
    """Open the one axial series of a folder.

    Raises:
        InputError: No series or several, slices of different size or direction,
            uneven or doubled positions, a tilted gantry, or a series that is not axial.
    """
    headers = [header for path in list_files(folder) if (header := _read_header(path))]
    if not headers:
        raise InputError(folder, "no images and no DICOM slices", "Give a folder of one series")
    series = sorted({header.series for header in headers})
    if len(series) > 1:
        counts = ", ".join(str(sum(h.series == uid for h in headers)) for uid in series)
        raise InputError(
            folder, f"{len(series)} series of {counts} slices", "Keep one series in the folder"
        )
    first = headers[0]
    headers.sort(key=lambda header: float(header.position @ first.normal))
    step = _check_stack(folder, headers)
    affine = np.eye(4)
    affine[:3, 0] = first.row_direction * first.pixel_mm[1]
    affine[:3, 1] = first.col_direction * first.pixel_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = headers[0].position
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    if int(np.abs(first.normal).argmax()) != 2:
        raise InputError(
            folder,
            "the series is not cut axially",
            "Convert it to NIfTI (dcm2niix), which is read in any direction",
        )
    read = delayed(_read_pixels, pure=True)
    slices = [da.from_delayed(read(h.path), h.shape, np.float32) for h in headers]
    array, geometry = to_lps(da.stack(slices).transpose(2, 1, 0), to_ras @ affine)
    unit: Literal["HU", "raw"] = "HU" if first.is_hounsfield else "raw"
    return GrayVolume(array, unit, geometry, str(folder), tuple(h.path for h in headers))


def _read_header(path: Path) -> _Header | None:
    """Read what is needed of one file; None for files that are no DICOM slices."""
    try:
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_FIELDS)
    except pydicom.errors.InvalidDicomError:
        return None
    except (OSError, EOFError, ValueError) as error:
        raise InputError(path, "unreadable DICOM file", "Fetch the file again") from error
    if any(field not in data for field in _NEEDED):
        return None
    cosines = np.array(data.ImageOrientationPatient, float)
    intercept = float(data.get("RescaleIntercept", 0) or 0)
    return _Header(
        path=path,
        series=str(data.get("SeriesInstanceUID", "")),
        shape=(int(data.Rows), int(data.Columns)),
        position=np.array(data.ImagePositionPatient, float),
        row_direction=cosines[:3],
        col_direction=cosines[3:],
        pixel_mm=(float(data.PixelSpacing[0]), float(data.PixelSpacing[1])),
        # A CT whose stored values start at air has its intercept; without one it is no HU.
        is_hounsfield=data.get("Modality") == "CT" and intercept < 0,
    )


def _check_stack(folder: Path, headers: list[_Header]) -> NDArray[np.float64]:
    """Return the step between slices in LPS mm, or say what is wrong with the stack."""
    first = headers[0]
    for header in headers:
        same = header.shape == first.shape and np.allclose(header.pixel_mm, first.pixel_mm)
        if not same or not np.allclose(header.normal, first.normal, atol=1e-3):
            raise InputError(
                folder,
                f"{header.path.name} is {header.shape[1]} x {header.shape[0]} pixels of "
                f"{header.pixel_mm[1]:g} x {header.pixel_mm[0]:g} mm, {first.path.name} is "
                f"{first.shape[1]} x {first.shape[0]} of {first.pixel_mm[1]:g} x "
                f"{first.pixel_mm[0]:g} mm, or their directions differ",
                "Keep slices of one size and direction",
            )
    if len(headers) < 2:
        raise InputError(folder, "one slice, expected at least two", "Give the whole series")
    positions = np.array([header.position for header in headers])
    along = positions @ first.normal
    gaps = np.diff(along)
    spacing = float(np.median(gaps))
    if gaps.min() < 1e-3:
        twin = headers[int(gaps.argmin()) + 1].path.name
        raise InputError(
            folder, f"two slices at one position ({twin})", "Keep one of them, or one series"
        )
    if np.abs(gaps - spacing).max() > _SPACING_TOLERANCE * spacing + 1e-3:
        at = int(np.abs(gaps - spacing).argmax())
        raise InputError(
            folder,
            f"uneven slices: {gaps[at]:g} mm after {headers[at].path.name}, else {spacing:g} mm",
            "Add the missing slices or resample the series",
        )
    step = (positions[-1] - positions[0]) / (len(headers) - 1)
    tilt = float(np.degrees(np.arccos(np.clip(step @ first.normal / np.linalg.norm(step), -1, 1))))
    if tilt > 0.5:
        raise InputError(
            folder, f"gantry tilted by {tilt:.1f} degrees", "Resample it (dcm2niix does) first"
        )
    return np.asarray(step)


def _read_pixels(path: Path) -> NDArray[np.float32]:
    """Read one slice and apply its rescale."""
    try:
        data = pydicom.dcmread(path)
        pixels = data.pixel_array.astype(np.float32)
    except (OSError, EOFError, ValueError, RuntimeError, AttributeError) as error:
        raise InputError(path, "unreadable DICOM pixels", "Fetch the file again") from error
    if pixels.ndim != 2:
        raise InputError(path, "not one grey image", "Give a grey, single-frame series")
    slope, intercept = data.get("RescaleSlope", 1), data.get("RescaleIntercept", 0)
    return np.asarray(pixels * float(slope) + float(intercept), np.float32)
