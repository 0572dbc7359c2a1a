"""One DICOM slice: the few fields that are read of its header (pixels: `dicom_pixels`).

What is not asked for here by name is never looked at: names, dates, comments and private fields
stay in the file. What pydicom says about a damaged field may quote it, and is not repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag

from medcolor.errors import InputError
from medcolor.volume.dicom_file import read_fields, reading_quietly
from medcolor.volume.dicom_marks import FRAME_GROUPS, MARK_TAGS, Value, find, is_localizer, marks_of

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

_MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
}
"""Where a functional group of an enhanced file holds a field. Named one by one: private sequences
of the same groups hold fields of the same names that mean something else."""

_PADDING = ("PixelPaddingValue", "FloatPixelPaddingValue", "DoubleFloatPixelPaddingValue")
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
HEADER_TAGS = [
    *_MACROS, *_MACROS.values(), *_PADDING, *_FACTS, "Rows", "Columns",
    "NumberOfFrames", "SeriesInstanceUID", "Modality", "BurnedInAnnotation",
    "PhotometricInterpretation", "PixelRepresentation", "ModalityLUTSequence", "ModalityLUTType",
]  # fmt: skip
"""All that is read of a header. A field that is asked for and missing here would look absent,
whatever the file says: a test compares."""


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
    """Slope and intercept of stored values; of a slice whose table says instead: 1, 0."""

    counts_from_white: bool
    """Whether the lowest value is white (MONOCHROME1)."""

    has_padding: bool
    """Whether the file names a value for pixels that were not scanned."""

    is_hounsfield: bool
    is_burned_in: bool
    """Whether the file says that text is painted into the pixels."""

    is_localizer: bool
    """Whether the file says that it shows where other images lie."""

    marks: dict[str, Value]
    """What it says of the volume that it belongs to."""

    facts: dict[str, float] = field(default_factory=dict)

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector from slice to slice."""
        return np.cross(self.row_direction, self.col_direction)


NOT_DICOM, NO_IMAGE = "files of other kinds", "DICOM files that hold no image"


def read_slices_of(path: Path) -> tuple[list[DicomSlice], str]:
    """Read the headers of the slices in a file.

    Returns:
        The slices; or none, and in words, in the plural, what the file is instead.

    Raises:
        InputError: Cut short; a place that cannot be; a rescale that says nothing of values.
    """
    with reading_quietly():
        try:
            data = read_fields(path, [*HEADER_TAGS, *MARK_TAGS], with_pixels=False)
            if "Rows" not in data or "Columns" not in data:
                return [], NO_IMAGE
            frames = _frames(path, data)
            lacking = _lacking(data, frames)
            found = [] if lacking else [_slice(path, data, frame) for frame in frames]
        except InvalidDicomError:
            return [], NOT_DICOM
        except (OSError, InputError):
            raise
        except Exception as error:  # whatever a damaged file makes a parser raise
            raise _unreadable(path) from error
    return found, lacking


def _frames(path: Path, data: pydicom.Dataset) -> list[int | None]:
    """Return the frames that have places of their own, or [None] for a file without such."""
    count, groups = int(data.get("NumberOfFrames") or 1), data.get(FRAME_GROUPS[0])
    if not groups:
        return [None]
    if len(groups) != count:
        raise InputError(path, f"{count} frames, places for {len(groups)}", "Fetch the file again")
    return [*range(count)]


def _lacking(data: pydicom.Dataset, frames: list[int | None]) -> str:
    """Return in words what an image lacks that a slice has; '' if nothing."""
    absent = [
        f"{keyword} {Tag(keyword)}"
        for keyword in _PLACE
        if any(_find(data, frame, keyword) is None for frame in frames)
    ]
    if absent:
        return f"DICOM images without {' and '.join(absent)}"
    is_film = frames == [None] and int(data.get("NumberOfFrames") or 1) > 1
    return f"DICOM films without places frame by frame ({FRAME_GROUPS[0]})" if is_film else ""


def _slice(path: Path, data: pydicom.Dataset, frame: int | None) -> DicomSlice:
    """Put together what is needed of one frame."""
    place = [_find(data, frame, keyword) for keyword in _PLACE]
    position, cosines, spacing = (np.array(value, float) for value in place)
    directions = cosines.reshape(2, 3)
    pixel_mm = float(spacing[0]), float(spacing[1])
    shape = int(data.Rows), int(data.Columns)
    lengths = np.linalg.norm(directions, axis=1)
    is_place = np.isfinite(position).all() and position.shape == (3,) and min(shape) >= 1
    if not (is_place and np.allclose(lengths, 1, atol=0.01) and all(0 < s < 1e3 for s in pixel_mm)):
        raise ValueError("no place")
    modality = str(data.get("Modality", ""))
    rescale = _rescale(path, data, frame)
    marks = marks_of(data, frame)
    from_white = data.get("PhotometricInterpretation") == "MONOCHROME1"
    is_ct = modality == "CT" and not from_white  # turned over, values are HU at most by chance
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
        rescale=rescale,
        counts_from_white=from_white,
        has_padding=any(data.get(keyword) is not None for keyword in _PADDING),
        is_hounsfield=is_ct and _says_hounsfield(data, frame, rescale),
        is_burned_in=str(data.get("BurnedInAnnotation", "")).upper() == "YES",
        is_localizer=is_localizer(marks),
        marks=marks,
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


def _rescale(path: Path, data: pydicom.Dataset, frame: int | None) -> tuple[float, float]:
    """Return slope and intercept."""
    found = (_find(data, frame, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    slope, intercept = (
        default if value is None else float(value)
        for value, default in zip(found, (1.0, 0.0), strict=True)
    )
    if not (np.isfinite([slope, intercept]).all() and slope):
        raise InputError(
            path, f"rescale slope {slope:g}, intercept {intercept:g}", "Mend its header"
        )
    if data.get("ModalityLUTSequence") and (slope, intercept) != (1, 0):
        raise InputError(
            path, "both a modality table and a rescale, one excludes the other", "Mend its header"
        )
    return slope, intercept


def _says_hounsfield(
    data: pydicom.Dataset, frame: int | None, rescale: tuple[float, float]
) -> bool:
    """Tell whether rescaled values of a CT are Hounsfield units."""
    tables = data.get("ModalityLUTSequence")
    unit = tables[0].get("ModalityLUTType") if tables else _find(data, frame, "RescaleType")
    if unit and str(unit).strip().upper() != "HU":
        return False
    # A CT whose stored values start at air has its intercept; without one it is no HU, unless
    # that is said, and of values that can be negative.
    can_be_air = bool(tables) or int(data.get("PixelRepresentation", 1)) == 1
    return rescale[1] < 0 or (bool(unit) and can_be_air)


def _find(data: pydicom.Dataset, frame: int | None, keyword: str) -> Any:
    """Return a field of a frame: from its own group, the shared one, or the file's top."""
    found = find(data, frame, (_MACROS[keyword], keyword))
    return found if found is not None else find(data, frame, (keyword,))


def _unreadable(path: Path) -> InputError:
    return InputError(path, "unreadable DICOM file", "Fetch the file again")
