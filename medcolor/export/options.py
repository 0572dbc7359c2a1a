"""What a user may say of an exported file beside its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medcolor.errors import InputError

FolderFormat = Literal["png", "dicom"]
_FOLDER_FORMATS: tuple[FolderFormat, ...] = ("png", "dicom")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a volume is written."""

    rgb: bool = False
    """Leave alpha out: colours as they are seen in slices. DICOM has no alpha anyway."""

    folder_format: FolderFormat | None = None
    """What a folder receives: PNG slices, or a DICOM series of true-colour slices. None: PNG."""

    identity_from: Path | None = None
    """A DICOM file of the scan that was coloured. The person, the study and the frame of reference
    in it are copied into an exported DICOM series, which else names nobody."""


def folder_format_of(name: str | None) -> FolderFormat | None:
    """Return what a folder is to receive.

    Raises:
        InputError: No such kind of slices.
    """
    if name is None:
        return None
    for known in _FOLDER_FORMATS:
        if known == name:
            return known
    raise InputError(
        f"--as {name}", "not a kind of slices that is written", f"Give {', '.join(_FOLDER_FORMATS)}"
    )
