"""Which way up an image is to be shown: what cameras and viewers turn write into its header.

EXIF's field of orientation (CIPA DC-008), which stands in a JPEG's APP1 segment and in a PNG's
eXIf chunk; every viewer applies it. OpenCV, asked for pixels as they are, applies TIFF's alone.
"""

from __future__ import annotations

import io
import struct

import numpy as np
import tifffile
from numpy.typing import NDArray

from medcolor.volume.tiff_magic import is_tiff

File = io.BytesIO | io.BufferedReader

_UPRIGHT = 1
_TAG = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_EXIF = b"Exif\0\0"
_ENTRY_BYTES, _SHORT = 12, 3
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}
_SCAN, _APP1 = 0xDA, 0xE1


def stated_orientation(file: File) -> int:
    """Return how an image is turned: 1 (as stored) to 8, as EXIF counts them.

    Only headers are read. What no header says, or a damaged one, is 1, as viewers take it.

    Args:
        file: Of the whole image, at its begin.
    """
    try:
        head = file.read(len(_PNG))
        file.seek(0)
        if is_tiff(head):
            with tifffile.TiffFile(file, _multifile=False) as tiff:
                found = int(tiff.pages[0].aspage().tags[_TAG].value)
        else:
            found = _of_exif(_exif_of_png(file) if head == _PNG else _exif_of_jpeg(file))
    except Exception:  # whatever a header that decoders of pixels read over makes a parser raise
        return _UPRIGHT
    return found if 1 <= found <= 8 else _UPRIGHT


def is_turned_by_decoder(content: bytes) -> bool:
    """Tell an image that OpenCV returns as it is to be shown."""
    return is_tiff(content)


def lies_on_side(orientation: int) -> bool:
    """Tell whether rows as stored are columns as shown."""
    return orientation >= 5


def upright(image: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Turn an image, (row, col) or (row, col, channel), as it is to be shown.

    Args:
        image: As stored.
        orientation: As `stated_orientation` returns it.
    """
    if lies_on_side(orientation):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _exif_of_png(file: File) -> bytes:
    """Return the eXIf chunk of a PNG, which may stand before or after the pixels."""
    file.seek(len(_PNG))
    while True:
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"eXIf":
            return file.read(length).removeprefix(_EXIF)
        file.seek(length + 4, io.SEEK_CUR)  # its checksum, too


def _exif_of_jpeg(file: File) -> bytes:
    """Return what the first APP1 segment with EXIF in it holds."""
    if file.read(2) != _JPEG:
        raise ValueError("no JPEG")
    while True:
        while (marker := file.read(1)) == b"\xff":  # any number of them fills up
            pass
        code = marker[0]
        if code == _SCAN:
            raise ValueError("no EXIF before the pixels")
        if code in _NO_LENGTH:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        segment = file.read(length - 2)
        if code == _APP1 and segment.startswith(_EXIF):
            return segment[len(_EXIF) :]


def _of_exif(block: bytes) -> int:
    """Return the field of the first directory of an EXIF block, which is written as TIFF is."""
    order = {b"II": "<", b"MM": ">"}[block[:2]]
    (at,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, at)
    for begin in range(at + 2, at + 2 + _ENTRY_BYTES * count, _ENTRY_BYTES):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", block, begin)
        if tag == _TAG and kind == _SHORT:
            return int(value)
    return _UPRIGHT
