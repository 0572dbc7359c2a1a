"""What a TIFF file may promise: checked before a page of it is decoded."""

from __future__ import annotations

import io
import math
from pathlib import Path

import tifffile

from medcolor.errors import InputError
from medcolor.volume.bounds import MOST_PART_BYTES, check_shape
from medcolor.volume.image_header import read_header

_MOST_SEGMENTS = 1 << 20
_SMALLER = "Fetch the file again, or save it in other tiles"
_BOUNDED = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA", "ZSTD")
"""Compressions that tifffile decodes to the size of a tile and no further."""

_IMAGES = (
    "JPEG", "JPEG2000", "JPEG_2000_LOSSY", "APERIO_JP2000_RGB", "APERIO_JP2000_YCBC", "PNG", "WEBP",
)  # fmt: skip
"""Those whose decoders believe the size that stands in each tile."""

_OVERLAP = 2
"""Tiles may have this many times the bytes of the file: some share theirs."""


def check_decoding(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a page of more pixels than a slice may have, or that would take more to decode.

    Raises:
        InputError: It is so, or it is of a compression that is not read.
    """
    samples, item = page.samplesperpixel, max(1, -(-page.bitspersample // 8))
    check_shape(path, (page.imagedepth, page.imagelength, page.imagewidth), item * samples)
    tile = _tile(page)
    if math.prod(tile) * item * samples > MOST_PART_BYTES:
        raise InputError(path, f"tiles of {' x '.join(map(str, tile))} voxels", _SMALLER)
    count, size = len(page.dataoffsets), page.parent.filehandle.size
    if count > _MOST_SEGMENTS or sum(page.databytecounts) > _OVERLAP * size:
        raise InputError(
            path, f"{count} tiles of {sum(page.databytecounts)} bytes in a page", _SMALLER
        )
    name = getattr(page.compression, "name", str(page.compression))
    if name in _IMAGES:
        _check_images(path, page, *tile[1:])
    elif name not in _BOUNDED:
        raise InputError(
            path, f"pages compressed by {name}", "Save it uncompressed, or with LZW, deflate, zstd"
        )


def _tile(page: tifffile.TiffPage) -> tuple[int, int, int]:
    """Return depth, length and width of what is decoded at once."""
    if page.is_tiled:
        return page.tiledepth, page.tilelength, page.tilewidth
    return 1, min(page.rowsperstrip, page.imagelength), page.imagewidth


def _check_images(path: Path, page: tifffile.TiffPage, length: int, width: int) -> None:
    """Refuse tiles that are larger images than their places."""
    file = page.parent.filehandle
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not size:
            continue
        file.seek(offset)
        header = read_header(path, io.BytesIO(file.read(size)))
        if header.rows > length or header.cols > width:
            raise InputError(
                path, "a tile larger than its place in the page", "Fetch the file again"
            )
