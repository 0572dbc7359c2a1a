"""DICOM: one volume of a folder, sorted by position, in Hounsfield units where it says so."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_affine, check_shape
from medcolor.volume.dicom_choice import choose_volume
from medcolor.volume.dicom_pixels import read_pixels
from medcolor.volume.dicom_slices import NO_IMAGE, NOT_DICOM, DicomSlice, read_slices_of
from medcolor.volume.even_stack import even_stack, lazy_stack, shift
from medcolor.volume.files import natural_key
from medcolor.volume.geometry import to_lps
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import put_together, version_of

_log = logging.getLogger(__name__)


def open_dicom(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open one volume of a folder, those below it included, or of a file with several frames.

    Args:
        path: Folder or file.
        settings: `series`, `channel` and `time_point` choose among several, `uneven` says what to
            do about gaps.
        staging: Folder where a series that is not cut axially is put together.

    Raises:
        InputError: No volume, or several and none chosen; slices of different units; uneven
            ones that are not to be resampled; unreadable.
    """
    found, others = _read_headers(path)
    if not found:
        raise _no_slices(path, others)
    slices, left_out = choose_volume(path, found, settings)
    left_out += [f"{_counted(n, what)} left out" for what, n in others.items() if _is_image(what)]
    if left_out:
        _log.warning("%s: %s", path, "; ".join(left_out))
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
    array, geometry = to_lps(stored, affine, (*left_out, *stack.steps, *_done_to_values(slices)))
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


def _read_headers(path: Path) -> tuple[list[DicomSlice], Counter[str]]:
    """Read all files; return their slices, and of the others how many are what."""
    found: list[DicomSlice] = []
    others: Counter[str] = Counter()
    for file in _files(path):
        slices, instead = read_slices_of(file)
        found += slices
        if instead:
            others[instead] += 1
    return found, others


def _is_image(what: str) -> bool:
    """Tell images that lack something from what a folder may hold beside them."""
    return what not in (NOT_DICOM, NO_IMAGE)


def _counted(count: int, what: str) -> str:
    """Return a number of things that are named in the plural."""
    one = re.sub("(file|film|image)s", r"\1", what, count=1)
    return f"{count} {one if count == 1 else what}"


def _no_slices(path: Path, others: Counter[str]) -> InputError:
    """Say what there is instead of slices."""
    listed = "; ".join(_counted(count, what) for what, count in others.most_common())
    if any(map(_is_image, others)):
        remedy = "Export the series with these fields, or give its slices as PNG or TIFF images"
        return InputError(path, f"no DICOM slices whose places are known: {listed}", remedy)
    if NO_IMAGE in others:
        return InputError(path, f"no images: {listed}", "Give the folder that the images are in")
    found = f": {listed}" if others else ": an empty folder"
    return InputError(
        path, f"no images and no DICOM slices{found}", "Give a folder of one series, or one file"
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


def _refuse_mixture(slices: list[DicomSlice]) -> None:
    """Refuse slices whose values do not mean the same."""
    first = slices[0]
    for one in slices:
        if one.is_hounsfield != first.is_hounsfield:
            raise InputError(
                one.path,
                "rescaled to another unit than others of the series",
                "Keep slices of one unit",
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
