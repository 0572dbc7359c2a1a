"""A TIFF file of several pages as one volume."""

from __future__ import annotations

import math
from pathlib import Path

import dask.array as da
import numpy as np
import tifffile
from dask.delayed import delayed

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_shape
from medcolor.volume.choice import chosen
from medcolor.volume.geometry import affine_from_code, to_lps
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.tiff_pages import calibration, check_page, open_one_file, read_page
from medcolor.volume.units import millimetres

_PER_CM = 3
"""TIFF's code of a resolution per centimetre."""


def open_tiff(path: Path, settings: VolumeSettings) -> GrayVolume:
    """Open a file of equally sized grey (or colour, taken as grey) pages.

    Args:
        path: The file.
        settings: `spacing_mm` and `orientation`; `channel` and `time_point` of a hyperstack.

    Raises:
        InputError: No spacing given, one page, sizes that differ, several channels or time points
            and none chosen, or unreadable.
    """
    try:
        with open_one_file(path) as file:
            pages: list[tifffile.TiffPage | tifffile.TiffFrame] = []
            seen: set[int] = set()
            for page in file.pages:
                if page.offset in seen:  # a page that points back to an earlier one
                    raise ValueError("pages in a circle")
                seen.add(page.offset)
                pages.append(page)
            spacing_mm = settings.spacing_mm or _spacing_of_imagej(file)
            if pages:
                check_page(path, pages[0].aspage())
                calibration(path, file)
            numbers = _stack(path, file, settings)
        shapes = [page.shape for page in pages]
        kinds = {page.dtype for page in pages}
    except (OSError, InputError):
        raise
    except Exception as error:  # whatever a damaged file makes the parser raise
        raise InputError(path, "no readable TIFF file", "Fetch the file again") from error
    if len(numbers) < 2 or len({shape[:2] for shape in shapes}) > 1:
        sizes = " and ".join(sorted({f"{s[1]} x {s[0]}" for s in shapes if len(s) > 1})[:2])
        raise InputError(
            path, f"{len(shapes)} pages of {sizes} pixels", "Give pages of one size, or a folder"
        )
    if any(kind is None or kind.kind not in "iuf" for kind in kinds):
        raise InputError(path, "pixels that are no plain numbers", "Save it with 8 or 16 bit")
    if spacing_mm is None:
        raise InputError(
            path,
            f"{len(shapes)} pages do not say how far apart they are",
            "Give it in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
        )
    shape = shapes[0][:2]
    check_shape(path, (len(numbers), *shape))
    lazily = delayed(read_page, pure=True)
    pages = [da.from_delayed(lazily(path, z), shape, np.float32) for z in numbers]
    affine = affine_from_code(settings.orientation, spacing_mm)
    array, geometry = to_lps(da.stack(pages).transpose(2, 1, 0), affine)
    return GrayVolume(array, "raw", geometry, str(path), (path,), {"format": "TIFF"})


def _stack(path: Path, file: tifffile.TiffFile, settings: VolumeSettings) -> list[int]:
    """Return the pages of one channel and time, in order, of what ImageJ or OME say they are."""
    if not (file.is_imagej or file.is_ome):
        return [*range(len(file.pages))]
    series = file.series[0]
    sides = {
        axis: side
        for axis, side in zip(series.axes, series.shape, strict=True)
        if axis not in "YXS"
    }
    numbers = [page.index for page in series.pages if page is not None]
    if math.prod(sides.values()) != len(numbers) or len(file.series) > 1:
        raise InputError(path, "an image of several files or kinds", "Save one stack in one file")
    pages = np.reshape(numbers, [*sides.values()])
    if "C" in sides:
        one = chosen(path, "channel", sides["C"], settings, what="channels")
        pages = pages.take([one], axis=[*sides].index("C"))
    if "T" in sides:
        one = chosen(path, "time_point", sides["T"], settings, what="time points")
        pages = pages.take([one], axis=[*sides].index("T"))
    if max(pages.shape, default=1) != pages.size:
        raise InputError(path, f"axes {series.axes}", "Save one stack of slices")
    return [int(number) for number in pages.ravel()]


def _spacing_of_imagej(file: tifffile.TiffFile) -> tuple[float, float, float] | None:
    """Return the spacing that Fiji and ImageJ write, in mm along z, y, x; None without units."""
    about = file.imagej_metadata or {}
    common = about.get("unit")
    units = [millimetres(about.get(name, common)) for name in ("zunit", "yunit", "unit")]
    tags = file.pages[0].aspage().tags
    found = [tags.get(name) for name in ("YResolution", "XResolution")]
    if None in units or not about.get("spacing") or any(tag is None for tag in found):
        return None
    pixels, per = np.array([tag.value for tag in found if tag is not None], float).T
    side = per / pixels
    if common == "um" and getattr(tags.get("ResolutionUnit"), "value", 0) == _PER_CM:
        side = side * 1e4  # the one disagreement of tag and description that ImageJ mends
    spacing = np.array([abs(float(about["spacing"])), *side]) * np.array(units, float)
    if not (np.isfinite(spacing).all() and spacing.min() > 0):
        return None
    z, y, x = (float(one) for one in spacing)
    return z, y, x
