"""What the header of an image says, before its pixels are decoded: PNG, JPEG, TIFF and others."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import tifffile
from PIL import Image

from medcolor.errors import InputError
from medcolor.volume.bounds import MOST_PIXELS, check_shape
from medcolor.volume.tiff_magic import is_tiff


@dataclass(frozen=True)
class ImageHeader:
    """Of the first page."""

    rows: int
    cols: int
    pixel_bytes: int
    mode: str
    """PIL's; empty of TIFF."""

    pages: int


def read_header(place: object, file: io.BufferedReader | io.BytesIO) -> ImageHeader:
    """Read the header of an image.

    Args:
        place: What errors name.
        file: At its begin; or a tile of one.

    Raises:
        InputError: It says more pixels than a slice or a photograph may have.
        Exception: Whatever a damaged header makes its parser raise.
    """
    head = file.read(4)
    file.seek(0)
    header = _of_tiff(file) if is_tiff(head) else _of_others(place, file)
    check_shape(place, (1, header.rows, header.cols), max(1, header.pixel_bytes))
    return header


def _of_tiff(stream: io.BufferedReader | io.BytesIO) -> ImageHeader:
    with tifffile.TiffFile(stream, _multifile=False) as file:
        page = file.pages[0].aspage()
        size = page.samplesperpixel * -(-page.bitspersample // 8)
        return ImageHeader(page.imagelength, page.imagewidth, size, "", 1 + file.pages.is_multipage)


def _of_others(place: object, file: io.BufferedReader | io.BytesIO) -> ImageHeader:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                is_wide = "16" in str(image.tile[:1])  # of PNG the mode does not tell
                size = len(image.getbands()) * (2 if is_wide else 1)
                pages = getattr(image, "n_frames", 1)
                return ImageHeader(image.height, image.width, size, image.mode, pages)
    except Image.DecompressionBombError:
        raise InputError(
            place, f"an image of more than {MOST_PIXELS} pixels", "Reduce it, or take it out"
        ) from None
