"""Whom an exported series names: copied from one DICOM file, and only where a user asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pydicom

from medcolor.errors import InputError
from medcolor.export.exported import Exported
from medcolor.volume.dicom_file import reading_quietly
from medcolor.volume.dicom_slices import DicomSlice, read_slices_of

_PERSON = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_STUDY = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
_FRAME = ("FrameOfReferenceUID", "PositionReferenceIndicator")
IDENTITY_TAGS = [*_PERSON, *_STUDY, *_FRAME, "SpecificCharacterSet"]
"""All that is copied, and the character set that its texts are in. The place of the file's slices
is read by `dicom_slices`."""

_NEEDED = ("StudyInstanceUID", "FrameOfReferenceUID")


@dataclass(frozen=True)
class Identity:
    """Values of fields by their keywords; those that are absent or empty are left out."""

    fields: dict[str, str]


def read_identity(path: Path, volume: Exported) -> Identity:
    """Read person, study and frame of reference of the scan that was coloured.

    Args:
        path: A DICOM file of it.
        volume: What is exported: the file's slices lie in it, else another person would be named.

    Raises:
        InputError: No DICOM file with a place; its slices lie elsewhere; no study. What stands in
            the file is not repeated.
    """
    slices = read_slices_of(path)[0] if path.is_file() else []
    if not slices:
        raise InputError(
            path, "no DICOM slice with a place", "Give a file of the scan that was coloured"
        )
    if not all(_is_inside(one, volume) for one in slices):
        raise InputError(
            path,
            "its slices are not inside the coloured volume: it may be of another person",
            "Give a file of the scan that was coloured",
        )
    with reading_quietly():
        try:
            data = pydicom.dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=IDENTITY_TAGS
            )
            if not data.get("SpecificCharacterSet"):
                data.SpecificCharacterSet = "ISO_IR 6"
            found = {key: str(data.get(key) or "") for key in (*_PERSON, *_STUDY, *_FRAME)}
        except Exception as error:  # fields are parsed when they are read
            raise InputError(path, "unreadable DICOM file", "Fetch the file again") from error
    missing = [key for key in _NEEDED if not found[key]]
    if missing:
        raise InputError(path, f"has no {missing[0]}", "Give a file of the scan that was coloured")
    return Identity({key: value for key, value in found.items() if value})


def _is_inside(one: DicomSlice, volume: Exported) -> bool:
    """Tell whether all corners of a slice lie in a volume, or within a voxel of it."""
    rows, cols = (side - 1 for side in one.shape)
    across, down = one.row_direction * one.pixel_mm[1], one.col_direction * one.pixel_mm[0]
    corners = np.array(
        [one.position + i * across + j * down for i, j in product((0, cols), (0, rows))]
    )
    homogeneous = np.column_stack([corners, np.ones(4)])
    places = (np.linalg.inv(volume.affine_lps) @ homogeneous.T)[:3]
    last = np.array(volume.level.shape[::-1])[:, None] - 1
    return bool(((places >= -1) & (places <= last + 1)).all())
