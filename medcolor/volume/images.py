"""Stacks of PNG, JPEG or TIFF slices in natural order of their names."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from medcolor.domain import SQUARE, GrayVolume, PixelShape
from medcolor.errors import InputError
from medcolor.storage import Place, write_atomic
from medcolor.volume.bounds import check_shape
from medcolor.volume.files import is_raw_photograph, list_images
from medcolor.volume.geometry import affine_from_code, to_lps
from medcolor.volume.image_header import ImageHeader, read_header
from medcolor.volume.image_orientation import (
    is_turned_by_decoder,
    lies_on_side,
    stated_orientation,
    upright,
)
from medcolor.volume.image_pixel import stated_pixel
from medcolor.volume.named_slices import one_volume
from medcolor.volume.planes import stack_planes
from medcolor.volume.raw_cryosection import read_raw_cryosection
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.tiff_magic import is_tiff
from medcolor.volume.tiff_pages import first_page, is_brightness, luma, read_page

_DTYPES = ("uint8", "uint16", "int16", "float32")
_BITS = {"I;16": 16, "I;16B": 16, "I;16L": 16, "I": 16, "F": 32}
"""Of PIL's modes; all others have 8, and of colours it tells no more."""


def open_image_stack(folder: Path, settings: VolumeSettings) -> GrayVolume:
    """Open a folder of equally sized grey (or colour, taken as grey) images.

    Raises:
        InputError: No spacing given, sizes or types differ, a file is no image, several channels
            or time points and none chosen.
    """
    files = list_images(folder)
    if settings.spacing_mm is None:
        raise InputError(
            folder,
            f"{len(files)} images do not say how far apart they are",
            "Give it in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
        )
    kinds = {_size_and_kind(path): path for path in files}
    if len(kinds) > 1:
        (first, _), (second, other) = list(kinds.items())[:2]
        raise InputError(
            other,
            f"slices differ: {second[1]} x {second[0]} pixels of {second[2]} bit, another is "
            f"{first[1]} x {first[0]} of {first[2]}",
            "Keep one stack of one size and kind in the folder",
        )
    ((rows, cols, _bits, channels),) = kinds
    files, channel = one_volume(folder, files, settings, channels)
    shape = (rows, cols)
    check_shape(folder, (len(files), *shape))
    stack = stack_planes(folder, partial(_read_one, files, channel), len(files), shape)
    array, geometry = to_lps(stack, affine_from_code(settings.orientation, settings.spacing_mm))
    return GrayVolume(array, "raw", geometry, str(folder), tuple(files))


def _size_and_kind(path: Path) -> tuple[int, int, int, int]:
    """Return rows, columns, bits of a channel and channels, from the header alone."""
    with path.open("rb") as file:
        is_on_side = lies_on_side(stated_orientation(file))
    if _is_tiff(path) and (found := first_page(path))[0]:
        (rows, cols, bits), channels = found[2], found[1]
    else:
        with path.open("rb") as file:
            header = _header(path, file)
        rows, cols, bits, channels = header.rows, header.cols, _BITS.get(header.mode, 8), 1
        _refuse_pages(path, header.pages)
    return (cols, rows, bits, channels) if is_on_side else (rows, cols, bits, channels)


def _refuse_pages(path: Path, pages: int) -> None:
    if pages > 1:
        raise InputError(
            path, "several pages in one file of a folder", "Give the file itself, or one of each"
        )


def _header(path: Place, file: io.BufferedReader | io.BytesIO) -> ImageHeader:
    """Read the header of an image, which is checked before pixels take memory."""
    try:
        return read_header(path, file)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged header makes the parsers raise
        raise _unreadable(path) from error


def read_image(path: Place) -> NDArray[np.generic]:
    """Decode a file, upright: (row, col) or (row, col, RGB), 8 or 16 bit or float."""
    if is_raw_photograph(path.name):
        return read_raw_cryosection(path)
    return _decoded(path, path.read_bytes())[0]


def read_image_in_pixels(
    path: Place,
) -> tuple[NDArray[np.generic], NDArray[np.generic] | None, PixelShape]:
    """Decode a file as `read_image` does, with alpha (row, col), if any, and its pixels' shape."""
    if is_raw_photograph(path.name):
        return read_raw_cryosection(path), None, SQUARE
    content = path.read_bytes()
    pixel = stated_pixel(path, content)
    if lies_on_side(stated_orientation(io.BytesIO(content))):
        pixel = pixel[::-1]
    return *_decoded(path, content), pixel


def _decoded(path: Place, content: bytes) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    """Return an image as viewers show it, and its alpha."""
    _header(path, io.BytesIO(content))
    data = np.frombuffer(content, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
    if image is None:
        raise _unreadable(path)
    if image.dtype.name not in _DTYPES:
        raise InputError(
            path,
            f"pixels of type {image.dtype.name}, expected one of {', '.join(_DTYPES)}",
            "Save the stack as 8 or 16 bit PNG or TIFF",
        )
    shown: NDArray[np.generic] = image
    if not is_turned_by_decoder(content):
        shown = upright(image, stated_orientation(io.BytesIO(content)))
    if shown.ndim == 2:
        return shown, None
    return shown[..., 2::-1], shown[..., 3] if shown.shape[2] == 4 else None


def write_png(path: Path, rgb: UInt8[np.ndarray, "row col 3"]) -> Path:
    """Write an RGB image."""
    write_atomic(path, encode_png(rgb))
    return path


def encode_png(rgb: UInt8[np.ndarray, "row col 3"]) -> bytes:
    """Return an RGB image as PNG."""
    return bytes(cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())


def _read_one(files: list[Path], channel: int, z: int) -> NDArray[np.float32]:
    """Read a slice; TIFF by its own library, which knows bits and from which end they count."""
    path = files[z]
    if _is_tiff(path) and is_brightness(path):
        with path.open("rb") as file:
            orientation = stated_orientation(file)
        return np.asarray(upright(read_page(path, 0, channel), orientation), np.float32)
    return luma(read_image(path))


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return is_tiff(file.read(4))


def _unreadable(path: Place) -> InputError:
    return InputError(path, "no readable image", "Replace the file or take it out of the folder")
