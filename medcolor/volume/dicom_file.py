"""Reading the fields that are asked for of a DICOM file, without pydicom's remarks."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medcolor.volume.dicom_head import HEAD_BYTES, has_preamble, is_dicom

_READING = threading.Lock()


def read_fields(path: Path, tags: list[str], *, with_pixels: bool) -> pydicom.Dataset:
    """Read some fields of a file, which may lack its preamble.

    Of a file that does not say how it is written this is told by its first element, and put where
    it should stand.

    Raises:
        InvalidDicomError: No DICOM file.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if not is_dicom(head):
            raise InvalidDicomError
        file.seek(0)
        data = pydicom.dcmread(
            file,
            stop_before_pixels=not with_pixels,
            specific_tags=[*tags],
            force=not has_preamble(head),
        )
    if "TransferSyntaxUID" not in data.file_meta:
        data.file_meta.TransferSyntaxUID = _written(data)
    return data


def _written(data: pydicom.Dataset) -> UID:
    """Return the syntax of plain pixels by which a file is written."""
    leaves_out_kinds, begins_low = data.original_encoding
    if leaves_out_kinds:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if begins_low else ExplicitVRBigEndian


@contextmanager
def reading_quietly() -> Iterator[None]:
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
