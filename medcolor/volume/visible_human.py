"""Visible Human CT and MRI: slices of several sessions brought to one grid.

Sessions differ in field of view and centre, and locations in headers count anew in each; of CT
the number in a file's name is the place along the body in millimetres. Taking the slices as one
stack with one pixel size gives a wrong body that still looks like one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Int16

from medcolor.domain import GrayVolume
from medcolor.errors import InputError, some_of
from medcolor.volume.choice import chosen_volume
from medcolor.volume.even_stack import even_stack, lazy_stack, placed
from medcolor.volume.files import list_files
from medcolor.volume.genesis import (
    GenesisSlice,
    is_genesis_name,
    read_genesis,
    slice_number,
    text_header_of,
    to_values,
)
from medcolor.volume.geometry import to_lps
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import version_of

_CROWN = 1001
"""Number of the section that z = 0 is given."""

_NAMED = 12


def is_genesis_folder(folder: Path) -> bool:
    """Tell a folder of Genesis slices by the names in it."""
    return any(is_genesis_name(path.name) for path in list_files(folder))


def open_genesis_stack(folder: Path, settings: VolumeSettings) -> GrayVolume:
    """Open the slices of a folder on the grid of the largest field of view.

    Args:
        folder: Of one kind of slices; text headers beside them or in `<folder>Headers`.
        settings: `uneven` says what to do about numbers that are missing.

    Raises:
        InputError: Damaged slices; several kinds; gaps that are not to be interpolated.
    """
    paths = [path for path in list_files(folder) if is_genesis_name(path.name)]
    texts = [text_header_of(path) for path in paths]
    versions = tuple(version_of(path) for path in (*paths, *texts) if path is not None)
    chosen_volume(folder, settings)
    slices, empty, doubled = _read_headers(tuple(paths), versions)
    if len({one.is_ct for one in slices}) != 1:
        what = "CT and MRI" if slices else f"{len(empty)} empty files"
        raise InputError(folder, f"holds {what}", "Give a folder of one kind of slices")
    heights = _heights(folder, slices)
    order = np.argsort(heights)
    slices, along = [slices[i] for i in order], heights[order]
    lost = _lost(slices, along, empty)
    steps = [f"numbers lost or empty: {lost}"] if lost else []
    steps += [f"the same image twice: {', '.join(doubled)}"] if doubled else []
    if lost and settings.uneven == "refuse":
        raise InputError(
            folder,
            f"numbers lost or empty: {lost}",
            "Fetch them, or interpolate: --set volume.uneven=resample",
        )
    grid = max(slices, key=lambda one: one.field_mm)
    rows, cols = grid.shape
    center = grid.center_mm or (0.0, 0.0, 0.0)
    row_mm, col_mm = grid.pixel_mm
    first = np.array([center[0] - (cols - 1) / 2 * col_mm, center[1] - (rows - 1) / 2 * row_mm])
    positions = np.array([[*first, z] for z in along])

    def read(number: int) -> Float[np.ndarray, "row col"]:
        return resampled(slices[number], grid)

    stack = even_stack(
        folder,
        positions,
        np.eye(3),
        grid.pixel_mm,
        grid.shape,
        read,
        may_resample=settings.uneven == "resample",
    )
    steps += _what_was_done(slices, grid)
    affine = np.diag([-col_mm, -row_mm, float(stack.step[2]), 1.0])
    affine[:3, 3] = np.array([-1, -1, 1]) * stack.origin
    array, geometry = to_lps(
        lazy_stack(stack, read).transpose(2, 1, 0), affine, (*steps, *stack.steps)
    )
    # What a text header says decides voxels, too.
    kept = tuple(path for one in slices for path in (one.path, one.text_header) if path is not None)
    facts: dict[str, str | float] = {
        "format": "GE Genesis", "modality": "CT" if grid.is_ct else "MR"
    }  # fmt: skip
    unit: Literal["HU", "raw"] = "HU" if grid.is_ct else "raw"
    # Of a smaller field of view the rim was not scanned.
    return GrayVolume(
        array, unit, geometry, str(folder), kept, facts, is_placed=True, has_outside=True
    )


def _what_was_done(slices: Sequence[GenesisSlice], grid: GenesisSlice) -> list[str]:
    """Return in words what bringing the slices to one grid took."""
    steps = []
    if mended := sum(one.is_offset_mended for one in slices):
        steps.append(f"where pixels begin told by the size in {mended} slices")
    fields = sorted({round(one.field_mm, 1) for one in slices})
    if len(fields) > 1 or len({one.center_mm and one.center_mm[:2] for one in slices}) > 1:
        named = ", ".join(f"{field:g}" for field in fields)
        steps.append(f"fields of view of {named} mm resampled to {grid.field_mm:g} mm")
    if any(one.center_mm is None for one in slices):
        steps.append("slices without a text header taken as centred")
    return steps


def resampled(one: GenesisSlice, grid: GenesisSlice) -> Float[np.ndarray, "row col"]:
    """Read a slice and put it where it lies on the grid of another (bilinear)."""
    found = read_genesis(one.path)
    if found is None:
        raise InputError(one.path, "empty by now", "Fetch the file again")
    values = to_values(*found)
    own, common = one.center_mm or (0.0, 0.0, 0.0), grid.center_mm or (0.0, 0.0, 0.0)
    if one.pixel_mm == grid.pixel_mm and own[:2] == common[:2] and one.shape == grid.shape:
        return values
    # Pixel of the grid -> mm -> pixel of the slice, both counted from their centres.
    scale_x, scale_y = grid.pixel_mm[1] / one.pixel_mm[1], grid.pixel_mm[0] / one.pixel_mm[0]
    shift_x = (common[0] - own[0]) / one.pixel_mm[1] + _middle(one.shape[1])
    shift_y = (common[1] - own[1]) / one.pixel_mm[0] + _middle(one.shape[0])
    matrix = np.array(
        [
            [scale_x, 0, shift_x - scale_x * _middle(grid.shape[1])],
            [0, scale_y, shift_y - scale_y * _middle(grid.shape[0])],
        ]
    )
    return placed(values, matrix, grid.shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _middle(count: int) -> float:
    return (count - 1) / 2


@lru_cache(maxsize=2)  # all files are read through: a process that opens them again need not
def _read_headers(
    paths: tuple[Path, ...], _versions: tuple[str, ...]
) -> tuple[list[GenesisSlice], list[int], list[str]]:
    """Return the slices, the numbers of empty files, and pairs of numbers that show the same."""
    slices: list[GenesisSlice] = []
    empty: list[int] = []
    doubled: list[str] = []
    shown: dict[bytes, int] = {}
    for path in paths:
        found = read_genesis(path)
        if found is None:
            empty.append(slice_number(path.name))
            continue
        one, stored = found
        slices.append(one)
        first = shown.setdefault(_digest(stored), one.number)
        if first != one.number:
            doubled.append(f"{first} and {one.number}")
    return slices, empty, doubled


def _digest(stored: Int16[np.ndarray, "row col"]) -> bytes:
    return hashlib.blake2b(stored.tobytes(), digest_size=16).digest()


def _heights(folder: Path, slices: Sequence[GenesisSlice]) -> Float[np.ndarray, " slice"]:
    """Return millimetres toward the head: by number of CT, by text header of MRI."""
    if slices[0].is_ct:
        return np.array([float(_CROWN - one.number) for one in slices])
    if any(one.center_mm is None for one in slices):
        raise InputError(
            folder, "MRI slices without their text headers", "Put the mriHeaders beside them"
        )
    return np.array([one.center_mm[2] for one in slices if one.center_mm is not None])


def _lost(
    slices: Sequence[GenesisSlice], along: Float[np.ndarray, " slice"], empty: Sequence[int]
) -> str:
    """Return the numbers of CT that an even sequence would have, as ranges; or ''."""
    if not slices[0].is_ct or len(slices) < 2:
        return ""
    step = round(float(np.diff(along).min()))
    numbers = {one.number for one in slices}
    whole = range(min(numbers), max(numbers) + 1, max(1, step))
    lost = sorted(({*whole} | {n for n in empty if n in whole}) - numbers)
    ranges: list[list[int]] = []
    for number in lost:
        if ranges and number - ranges[-1][-1] == max(1, step):
            ranges[-1].append(number)
        else:
            ranges.append([number])
    named = [f"{r[0]}" if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in ranges]
    return some_of(named, _NAMED)
