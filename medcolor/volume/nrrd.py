"""NRRD volumes (`.nrrd`, `.nhdr`): header by pynrrd, voxels slice by slice from a flat file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import dask.array as da
import nrrd
import numpy as np
from numpy.typing import NDArray

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_affine, check_shape
from medcolor.volume.choice import chosen_volume
from medcolor.volume.geometry import affine_from_code, chunks_of_slices, to_lps
from medcolor.volume.nrrd_axes import Role, directions_of, roles_of, space_of
from medcolor.volume.nrrd_voxels import flat_file, voxel_file
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import FlatVoxels
from medcolor.volume.units import in_millimetres

MAGIC = b"NRRD000"
_SPACES = {
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
"""Signs that turn an anatomical space into RAS."""

_DTYPES = {
    "int8": "i1", "signed char": "i1", "int8_t": "i1",
    "uint8": "u1", "uchar": "u1", "unsigned char": "u1", "uint8_t": "u1",
    "int16": "i2", "short": "i2", "short int": "i2", "signed short": "i2", "int16_t": "i2",
    "signed short int": "i2",
    "uint16": "u2", "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2",
    "uint16_t": "u2",
    "int32": "i4", "int": "i4", "signed int": "i4", "int32_t": "i4",
    "uint32": "u4", "uint": "u4", "unsigned int": "u4", "uint32_t": "u4",
    "int64": "i8", "longlong": "i8", "long long": "i8", "int64_t": "i8",
    "uint64": "u8", "ulonglong": "u8", "unsigned long long": "u8", "uint64_t": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
_ENDS = {"little": "<", "big": ">"}
_SPACE = "space "


def open_nrrd(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open one volume of an NRRD file.

    Args:
        path: With its voxels attached, or a header with one file of voxels beside it.
        settings: `spacing_mm` and `orientation` where the file does not know its space; `channel`
            along an axis of components, `time_point` along one of volumes.
        staging: Folder for inflated voxels.

    Raises:
        InputError: Unreadable, truncated, without three axes of space, several volumes and none
            chosen, or of an encoding that is not read.
    """
    header, begin = _read_header(path)
    try:
        shape = tuple(int(side) for side in header["sizes"])
        dtype = np.dtype(_DTYPES[str(header["type"]).lower()])
        encoding = str(header["encoding"]).lower()
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            path, "a header without sizes, encoding or a plain type", "Convert the file"
        ) from error
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(
            path, f"dimensions {shape}, expected 3 of at least 1", "Save one grey volume"
        )
    roles = roles_of(path, header, shape)
    space = tuple(side for side, role in zip(shape, roles, strict=True) if role == "space")
    check_shape(path, space, dtype.itemsize)
    channel, time_point = chosen_volume(
        path,
        settings,
        channels=_side(shape, roles, "channel"),
        time_points=_side(shape, roles, "time_point"),
    )
    if dtype.itemsize > 1:
        dtype = dtype.newbyteorder(_end(path, header))
    expected = math.prod(shape) * dtype.itemsize
    file, offset = flat_file(path, header, encoding, begin, expected, staging)
    if file.stat().st_size < offset + expected:
        raise InputError(
            path,
            f"truncated: {file.stat().st_size - offset} bytes of voxels, expected {expected}",
            "Fetch the file again",
        )
    affine, (words, *told) = _affine(path, header, roles, settings)
    check_affine(path, affine)
    pick = {"space": None, "channel": channel, "time_point": time_point}
    picks = tuple(
        0 if side == 1 and role != "space" else pick[role]
        for side, role in zip(shape, roles, strict=True)
    )
    voxels = FlatVoxels(file, dtype, offset, shape, picks=picks)
    chunks = chunks_of_slices(affine, space)
    name = f"nrrd-{path}-{time_point}-{channel}"
    stored = da.from_array(voxels, chunks=chunks, name=name, meta=np.empty(0))
    array, geometry = to_lps(stored, affine, (words, *told))
    return GrayVolume(
        array,
        "raw",
        geometry,
        str(path),
        tuple(dict.fromkeys((path, voxel_file(path, header)))),
        {"format": "NRRD", **_modality(header)},
        is_placed=words.startswith(_SPACE),
    )


