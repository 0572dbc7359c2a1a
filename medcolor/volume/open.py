"""One face for every kind of scan: told by content, opened lazily."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from dask.base import optimize
from dask.local import get_sync
from jaxtyping import Float

from medcolor.domain import OUTSIDE, GrayVolume
from medcolor.errors import InputError
from medcolor.extras import missing_modules, require
from medcolor.volume import archive, nrrd
from medcolor.volume.dicom_head import HEAD_BYTES, is_dicom
from medcolor.volume.files import (
    IMAGE_SUFFIXES,
    list_files,
    list_images,
    refuse_absent,
    refuse_absent_below,
)
from medcolor.volume.gzipped import read_head
from medcolor.volume.images import open_image_stack
from medcolor.volume.mgh import is_mgh, open_mgh
from medcolor.volume.nifti import is_analyze, is_nifti, open_nifti
from medcolor.volume.ome_zarr import open_ome_zarr
from medcolor.volume.ome_zarr_image import is_zarr
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.tiff import open_tiff
from medcolor.volume.tiff_magic import is_tiff
from medcolor.volume.visible_human import is_genesis_folder, open_genesis_stack


def open_volume(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open a scan of any kind that is read.

    Args:
        path: NIfTI, NRRD, MGH, DICOM or multi-page TIFF file, zip archive, or folder of a DICOM
            series, of slice images or of an OME-Zarr image.
        settings: What the files do not say, and choices among several volumes.
        staging: Folder for what has to be inflated or put together once.

    Raises:
        InputError: Absent, of no known kind, or not fit to be read.
    """
    try:
        refuse_absent(path)
        if not path.exists():
            raise InputError(path, "no such file or folder", "Check the path")
        if not (path.is_dir() or path.is_file()):
            raise InputError(path, "neither a file nor a folder", "Give a file or a folder")
        opener = _open_folder if path.is_dir() else _open_file
        volume = opener(path, settings, staging)
    except OSError as error:
        raise InputError(
            path, f"cannot be read ({error.strerror or type(error).__name__})", "Check the file"
        ) from error
    # Fused once here instead of once a slice: that took longer than reading it.
    (fused,) = optimize(volume.intensity)
    return replace(volume, intensity=fused)


def _open_file(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    head = read_head(path, HEAD_BYTES)
    if is_nifti(head):
        return open_nifti(path, settings, staging)
    if is_mgh(head):
        return open_mgh(path, settings, staging)
    if head.startswith(nrrd.MAGIC):
        return nrrd.open_nrrd(path, settings, staging)
    if head.startswith(archive.MAGIC):
        return _open_folder(archive.unpack(path, staging), settings, staging)
    if is_tiff(head):
        return open_tiff(path, settings, staging)
    if is_dicom(head):
        return _open_dicom(path, settings, staging, "DICOM")
    if is_analyze(path.name, head):
        raise InputError(
            path, "an Analyze header, which does not tell left from right", "Convert it to NIfTI"
        )
    what = "an empty file" if not head else "not a kind of file that is read"
    raise InputError(
        path,
        what,
        "Give NIfTI, NRRD, MGH, DICOM, multi-page TIFF, a zip archive, or a folder of DICOM, PNG, "
        "JPEG or TIFF slices or of an OME-Zarr image",
    )


def _open_folder(folder: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    os.scandir(folder).close()  # a folder that may not be read says so here
    refuse_absent_below(folder)
    if is_zarr(folder):
        return open_ome_zarr(folder, settings, staging)
    if list_images(folder) and not _has_dicom(folder):
        return open_image_stack(folder, settings)
    if is_genesis_folder(folder):
        return open_genesis_stack(folder, settings)
    return _open_dicom(folder, settings, staging, "no images, and DICOM")


def _open_dicom(path: Path, settings: VolumeSettings, staging: Path, what: str) -> GrayVolume:
    require("dicom", path, what)
    from medcolor.volume.dicom import open_dicom

    return open_dicom(path, settings, staging)


def refuse_unread(path: Path) -> None:
    """Refuse a scan that this installation cannot read, as far as a glance at it tells.

    Raises:
        InputError: It is DICOM, and the extra `dicom` is not installed.
    """
    if not missing_modules("dicom"):
        return
    if _has_dicom(path) if path.is_dir() else path.is_file() and _is_dicom(path):
        require("dicom", path, "DICOM")


def _has_dicom(folder: Path) -> bool:
    """Tell whether a file of a folder begins as DICOM does: a picture may lie beside a series."""
    others = (path for path in list_files(folder) if path.suffix.lower() not in IMAGE_SUFFIXES)
    return any(map(_is_dicom, others))


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as stream:
        return is_dicom(stream.read(HEAD_BYTES))


def read_slice(
    volume: GrayVolume, z: int, settings: VolumeSettings
) -> Float[np.ndarray, "row col"]:
    """Read one slice of physical values, `OUTSIDE` where nothing was scanned.

    Raises:
        InputError: Unreadable; NaN or infinity, unless settings.nonfinite_value replaces them.
    """
    try:
        values = np.asarray(_chunk(volume.intensity, z)[0], np.float32)
    except OSError as error:
        raise InputError(
            f"{volume.source}, slice {z}",
            f"cannot be read ({error.strerror or type(error).__name__})",
            "Check the file",
        ) from error
    finite = np.isfinite(values)
    if volume.has_outside:
        finite |= values == OUTSIDE
    if finite.all():
        return values
    if settings.nonfinite_value is None:
        raise InputError(
            f"{volume.source}, slice {z}",
            f"{int((~finite).sum())} voxels are NaN or infinite",
            "Mend the file, or name the value to take for them: --set volume.nonfinite_value=0, "
            "or =outside where nothing was scanned",
        )
    value = settings.nonfinite_value
    return np.where(finite, values, np.float32(OUTSIDE if value == "outside" else value))


def _chunk(intensity: Any, z: int) -> Any:
    """Return a slice, which is a chunk, by that part of the graph alone."""
    key = (intensity.name, range(len(intensity))[z], 0, 0)
    return get_sync(intensity.dask.cull({key}), key)
