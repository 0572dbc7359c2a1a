"""One DICOM slice: the few fields that are read of it, and its pixels.

What is not asked for here by name is never looked at: names, dates, comments and private fields
stay in the file. What pydicom says about a damaged field may quote it, and is not repeated.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

from medcolor.errors import InputError

_FACTS = {
    "SliceThickness": "slice_thickness_mm",
    "KVP": "tube_voltage_kv",
    "MagneticFieldStrength": "field_strength_t",
    "EchoTime": "echo_time_ms",
    "RepetitionTime": "repetition_time_ms",
    "InversionTime": "inversion_time_ms",
    "FlipAngle": "flip_angle_deg",
}
"""All that leaves a file beside geometry and voxels: numbers, by their DICOM keyword."""

_READING = threading.Lock()
_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
_TAGS = [
    *_PLACE, "Rows", "Columns", "SeriesInstanceUID", "Modality", "RescaleIntercept",
    "NumberOfFrames", "BurnedInAnnotation", *_GROUPS, *_FACTS,
]  # fmt: skip


_PIXEL_TAGS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData", "FloatPixelData",
    "DoubleFloatPixelData",
]  # fmt: skip


@dataclass(frozen=True)
class DicomSlice:
    """Where a slice lies and how to read it."""

    path: Path
    frame: int | None
    """Of a file with places frame by frame, counted from 0."""

    frames: int
    """Of the file."""

    series: str
    modality: str
    """Two to four capitals, e.g. CT."""

    shape: tuple[int, int]
    position: NDArray[np.float64]
    """Of the first pixel's centre, in mm, LPS."""

    row_direction: NDArray[np.float64]
    """Along increasing column, in LPS."""

    col_direction: NDArray[np.float64]
    pixel_mm: tuple[float, float]
    """Row spacing, column spacing."""

    rescale: tuple[float, float]
    """Slope and intercept of stored values."""

    is_hounsfield: bool
    is_burned_in: bool
    """Whether the file says that text is painted into the pixels."""

    facts: dict[str, float] = field(default_factory=dict)

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector from slice to slice."""
        return np.cross(self.row_direction, self.col_direction)


def read_slices_of(path: Path) -> list[DicomSlice]:
    """Read the headers of the slices in a file; none if it is no DICOM image with a place.

    Raises:
        InputError: Cut short, or a place that cannot be.
    """
    with _quietly():
        try:
            data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except pydicom.errors.InvalidDicomError:
            return []
        except OSError:
            raise
        except Exception as error:  # whatever a damaged file makes a parser raise
            raise _unreadable(path) from error
        try:
            groups = data.get(_GROUPS[0])
            if groups is not None:
                found = [_slice(path, data, number) for number in range(len(groups))]
            elif int(data.get("NumberOfFrames") or 1) > 1:
                found = []  # frames without places of their own: a film, no stack
            else:
                found = [_slice(path, data, None)]
        except Exception as error:  # fields are parsed when they are asked for
            raise _unreadable(path) from error
    return [one for one in found if one is not None]


def read_pixels(one: DicomSlice) -> NDArray[np.float32]:
    """Decode one slice, (row, col), and apply its rescale.

    Raises:
        InputError: Cut short, of a compression nothing here decodes, or no grey image.
    """
    try:
        with _quietly():
            # Of many frames the one alone is read; a file of one is decoded outside the lock.
            several = one.frame is not None and one.frames > 1
            data = pydicom.dcmread(one.path, stop_before_pixels=several, specific_tags=_PIXEL_TAGS)
            photometric = str(data.PhotometricInterpretation)
            bits, is_signed = int(data.BitsStored), bool(data.PixelRepresentation)
            padding = data.get("PixelPaddingValue")
            if several:
                stored = pixel_array(one.path, index=one.frame)
        if not several:
            stored = pixel_array(data)
    except Exception as error:  # decoders raise what they like
        raise InputError(one.path, "unreadable DICOM pixels", "Fetch the file again") from error
    if stored.shape != one.shape or not photometric.startswith("MONOCHROME"):
        raise InputError(one.path, "not one grey image", "Give a grey series")
    values = stored.astype(np.float32)
    if photometric == "MONOCHROME1":  # white is the lowest value
        values = (-1.0 if is_signed else 2.0**bits - 1) - values
    if padding is not None and not (is_padding := stored == padding).all():
        values[is_padding] = values[~is_padding].min()
    slope, intercept = one.rescale
    return np.asarray(values * slope + intercept, np.float32)


def _slice(path: Path, data: pydicom.Dataset, frame: int | None) -> DicomSlice | None:
    """Put together what is needed of one frame; None where it has no place."""
    place = [_find(data, frame, keyword) for keyword in _PLACE]
    if any(value is None for value in place) or "Rows" not in data or "Columns" not in data:
        return None
    position, cosines, spacing = (np.array(value, float) for value in place)
    directions = cosines.reshape(2, 3)
    pixel_mm = float(spacing[0]), float(spacing[1])
    shape = int(data.Rows), int(data.Columns)
    lengths = np.linalg.norm(directions, axis=1)
    is_place = np.isfinite(position).all() and position.shape == (3,) and min(shape) >= 1
    if not (is_place and np.allclose(lengths, 1, atol=0.01) and all(0 < s < 1e3 for s in pixel_mm)):
        raise ValueError("no place")
    modality = str(data.get("Modality", ""))
    return DicomSlice(
        path=path,
        frame=frame,
        frames=int(data.get("NumberOfFrames") or 1),
        series=str(data.get("SeriesInstanceUID", "")),
        modality=modality if re.fullmatch("[A-Z]{2,4}", modality) else "",
        shape=shape,
        position=position,
        row_direction=directions[0],
        col_direction=directions[1],
        pixel_mm=pixel_mm,
        rescale=_rescale(data, frame),
        # A CT whose stored values start at air has its intercept; without one it is no HU.
        is_hounsfield=modality == "CT" and _rescale(data, frame)[1] < 0,
        is_burned_in=str(data.get("BurnedInAnnotation", "")).upper() == "YES",
        facts=_facts(data),
    )


def _facts(data: pydicom.Dataset) -> dict[str, float]:
    """Return the allowed numbers; a field that holds anything else is left out."""
    found = {}
    for keyword, name in _FACTS.items():
        try:
            value = float(data[keyword].value)
        except (KeyError, TypeError, ValueError):
            continue
        if np.isfinite(value):
            found[name] = value
    return found


def _rescale(data: pydicom.Dataset, frame: int | None) -> tuple[float, float]:
    """Return slope and intercept."""
    slope, intercept = (
        _find(data, frame, keyword) for keyword in ("RescaleSlope", "RescaleIntercept")
    )
    return 1.0 if slope is None else float(slope), float(intercept or 0)


def _find(data: pydicom.Dataset, frame: int | None, keyword: str) -> Any:
    """Return a field of a frame: from its own group, the shared one, or the file's top."""
    if frame is not None:
        for name, number in zip(_GROUPS, (frame, 0), strict=True):
            groups = data.get(name)
            if not groups or number >= len(groups):
                continue
            for element in groups[number]:
                if element.VR == "SQ" and len(element.value) and keyword in element.value[0]:
                    return element.value[0][keyword].value
    return data[keyword].value if keyword in data else None


@contextmanager
def _quietly() -> Iterator[None]:
    """Read without pydicom's remarks: they quote what stands in the file."""
    settings = pydicom.config.settings
    with _READING, warnings.catch_warnings():  # both are the process's, not the thread's
        warnings.simplefilter("ignore")
        before = settings.reading_validation_mode
        settings.reading_validation_mode = pydicom.config.IGNORE
        try:
            yield
        finally:
            settings.reading_validation_mode = before


def _unreadable(path: Path) -> InputError:
    return InputError(path, "unreadable DICOM file", "Fetch the file again")