def _modality(header: dict[str, Any]) -> dict[str, str]:
    """Return CT or MR where a key of its own says so (DWMRI is the one of diffusion)."""
    said = str(header.get("modality", "")).strip().upper()
    known = {"CT": "CT", "MR": "MR", "MRI": "MR", "DWMRI": "MR", "PT": "PT", "PET": "PT"}
    return {"modality": known[said]} if said in known else {}


def _end(path: Path, header: dict[str, Any]) -> Any:
    """Return the byte order; numbers of several bytes must name it."""
    said = str(header.get("endian", "none")).lower()
    if said not in _ENDS:
        raise InputError(path, f"endian {said:.10}, expected little or big", "Mend its header")
    return _ENDS[said]


def _side(shape: tuple[int, ...], roles: tuple[Role, ...], wanted: Role) -> int:
    """Return how many there are to choose from along the axes of a role."""
    return math.prod(side for side, role in zip(shape, roles, strict=True) if role == wanted)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header and the byte behind it."""
    try:
        with path.open("rb") as file:
            # pynrrd itself drops what is not ASCII: of a micron sign and an m stays a metre.
            lines = (line.decode("utf-8", "surrogateescape") for line in iter(file.readline, b""))
            return dict(nrrd.read_header(lines)), file.tell()
    except OSError:
        raise
    except Exception as error:  # whatever a damaged header makes the parser raise
        raise InputError(path, "no readable NRRD header", "Fetch the file again") from error


def _affine(
    path: Path, header: dict[str, Any], roles: tuple[Role, ...], settings: VolumeSettings
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return index to mm in RAS, and where it comes from."""
    of_space = [axis for axis, role in enumerate(roles) if role == "space"]
    space = space_of(header)
    if header.get("space directions") is not None and space in _SPACES:
        affine = np.eye(4)
        directions = directions_of(header, len(roles))
        try:
            origin = np.ravel(np.asarray(header.get("space origin", [0] * 3), float))[:3]
            affine[:3, 3] = np.reshape(origin, 3)
        except (ValueError, TypeError) as error:
            raise InputError(path, "an origin that is no place", "Mend its header") from error
        if directions is None or np.isnan(directions[of_space]).any():
            raise InputError(path, "axes without directions in space", "Mend its header")
        affine[:3, :3] = directions[of_space].T
        lengths, told = _millimetres(path, header, "space units", [0, 1, 2], settings)
        affine[:3] *= lengths[:, None]
        return np.diag([*_SPACES[space], 1.0]) @ affine, (f"{_SPACE}{space}", *told)
    spacings, told = settings.spacing_mm, ()
    if spacings is None:
        stated = np.asarray(header.get("spacings", [np.nan] * len(roles)), float)
        stored = stated[of_space] if len(stated) == len(roles) else np.full(3, np.nan)
        if not (np.isfinite(stored).all() and stored.min() > 0):
            raise InputError(
                path,
                "neither an anatomical space nor spacings above 0",
                "Give them in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
            )
        lengths, told = _millimetres(path, header, "units", of_space, settings)
        z, y, x = (float(side) for side in (stored * lengths)[::-1])
        spacings = z, y, x
    words = f"axes taken as {settings.orientation}"
    return affine_from_code(settings.orientation, spacings), (words, *told)


def _millimetres(
    path: Path, header: dict[str, Any], field: str, axes: list[int], settings: VolumeSettings
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the length of the unit along each of three axes, and what to tell of it."""
    units = header.get(field) or [""] * (max(axes) + 1)
    if len(units) <= max(axes):
        raise InputError(path, f"{len(units)} {field}, expected {max(axes) + 1}", "Mend its header")
    lengths, told = in_millimetres(path, [units[axis] for axis in axes], settings.length_unit)
    return np.array(lengths), told
