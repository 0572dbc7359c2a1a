"""FreeSurfer's volumes (`.mgh`, `.mgz`), read slice by slice from an uncompressed file.

https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat. The header is nibabel's to read.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import dask.array as da
import nibabel as nib
import numpy as np
from nibabel.affines import from_matvec

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_affine, check_shape
from medcolor.volume.choice import chosen_volume
from medcolor.volume.geometry import chunks_of_slices, to_lps
from medcolor.volume.gzipped import inflated, read_head
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import FlatVoxels
from medcolor.volume.units import in_millimetres

_HEADER_BYTES = 284
"""Where voxels begin."""

_TYPES = {0: "u1", 1: "i4", 3: "f4", 4: "i2", 10: "u2"}
_HAS_PLACE = slice(28, 30)
_CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Columns: the axes to the left, down and forwards of a file without a place, 1 mm a voxel."""

_MAGIC = b"\0\0\0\1"
"""The version; with a known type and sizes above 0 it is enough to tell the format by."""


def is_mgh(head: bytes) -> bool:
    """Tell a volume of FreeSurfer by its first bytes, inflated."""
    if len(head) < _HEADER_BYTES or not head.startswith(_MAGIC):
        return False
    *sides, kind = struct.unpack(">5i", head[4:24])
    return min(sides) > 0 and kind in _TYPES and head[_HAS_PLACE] in (b"\0\0", b"\0\1")


def open_mgh(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open one frame of a volume of FreeSurfer.

    Args:
        path: `.mgh`, or `.mgz`, which is inflated once into `staging`.
        settings: `time_point` chooses among frames.
        staging: Folder for the inflated copy, shared by all workers.

    Raises:
        InputError: Unreadable, truncated, several frames and none chosen, or a header that
            promises what cannot be.
    """
    head = read_head(path, _HEADER_BYTES)
    try:
        header: Any = nib.freesurfer.mghformat.MGHHeader(head, check=False)
        with np.errstate(all="ignore"):  # what is no place is refused below
            affine = np.asarray(header.get_affine(), float)
    except Exception as error:  # whatever a damaged header makes the parser raise
        raise InputError(
            path, "no readable MGH file (its header is damaged)", "Fetch the file again"
        ) from error
    is_placed = head[_HAS_PLACE] != b"\0\0"
    cols, rows, depth, frames, kind = struct.unpack(">5i", head[4:24])
    shape, dtype = (cols, rows, depth), np.dtype(f">{_TYPES[kind]}")
    check_shape(path, shape, dtype.itemsize)
    if not is_placed:  # nibabel has these axes transposed
        affine = from_matvec(_CORONAL, -_CORONAL @ np.array(shape) / 2)
    _, time_point = chosen_volume(path, settings, time_points=frames)
    file = inflated(path, _HEADER_BYTES + math.prod(shape) * frames * dtype.itemsize, staging)
    (length,), told = in_millimetres(path, ["mm"], settings.length_unit)
    affine[:3] *= length
    check_affine(path, affine)
    voxels = FlatVoxels(
        file,
        dtype,
        _HEADER_BYTES,
        (*shape, frames),
        picks=(None, None, None, time_point),
    )
    chunks = chunks_of_slices(affine, shape)
    name = f"mgh-{path}-{time_point}"
    stored = da.from_array(voxels, chunks=chunks, name=name, meta=np.empty(0))
    how = "placed by its header" if is_placed else "placed by habit: its header says no place"
    array, geometry = to_lps(stored, affine, (how, *told))
    facts: dict[str, str | float] = {"format": "MGH"}
    return GrayVolume(array, "raw", geometry, str(path), (path,), facts, is_placed=is_placed)
