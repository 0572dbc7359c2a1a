"""A TIFF file of several pages as one volume."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import tifffile
from dask.delayed import delayed
from numpy.typing import NDArray

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_shape
from medcolor.volume.geometry import affine_from_code, to_lps
from medcolor.volume.images import luma
from medcolor.volume.settings import VolumeSettings

_UNITS = {
    "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "um": 1e-3, "\u00b5m": 1e-3, "\\u00b5m": 1e-3,
    "micron": 1e-3, "microns": 1e-3,
}  # fmt: skip
_PLAIN = (
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.RGB,
)
_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(head: bytes) -> bool:
    """Tell a TIFF or BigTIFF by its first bytes."""
    return head[:4] in _MAGICS


def open_tiff(path: Path, settings: VolumeSettings) -> GrayVolume:
    """Open a file of equally sized grey (or colour, taken as grey) pages.

    Raises:
        InputError: No spacing given, one page, sizes that differ, or unreadable.
    """
    try:
        with tifffile.TiffFile(path) as file:
            pages: list[tifffile.TiffPage | tifffile.TiffFrame] = []
            seen: set[int] = set()
            for page in file.pages:
                if page.offset in seen:  # a page that points back to an earlier one
                    raise ValueError("pages in a circle")
                seen.add(page.offset)
                pages.append(page)
            spacing_mm = settings.spacing_mm or _spacing_of_imagej(file)
        shapes = [page.shape for page in pages]
        kinds = {page.dtype for page in pages}
        first = pages[0].aspage() if pages else None
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file makes the parser raise
        raise InputError(path, "no readable TIFF file", "Fetch the file again") from error
    if len(shapes) < 2 or len({shape[:2] for shape in shapes}) > 1:
        sizes = " and ".join(sorted({f"{s[1]} x {s[0]}" for s in shapes if len(s) > 1})[:2])
        raise InputError(
            path, f"{len(shapes)} pages of {sizes} pixels", "Give pages of one size, or a folder"
        )
    if any(kind is None or kind.kind not in "iuf" for kind in kinds):
        raise InputError(path, "pixels that are no plain numbers", "Save it with 8 or 16 bit")
    if first is None or first.photometric not in _PLAIN or first.planarconfig != 1:
        raise InputError(path, "pages of indexed or planar colour", "Save it as grey or RGB")
    if spacing_mm is None:
        raise InputError(
            path,
            f"{len(shapes)} pages do not say how far apart they are",
            "Give it in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
        )
    shape = shapes[0][:2]
    check_shape(path, (len(shapes), *shape))
    lazily = delayed(_read_page, pure=True)
    pages = [da.from_delayed(lazily(path, z), shape, np.float32) for z in range(len(shapes))]
    affine = affine_from_code(settings.orientation, spacing_mm)
    array, geometry = to_lps(da.stack(pages).transpose(2, 1, 0), affine)
    return GrayVolume(array, "raw", geometry, str(path), (path,), {"format": "TIFF"})


def _white_of(page: tifffile.TiffPage) -> float:
    """Return the value that a page which counts from white has for black."""
    return float(2**page.bitspersample - 1) if page.dtype and page.dtype.kind == "u" else 0.0


def _spacing_of_imagej(file: tifffile.TiffFile) -> tuple[float, float, float] | None:
    """Return the spacing that Fiji and ImageJ write, in mm along z, y, x; None without a unit."""
    about = file.imagej_metadata or {}
    unit = _UNITS.get(str(about.get("unit", "")).lower())
    tags = file.pages[0].aspage().tags
    found = [tags.get(name) for name in ("YResolution", "XResolution")]
    if unit is None or not about.get("spacing") or any(tag is None for tag in found):
        return None
    pixels, units = np.array([tag.value for tag in found if tag is not None], float).T
    spacing = np.array([float(about["spacing"]), *(units / pixels)]) * unit
    if not (np.isfinite(spacing).all() and spacing.min() > 0):
        return None
    z, y, x = (float(one) for one in spacing)
    return z, y, x


def _read_page(path: Path, number: int) -> NDArray[np.float32]:
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[number].aspage()
            values = luma(page.asarray())
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                values = np.float32(_white_of(page)) - values
            return values
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise InputError(path, f"page {number} is unreadable", "Fetch the file again") from error
