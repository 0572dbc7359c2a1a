"""What is written: the name of the target decides, and what a user says beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from medcolor.errors import InputError

FolderFormat = Literal["png", "dicom"]
Tissue = Literal["skin", "muscle", "organs", "bone"]
Format = Literal["nifti", "nrrd", "tiff", "glb", "ply", "png", "dicom"]

_OF_SUFFIX: dict[str, Format] = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "nrrd",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".glb": "glb",
    ".ply": "ply",
}

SURFACES = ("glb", "ply")

Named = TypeVar("Named", bound=str)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How a volume is written."""

    rgb: bool = False
    """Leave alpha out: colours as they are seen in slices. DICOM and surfaces have no alpha."""

    folder_format: FolderFormat | None = None
    """What a folder receives: PNG slices, or a DICOM series of true-colour slices. None: PNG."""

    identity_from: Path | None = None
    """A DICOM file of the scan that was coloured. The person, the study and the frame of reference
    in it are copied into an exported DICOM series, which else names nobody."""

    tissue: Tissue | None = None
    """Of which tissue a surface is made, as scenes know it. None: skin."""

    triangles: int | None = None
    """How many triangles a surface has at most; None: as many as there are."""


def format_of(target: Path, options: ExportOptions) -> Format:
    """Return what is written at a place.

    Raises:
        InputError: Its suffix is unknown, or an option does not suit it.
    """
    name = target.name.lower()
    found = next((kind for suffix, kind in _OF_SUFFIX.items() if name.endswith(suffix)), None)
    if found is None and target.suffix and not target.is_dir():
        raise InputError(
            target,
            "not a kind of file that is written",
            f"Give {', '.join(_OF_SUFFIX)}, or a folder for PNG or DICOM slices",
        )
    if found is not None and options.folder_format is not None:
        raise InputError(
            target,
            f"its suffix says what it is, and --as says {options.folder_format}",
            "Name a folder, or leave --as out",
        )
    kind = found or options.folder_format or "png"
    _refuse_unused(target, kind, options)
    return kind


def _refuse_unused(target: Path, kind: Format, options: ExportOptions) -> None:
    """Refuse options that say nothing of what is written.

    Raises:
        InputError: One does.
    """
    if options.identity_from is not None and kind != "dicom":
        raise InputError(
            target, "--identity-from is for DICOM alone", "Add --as dicom, or leave it out"
        )
    for option, value in (("--tissue", options.tissue), ("--triangles", options.triangles)):
        if value is not None and kind not in SURFACES:
            raise InputError(
                target, f"{option} is for surfaces alone", "Name a .glb or .ply, or leave it out"
            )


def folder_format_of(name: str | None) -> FolderFormat | None:
    """Return what a folder is to receive, as `--as` says it.

    Raises:
        InputError: No such kind of slices.
    """
    return _known(name, get_args(FolderFormat), "--as", "kind of slices that is written")


def tissue_of(name: str | None) -> Tissue | None:
    """Return of what a surface is to be made, as `--tissue` says it.

    Raises:
        InputError: No such tissue.
    """
    return _known(name, get_args(Tissue), "--tissue", "tissue")


def _known(name: str | None, known: tuple[Named, ...], option: str, what: str) -> Named | None:
    if name is None:
        return None
    found = next((one for one in known if one == name), None)
    if found is None:
        raise InputError(f"{option} {name}", f"not a {what}", f"Give {', '.join(known)}")
    return found
