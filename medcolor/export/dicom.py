"""DICOM: a series of true-colour slices, single-frame secondary captures with their places.

Secondary Capture Image Storage, with the frame of reference and the image plane added (a standard
extended SOP class): RGB, 8 bits, not compressed, which every viewer and archive takes. A series
names nobody unless its writer is given an `Identity`; it has no date, and all its UIDs are random.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from medcolor.errors import InputError
from medcolor.export.dicom_identity import Identity
from medcolor.export.exported import Exported
from medcolor.export.folder import write_geometry

_DESCRIPTION = "medcolor: colours are not measured"
_DERIVATION = (
    "Colours transferred from photographs of other bodies. The colours are not measured, and are "
    "not for diagnosis. "
)
_LONGEST_TEXT = 1024
"""Characters of a short text (VR ST)."""

_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber", "PositionReferenceIndicator",
)  # fmt: skip
"""Fields that the standard wants to be there, with or without a value."""

_SERIES_NUMBER = 900
"""Behind those of a scanner, where the series joins a study."""


def write_dicom_series(
    path: Path, volume: Exported, credit: str = "", identity: Identity | None = None
) -> None:
    """Write a folder of slices, feet first.

    Args:
        path: Folder to be.
        volume: Its colours; alpha is left out.
        credit: Whose photographs the colours come from.
        identity: Whom the series names and which study it joins; None: nobody, and a new one.

    Raises:
        InputError: Rows and columns of the volume do not meet at right angles, as DICOM's do.
    """
    common = _common(path, volume, credit, identity)
    affine = volume.affine_lps
    path.mkdir()
    for z, pixels in enumerate(volume.slices()):
        data = Dataset()
        data.update(common)
        data.file_meta = FileMetaDataset()
        data.InstanceNumber = z + 1
        data.ImagePositionPatient = _decimals(affine[:3, 3] + z * affine[:3, 2])
        data.SOPInstanceUID = _new_uid()
        data.set_pixel_data(pixels[..., :3], "RGB", 8, generate_instance_uid=False)
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(path / f"{z:05d}.dcm", enforce_file_format=True)
    write_geometry(path, volume, alpha="none")


def _common(path: Path, volume: Exported, credit: str, identity: Identity | None) -> Dataset:
    """Return what all slices of a series share."""
    z_mm, y_mm, x_mm = volume.level.spacing_mm
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = SecondaryCaptureImageStorage
    for keyword in _EMPTY:
        setattr(data, keyword, "")
    data.StudyInstanceUID, data.SeriesInstanceUID = _new_uid(), _new_uid()
    data.FrameOfReferenceUID = _new_uid()
    for keyword, value in (identity.fields if identity else {}).items():
        setattr(data, keyword, value)
    data.Modality, data.ConversionType, data.SeriesNumber = "OT", "SYN", _SERIES_NUMBER
    data.Manufacturer, data.SoftwareVersions = "medcolor", version("medcolor")
    data.SeriesDescription = data.ImageComments = _DESCRIPTION
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.DerivationDescription = (_DERIVATION + credit).strip()[:_LONGEST_TEXT]
    data.ImageOrientationPatient = _decimals(_directions(path, volume).ravel())
    data.PixelSpacing = _decimals([y_mm, x_mm])
    data.SliceThickness = data.SpacingBetweenSlices = _decimals([z_mm])[0]
    return data


def _directions(path: Path, volume: Exported) -> Float[np.ndarray, "2 3"]:
    """Return the directions of a row and of a column, exactly at right angles.

    Raises:
        InputError: They are not, and it shows: by more than half a pixel at the end of a column.
    """
    row, column = (volume.affine_lps[:3, axis] for axis in (0, 1))
    row = row / np.linalg.norm(row)
    aslant = column @ row * volume.level.shape[1]
    if abs(aslant) > volume.level.spacing_mm[2] / 2:
        raise InputError(
            path,
            "rows and columns of the volume are not at right angles, as those of DICOM are",
            "Export NIfTI or NRRD instead, or resample the scan to a grid of right angles",
        )
    column = column - (column @ row) * row
    return np.stack([row, column / np.linalg.norm(column)])


def _decimals(values: Any) -> list[str]:
    """Return numbers as DICOM writes them, in at most 16 characters."""
    return [format_number_as_ds(float(value)) for value in values]


def _new_uid() -> str:
    """Return a random identifier, which tells neither a place nor a time."""
    return generate_uid(prefix=None)
