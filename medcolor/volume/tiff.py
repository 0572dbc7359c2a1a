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
        shapes = [page.shape for page in pages]
        kinds = {page.dtype for page in pages}
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
    if settings.spacing_mm is None:
        raise InputError(
            path,
            f"{len(shapes)} pages do not say how far apart they are",
            "Give it in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
        )
    shape = shapes[0][:2]
    check_shape(path, (len(shapes), *shape))
    lazily = delayed(_read_page, pure=True)
    pages = [da.from_delayed(lazily(path, z), shape, np.float32) for z in range(len(shapes))]
    affine = affine_from_code(settings.orientation, settings.spacing_mm)
    array, geometry = to_lps(da.stack(pages).transpose(2, 1, 0), affine)
    return GrayVolume(array, "raw", geometry, str(path), (path,), {"format": "TIFF"})


def _read_page(path: Path, number: int) -> NDArray[np.float32]:
    try:
        return luma(tifffile.imread(path, key=number))
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file makes the decoder raise
        raise InputError(path, f"page {number} is unreadable", "Fetch the file again") from error
