"""DICOM: one series of a folder, sorted by position, in Hounsfield units where it says so."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

import numpy as np

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_affine, check_shape
from medcolor.volume.dicom_pixels import read_pixels
from medcolor.volume.dicom_slices import DicomSlice, read_slices_of
from medcolor.volume.even_stack import even_stack, lazy_stack, shift
from medcolor.volume.files import natural_key
from medcolor.volume.geometry import to_lps
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import put_together, version_of

_log = logging.getLogger(__name__)


def open_dicom(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open one series of a folder, those below it included, or of a file with several frames.

    Args:
        path: Folder or file.
        settings: `series` chooses among several, `uneven` says what to do about gaps.
        staging: Folder where a series that is not cut axially is put together.

    Raises:
        InputError: No series, or several and none chosen; slices of different size or
            direction; uneven ones that are not to be resampled; unreadable.
    """
    found = [one for file in _files(path) for one in read_slices_of(file)]
    if not found:
        raise InputError(path, "no images and no DICOM slices", "Give a folder of one series")
    slices = _choose_series(path, found, settings)
    _refuse_mixture(slices)
    if any(one.is_burned_in for one in slices):
        _log.warning("the series says that text is painted into its pixels: it may name a person")
    first = slices[0]
    slices.sort(key=lambda one: float(one.position @ first.normal))
    check_shape(path, (len(slices), *first.shape))
    stack = even_stack(
        path,
        np.array([one.position for one in slices]),
        np.array([first.row_direction, first.col_direction, first.normal]),
        first.pixel_mm,
        first.shape,
        lambda number: read_pixels(slices[number]),
        may_resample=settings.uneven == "resample",
    )
    affine = np.eye(4)
    affine[:3, 0] = first.row_direction * first.pixel_mm[1]
    affine[:3, 1] = first.col_direction * first.pixel_mm[0]
    affine[:3, 2], affine[:3, 3] = stack.step, stack.origin
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # LPS to RAS
    check_affine(path, affine)
    stored = lazy_stack(
        stack, lambda number: _read(slices[number], stack.shifts_px[number], stack.shape)
    ).transpose(2, 1, 0)
    if int(np.abs(first.normal).argmax()) != 2:
        stored = put_together(stored, affine, _version_of(slices, affine), staging)
    array, geometry = to_lps(stored, affine, (*stack.steps, *_done_to_values(slices)))
    unit: Literal["HU", "raw"] = "HU" if first.is_hounsfield else "raw"
    has_outside = stack.shape != first.shape or any(one.has_padding for one in slices)
    files = tuple(dict.fromkeys(one.path for one in slices))
    facts: dict[str, str | float] = {"format": "DICOM", "modality": first.modality, **first.facts}
    return GrayVolume(
        array,
        unit,
        geometry,
        str(path),
        files,
        facts,
        is_placed=True,
        has_outside=has_outside,
    )


def _files(path: Path) -> list[Path]:
    """Return the visible files of a folder and below; links to folders are not followed."""
    if path.is_file():
        return [path]
    found = []
    for folder, below, names in os.walk(path):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted((file for file in found if file.is_file()), key=natural_key)


def _choose_series(
    path: Path, found: list[DicomSlice], settings: VolumeSettings
) -> list[DicomSlice]:
    """Return the slices of the one series, or of the one that was chosen."""
    by_uid: dict[str, list[DicomSlice]] = {}
    for one in found:
        by_uid.setdefault(one.series, []).append(one)
    uids = sorted(by_uid)
    chosen = settings.series
    if chosen is None and len(uids) == 1:
        return by_uid[uids[0]]
    if isinstance(chosen, int) or (chosen is not None and chosen.isdigit() and chosen not in uids):
        number = int(chosen)
        if 1 <= number <= len(uids):
            return by_uid[uids[number - 1]]
    elif chosen in by_uid:
        return by_uid[chosen]
    listed = "; ".join(
        f"{number}: {by_uid[uid][0].modality or 'no modality'}, {len(by_uid[uid])} slices of "
        f"{by_uid[uid][0].shape[1]} x {by_uid[uid][0].shape[0]}"
        for number, uid in enumerate(uids, 1)
    )
    missing = "" if chosen is None else ", not the chosen one"
    raise InputError(
        path, f"{len(uids)} series{missing} ({listed})", "Choose one: --set volume.series=1"
    )


def _refuse_mixture(slices: list[DicomSlice]) -> None:
    """Refuse slices of different size or direction."""
    first = slices[0]
    for one in slices:
        same = one.shape == first.shape and np.allclose(one.pixel_mm, first.pixel_mm)
        is_parallel = np.allclose(one.normal, first.normal, atol=1e-3)
        if not same or not is_parallel or one.is_hounsfield != first.is_hounsfield:
            raise InputError(
                one.path,
                f"{one.shape[1]} x {one.shape[0]} pixels of "
                f"{one.pixel_mm[1]:g} x {one.pixel_mm[0]:g} mm, another of the series is "
                f"{first.shape[1]} x {first.shape[0]} of {first.pixel_mm[1]:g} x "
                f"{first.pixel_mm[0]:g} mm, or their directions or units differ",
                "Keep slices of one size and direction",
            )
        # Turned over about different ends, one tissue would have many values.
        is_alike = one.counts_from_white == first.counts_from_white
        if not is_alike or (one.counts_from_white and one.rescale != first.rescale):
            raise InputError(
                one.path,
                "counts from white (MONOCHROME1), others of the series from black or by another "
                "rescale",
                "Save the series as MONOCHROME2",
            )


def _done_to_values(slices: list[DicomSlice]) -> list[str]:
    """Return in words what was done to stored values beside rescaling them."""
    steps = []
    if slices[0].counts_from_white:
        steps.append("stored values turned over: they count from white (MONOCHROME1)")
        if slices[0].modality == "CT":
            _log.warning("the series counts from white: turned over, it is not taken for HU")
    if any(one.has_padding for one in slices):
        steps.append("padding taken for what was not scanned")
    return steps


def _read(one: DicomSlice, shift_px: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
    """Read a slice, put upright where the stack is."""
    pixels = read_pixels(one)
    return pixels if shape == one.shape else shift(pixels, shift_px, shape)


def _version_of(slices: list[DicomSlice], affine: np.ndarray) -> str:
    """Name what a series that is put together is made of."""
    known = (f"{version_of(one.path)} {one.frame} {one.rescale}" for one in slices)
    return "\n".join(["physical values, padding as -inf", *known, str(affine)])
