"""One page of a TIFF file as the values that it stands for, in a stack of pages or of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from medcolor.errors import InputError
from medcolor.volume.tiff_bounds import check_decoding

_GREY = (tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK)
_ALPHAS = (1, 2)
"""TIFF's codes of samples that are alpha, premultiplied or not."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_ROWS = 256
"""Whose colours are turned at once."""

_STRAIGHT_LINE = 0
_UNCALIBRATED = (20, 22)
"""ImageJ's numbers of calibration functions: none, and one that is not written down."""


def luma(image: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return an image as float32; colour becomes its luma (Rec. 601, as viewers do)."""
    if image.ndim == 3 and image.shape[2] == 2:  # grey and alpha
        image = image[..., 0]
    values = np.empty(image.shape[:2], np.float32)
    for row in range(0, len(image), _ROWS):  # three channels of float32 would take most memory
        part = image[row : row + _ROWS].astype(np.float32)
        values[row : row + _ROWS] = part if part.ndim == 2 else part[..., :3] @ _LUMA
    return values


def open_one_file(path: Path) -> tifffile.TiffFile:
    """Open a TIFF; files that its metadata name beside it are not opened."""
    return tifffile.TiffFile(path, _multifile=False)


def is_brightness(path: Path) -> bool:
    """Tell whether the samples of a TIFF's first page are grey or RGB, and no index or the like.

    Raises:
        InputError: Damaged.
    """
    return first_page(path)[0]


def first_page(path: Path) -> tuple[bool, int, tuple[int, int, int]]:
    """Look at the first page of a TIFF.

    Returns:
        Whether it is a brightness, how many channels it has, and rows, columns and bits.

    Raises:
        InputError: Damaged, or of several pages.
    """
    try:
        with open_one_file(path) as file:
            page, is_one = file.pages[0].aspage(), not file.pages.is_multipage
            kind = page.imagelength, page.imagewidth, page.bitspersample
            found = _is_brightness(page), channel_count(page), kind
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file makes the parser raise
        raise InputError(path, "no readable TIFF file", "Fetch the file again") from error
    if not is_one:
        raise InputError(
            path, "several pages in one file of a folder", "Give the file itself, or one of each"
        )
    return found


def channel_count(page: tifffile.TiffPage) -> int:
    """Return how many samples of a pixel are channels of their own: one of grey and of RGB."""
    if page.photometric not in _GREY:
        return 1
    return max(1, page.samplesperpixel - sum(one in _ALPHAS for one in page.extrasamples))


def read_page(path: Path, number: int, channel: int = 0) -> NDArray[np.float32]:
    """Read a page, (row, col): counted from black, and calibrated where ImageJ calibrated it.

    Args:
        path: The file.
        number: Of the page.
        channel: Of a pixel's samples that are channels.

    Raises:
        InputError: Damaged, of indexed or planar colour, or calibrated by a curve.
    """
    try:
        with open_one_file(path) as file:
            page = file.pages[number].aspage()
            check_page(path, page)
            slope, intercept = values_of_page(path, file, page)
            image = page.asarray()
            if page.photometric in _GREY and "S" in page.axes:
                image = image.take(channel, page.axes.index("S"))
            values = luma(image)
    except (OSError, InputError):
        raise
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise InputError(path, f"page {number} is unreadable", "Fetch the file again") from error
    if (slope, intercept) == (1, 0):
        return values
    return np.asarray(values * np.float64(slope) + intercept, np.float32)


def check_page(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a page whose samples are no brightness, or more than a slice may have.

    Raises:
        InputError: Of indexed or planar colour, or out of all proportion.
    """
    if not _is_brightness(page):
        raise InputError(path, "pages of indexed or planar colour", "Save it as grey or RGB")
    samples = page.samplesperpixel
    if page.photometric not in _GREY and samples not in (3, 4):
        raise InputError(path, f"{samples} samples a pixel", "Save it as grey or RGB")
    check_decoding(path, page)


def _is_brightness(page: tifffile.TiffPage) -> bool:
    is_rgb = page.photometric == tifffile.PHOTOMETRIC.RGB and page.planarconfig == 1
    return page.photometric in _GREY or is_rgb


def values_of_page(
    path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage
) -> tuple[float, float]:
    """Return slope and intercept that make values of what a page stores.

    Raises:
        InputError: It is calibrated by a curve.
    """
    slope, intercept = calibration(path, file)
    if page.photometric != tifffile.PHOTOMETRIC.MINISWHITE:
        return slope, intercept
    return -slope, intercept + slope * _white_of(page)


def calibration(path: Path, file: tifffile.TiffFile) -> tuple[float, float]:
    """Return slope and intercept of ImageJ's calibration, by which it keeps signed values.

    Raises:
        InputError: It is no straight line.
    """
    about = file.imagej_metadata or {}
    is_whole = file.pages[0].aspage().dtype in (np.uint8, np.uint16)
    # As ImageJ has it: without a unit of values there is no calibration, nor is one of floats.
    if not (is_whole and about.get("vunit") and "c1" in about):
        return 1.0, 0.0
    function = int(about.get("cf", _UNCALIBRATED[0]))
    if function in _UNCALIBRATED:
        return 1.0, 0.0
    if function != _STRAIGHT_LINE:
        raise InputError(
            path, "values calibrated by a curve", "Convert it to 32 bits in ImageJ, and save it"
        )
    return float(about["c1"]), float(about["c0"])


def _white_of(page: tifffile.TiffPage) -> float:
    """Return the value that a page which counts from white has for black."""
    return float(2**page.bitspersample - 1) if page.dtype and page.dtype.kind == "u" else 0.0
