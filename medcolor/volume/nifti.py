"""NIfTI volumes, read slice by slice from an uncompressed file."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from pathlib import Path

import dask.array as da
import nibabel as nib
import numpy as np

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.geometry import to_lps

SUFFIXES = (".nii", ".nii.gz")


def open_nifti(path: Path, staging: Path) -> GrayVolume:
    """Open a three-dimensional NIfTI file.

    Args:
        path: `.nii` or `.nii.gz`; a compressed file is inflated once into `staging`,
            because every slice of it would cost inflating all that lies before.
        staging: Folder for the inflated copy, shared by all workers.

    Raises:
        InputError: Unreadable, truncated, not 3-D, or voxels that are not plain numbers.
    """
    file = _inflate(path, staging) if path.suffix.lower() == ".gz" else path
    try:
        image = nib.nifti1.load(file)
        shape, dtype = image.shape, image.get_data_dtype()
    except (nib.filebasedimages.ImageFileError, OSError, ValueError, EOFError) as error:
        raise InputError(path, f"no readable NIfTI file ({error})", "Check the file") from error
    if len(shape) != 3 and set(shape[3:]) != {1}:
        raise InputError(
            path, f"{len(shape)} dimensions {shape}, expected 3", "Extract one volume of the series"
        )
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InputError(
            path, f"voxels of type {dtype}, expected integers or floats", "Convert the file"
        )
    expected = int(image.header["vox_offset"]) + int(np.prod(shape)) * dtype.itemsize
    if file.stat().st_size < expected:
        raise InputError(
            path,
            f"truncated: {file.stat().st_size} bytes of voxels and header, expected {expected}",
            "Fetch the file again",
        )
    axes = nib.orientations.io_orientation(image.affine)[:, 0]
    slice_axis = int(np.flatnonzero(axes == 2)[0])
    chunks = tuple(1 if axis == slice_axis else shape[axis] for axis in range(3))
    proxy = image.dataobj if len(shape) == 3 else image.slicer[:, :, :, 0].dataobj
    stored = da.from_array(proxy, chunks=chunks, name=f"nifti-{path}", meta=np.empty(0))
    array, geometry = to_lps(stored.astype(np.float32), np.asarray(image.affine, float))
    return GrayVolume(array, "raw", geometry, str(path), (path,))


def _inflate(path: Path, staging: Path) -> Path:
    """Inflate `path` once for as long as it does not change; the copy is whole or absent."""
    status = path.stat()
    version = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    name = hashlib.blake2b(version.encode(), digest_size=8).hexdigest()
    staged = staging / f"{name}.nii"
    if staged.exists():
        return staged
    staged.parent.mkdir(parents=True, exist_ok=True)
    part = staged.with_suffix(f".part{os.getpid()}")
    try:
        with gzip.open(path, "rb") as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        part.replace(staged)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        part.unlink(missing_ok=True)
        raise InputError(path, f"damaged gzip file ({error})", "Fetch the file again") from error
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return staged
