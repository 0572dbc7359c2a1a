"""NIfTI volumes (version 1 and 2), read slice by slice from an uncompressed file."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import dask.array as da
import nibabel as nib
import numpy as np

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_affine, check_shape
from medcolor.volume.choice import chosen_volume
from medcolor.volume.files import refuse_absent
from medcolor.volume.geometry import chunks_of_slices, to_lps
from medcolor.volume.gzipped import inflated, read_head
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import FlatVoxels
from medcolor.volume.units import in_millimetres

_HEADER_BYTES = 544
_UNITS = {0: "", 1: "m", 2: "mm", 3: "um"}
"""NIfTI's codes of units."""

_MRI_TIMES = re.compile(rb"\bT[ER] ?= ?\d")
_BY_SPACING = "placed by its spacing alone: neither sform nor qform"
_LENGTH_BITS = 7
_MAGICS = (b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0")
"""Of version 1, one file and header of a pair; of version 2."""


def is_nifti(head: bytes) -> bool:
    """Tell a NIfTI, or the header of a pair, by its first bytes, inflated."""
    return head[344:348] in _MAGICS[:2] or head[4:8] in _MAGICS[2:]


def is_analyze(name: str, head: bytes) -> bool:
    """Tell a header of Analyze 7.5, from which NIfTI comes, by name and the size that it says."""
    return name.lower().endswith(".hdr") and head[:4] in (b"\x5c\1\0\0", b"\0\0\1\x5c")


def open_nifti(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open a NIfTI file of one volume, or one volume of several.

    Args:
        path: `.nii`, or the `.hdr` beside an `.img`; a compressed file (`.gz`) is inflated once
            into `staging`, because every slice of it would cost inflating all that lies before.
        settings: `time_point` chooses along the fourth axis, `channel` along the fifth.
        staging: Folder for the inflated copy, shared by all workers.

    Raises:
        InputError: Unreadable, truncated, several volumes and none chosen, a header that
            promises what cannot be, or voxels that are not plain numbers.
    """
    header = _read_header(path)
    shape = tuple(int(side) for side in header.get_data_shape())
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        what = "colours" if dtype.names else f"type {dtype}"
        raise InputError(
            path, f"voxels of {what}, expected integers or floats", "Save one grey volume"
        )
    time_points, channels = _counts(path, shape)
    check_shape(path, shape[:3], dtype.itemsize)
    channel, time_point = chosen_volume(path, settings, channels=channels, time_points=time_points)
    begin, source = int(header["vox_offset"]), _voxel_file(path, header)
    expected = begin + math.prod(shape) * dtype.itemsize
    file = inflated(source, expected, staging)
    affine = np.asarray(header.get_best_affine(), float)
    unit = _UNITS.get(code := int(header["xyzt_units"]) & _LENGTH_BITS, f"code {code}")
    (length,), told = in_millimetres(path, [unit], settings.length_unit)
    affine[:3] *= length
    check_affine(path, affine)
    slope, intercept = header.get_slope_inter()
    voxels = FlatVoxels(
        file,
        dtype,
        begin,
        (*shape[:3], time_points, channels),
        picks=(None, None, None, time_point, channel),
        slope=1.0 if slope is None else float(slope),
        intercept=float(intercept or 0.0),
    )
    chunks = chunks_of_slices(affine, shape[:3])
    name = f"nifti-{path}-{time_point}-{channel}"
    stored = da.from_array(voxels, chunks=chunks, name=name, meta=np.empty(0))
    array, geometry = to_lps(stored, affine, (_placed_by(header), *told))
    files = tuple(dict.fromkeys((path, source)))
    facts: dict[str, str | float] = {"format": "NIfTI", **_modality(header)}
    is_placed = _placed_by(header) != _BY_SPACING
    return GrayVolume(array, "raw", geometry, str(path), files, facts, is_placed=is_placed)


def _modality(header: Any) -> dict[str, str]:
    """Return MR if the description holds echo or repetition time, as dcm2niix and SPM write it."""
    is_mr = _MRI_TIMES.search(bytes(header["descrip"]))
    return {"modality": "MR"} if is_mr else {}


def _placed_by(header: Any) -> str:
    """Return in words which of its placements the affine is: the best that is said to be one."""
    for form in ("sform", "qform"):
        if int(header[f"{form}_code"]) > 0:
            return f"placed by its {form}"
    return _BY_SPACING


def _voxel_file(path: Path, header: Any) -> Path:
    """Return the file that holds the voxels: this one, or the `.img` of a pair."""
    if b"+" in bytes(header["magic"]):
        return path
    stem = path.name.removesuffix(".gz").removesuffix(".hdr")
    for name in (f"{stem}.img", f"{stem}.img.gz"):
        refuse_absent(path.parent / name)
        if path.name.endswith((".hdr", ".hdr.gz")) and (path.parent / name).is_file():
            return path.parent / name
    raise InputError(
        path, f"a header without its voxels ({stem}.img)", "Put both of the pair side by side"
    )


def _read_header(path: Path) -> Any:
    """Read and check the header alone."""
    head = read_head(path, _HEADER_BYTES)
    if not is_nifti(head):
        raise InputError(path, "no readable NIfTI file (no NIfTI header)", "Check the file")
    is_first = head[344:348] in _MAGICS[:2]
    is_pair = _MAGICS[1] in head[344:348] or _MAGICS[3] in head[4:8]
    first: Any = nib.nifti1.Nifti1PairHeader if is_pair else nib.Nifti1Header
    second: Any = nib.nifti2.Nifti2PairHeader if is_pair else nib.Nifti2Header
    kind, size = (first, 348) if is_first else (second, 540)
    try:
        # nibabel tells every oddity that it mends on standard error.
        with nib.imageglobals.LoggingOutputSuppressor():
            header = kind(head[:size], check=True)
        header.get_data_shape(), header.get_data_dtype(), header.get_best_affine()
        header.get_slope_inter()
    except Exception as error:  # whatever a damaged header makes the parser raise
        raise InputError(
            path, "no readable NIfTI file (its header is damaged)", "Fetch the file again"
        ) from error
    if not (0 if is_pair else size) <= float(header["vox_offset"]) < 1 << 30:
        raise InputError(
            path, f"voxels begin at byte {float(header['vox_offset']):g}", "Fetch the file again"
        )
    return header


def _counts(path: Path, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many time points (axis 4) and channels (axis 5) there are."""
    if len(shape) < 3:
        raise InputError(path, f"{len(shape)} dimensions {shape}, expected 3", "Give a volume")
    time_points, channels, *others = (*shape[3:], 1, 1)[: max(2, len(shape) - 3)]
    if min(shape) < 1:
        raise InputError(path, f"dimensions {shape}", "Fetch the file again")
    if math.prod(others) > 1:
        raise InputError(path, f"dimensions {shape}, at most 5 are read", "Save one of its parts")
    return time_points, channels
