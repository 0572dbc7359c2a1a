"""What the header of an image says of the shape of its pixels: PNG, JPEG, TIFF."""

from __future__ import annotations

import io

import tifffile
from PIL import Image

from medcolor.domain import SQUARE, PixelShape, pixel_shape
from medcolor.errors import InputError
from medcolor.storage import Place
from medcolor.volume.tiff_magic import is_tiff

_MOST = 4.0
"""Of a side against the other: what says more was not meant so (72 and 300 dots per inch)."""

_KEYS = "dpi", "aspect", "jfif_density"
"""Under which PIL tells pixels per length along columns and rows; of the last two the unit is not
known, and is not asked for."""


def stated_pixel(path: Place, content: bytes) -> PixelShape:
    """Return the shape of an image's pixels; square where its file does not say.

    Args:
        path: Of the file.
        content: All of it.

    Raises:
        InputError: It says what no photograph has.
    """
    across, down = _density(content)
    if not (across > 0 and down > 0):
        return SQUARE
    pixel = pixel_shape(1 / down, 1 / across)
    if max(pixel) > _MOST:
        raise InputError(
            path,
            f"its header says pixels {pixel[0] / pixel[1]:.3g} times as high as wide, expected "
            f"{1 / _MOST:g} .. {_MOST:g}",
            "Correct its resolution, or save it without one",
        )
    return pixel


def _density(content: bytes) -> tuple[float, float]:
    """Return pixels per length along a row and along a column, 0 where nothing is said."""
    try:
        return _of_tiff(content) if is_tiff(content) else _of_others(content)
    except Exception:  # whatever a header that decoders of pixels read over makes the parser raise
        return 0.0, 0.0


def _of_tiff(content: bytes) -> tuple[float, float]:
    with tifffile.TiffFile(io.BytesIO(content), _multifile=False) as file:
        tags = file.pages[0].aspage().tags
        across, down = (tags[name].value for name in ("XResolution", "YResolution"))
        return across[0] / across[1], down[0] / down[1]


def _of_others(content: bytes) -> tuple[float, float]:
    with Image.open(io.BytesIO(content)) as image:
        across, down = next(image.info[key] for key in _KEYS if key in image.info)
        return float(across), float(down)
