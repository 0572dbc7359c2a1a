"""Photographs registered to a scan: the file of places, and which of them judge.

The file is an npz archive of three arrays for every level, which is the number in its photograph's
name: `N_place`, int16 (3, row, col), the index z, y, x in the scan, times 32, of each pixel of a
box; `N_box`, first row, row after the last, first column, column after the last, in the photograph
brought to the radiological view; `N_body`, the body in that box, packed bits of uint8. Indices
count in the scan as it is read, in LPS order.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from medcolor.domain import Box
from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord, position_of
from medcolor.reference.settings import ReferenceSettings

_KEY = re.compile(r"(\d{1,9})_(place|box|body)")
_PARTS = "place", "box", "body"
_STEPS = 32
_MOST_BYTES = 1 << 28
_REMEDY = "Give an npz of N_place, N_box and N_body for every level N"


@dataclass(frozen=True)
class RegisteredLevel:
    """Where the pixels of one photograph lie in the scan."""

    number: int
    """In the name of the photograph."""

    place: Float[np.ndarray, "3 row col"]
    """Voxel index (z, y, x)."""

    body: Bool[np.ndarray, "row col"]
    box: Box
    """In the photograph in the radiological view."""


def read_places(path: Path) -> list[RegisteredLevel]:
    """Read a file of places, by number.

    Raises:
        InputError: It is none.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("one array alone")
        with archive:
            return _levels(archive)
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror or error})", "Check it") from error
    except (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        why = " ".join(str(error.args[0] if error.args else error).split())
        raise InputError(path, f"no file of places ({why[:200]})", _REMEDY) from error


def _levels(archive: np.lib.npyio.NpzFile) -> list[RegisteredLevel]:
    numbers = _numbers(archive.files)
    for one in archive.zip.infolist() if archive.zip else ():
        if one.file_size > _MOST_BYTES:
            raise ValueError(f"{one.filename} of {one.file_size} bytes")
    return [_level(number, *(archive[f"{number}_{part}"] for part in _PARTS)) for number in numbers]


def _numbers(keys: Iterable[str]) -> list[int]:
    """Return the numbers of levels, each of which must have all its parts and no other name."""
    found: dict[int, set[str]] = {}
    for key in keys:
        match = _KEY.fullmatch(key)
        if match is None or match[1] != str(int(match[1])):
            raise ValueError(f"holds {key}")
        found.setdefault(int(match[1]), set()).add(match[2])
    for number, parts in found.items():
        if missing := set(_PARTS) - parts:
            raise ValueError(f"level {number} has no {sorted(missing)[0]}")
    if not found:
        raise ValueError("no level")
    return sorted(found)


def _level(number: int, place: np.ndarray, box: np.ndarray, bits: np.ndarray) -> RegisteredLevel:
    if box.shape != (4,) or box.dtype.kind not in "iu":
        raise ValueError(f"{number}_box is {box.dtype} {box.shape}, expected 4 whole numbers")
    corners = Box(*(int(edge) for edge in box))
    rows, cols = corners.shape
    if min(corners.row_start, corners.col_start) < 0 or min(rows, cols) < 1:
        raise ValueError(f"{number}_box is {box.tolist()}")
    if place.dtype != np.int16 or place.shape != (3, rows, cols):
        raise ValueError(f"{number}_place is {place.dtype} {place.shape}, the box {rows} x {cols}")
    if bits.dtype != np.uint8 or bits.shape != (-(-rows * cols // 8),):
        raise ValueError(f"{number}_body is {bits.dtype} {bits.shape}, the box {rows} x {cols}")
    body = np.unpackbits(bits, count=rows * cols).reshape(rows, cols) > 0
    return RegisteredLevel(number, place.astype(np.float32) / _STEPS, body, corners)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which levels are judged, and which photographs stay away for it."""

    levels: tuple[int, ...] = ()
    """Numbers; without any, every `every`-th, the `first`-th from the head first."""

    every: int = 4
    first: int = 4
    leave_out_mm: float = 5.0
    """Photographs nearer than this to a judged one give no colours; it itself never does."""

    def judged(self, numbers: Sequence[int]) -> list[int]:
        """Return the numbers that are judged.

        Raises:
            InputError: There is no such level.
        """
        for number in self.levels:
            if number not in numbers:
                known = ", ".join(map(str, numbers))
                raise InputError(f"--level {number}", "no such level", f"Give some of {known}")
        found = sorted(set(self.levels)) or list(numbers)[self.first - 1 :: self.every]
        if not found:
            raise InputError(f"--first {self.first}", f"{len(numbers)} levels", "Give less")
        return found


@dataclass(frozen=True)
class Library:
    """Photographs, divided."""

    judged: dict[int, ReferenceRecord]
    """By level."""

    used: tuple[ReferenceRecord, ...]
    """That may give colours."""

    left_out: tuple[ReferenceRecord, ...]
    """That may not: the judged ones, and those near them."""

    nearest_mm: float
    """Least distance of a judged one to one that is used."""


def divide(
    folder: Path,
    records: Sequence[ReferenceRecord],
    judged: Sequence[int],
    leave_out_mm: float,
    settings: ReferenceSettings,
) -> Library:
    """Find the photographs of levels, and leave them and their neighbours out.

    Raises:
        InputError: Names carry no positions, a level has no photograph, or none is left.
    """
    places = [record.position_mm for record in records if record.position_mm is not None]
    if len(places) < len(records):
        raise InputError(folder, "names carry no positions", "Name the files by their mm")
    by_place = dict(zip(places, records, strict=True))
    wanted = {number: position_of(float(number), settings) for number in judged}
    for number, place in wanted.items():
        if place not in by_place:
            raise InputError(folder, f"no photograph of level {number}", "Add it")
    centers = np.array(list(wanted.values()))
    distances = np.abs(np.array(places)[:, None] - centers).min(axis=1)
    is_used = (distances >= leave_out_mm) & (distances > 0)
    if not is_used.any():
        raise InputError(
            folder, f"no photograph is {leave_out_mm:g} mm from all judged ones", "Judge fewer"
        )
    used, left = (
        tuple(one for one, keep in zip(records, flags, strict=True) if keep)
        for flags in (is_used, ~is_used)
    )
    judged_records = {number: by_place[place] for number, place in wanted.items()}
    return Library(judged_records, used, left, float(distances[is_used].min()))
