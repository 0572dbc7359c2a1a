"""One GE Genesis slice as the Visible Human has them: CT and MRI, big-endian, often `.Z`.

Offsets of the header: D. Clunie's medical image format FAQ, part 4. The place of a slice stands
in a text file of its own.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int16

from medcolor.errors import InputError
from medcolor.volume.lzw import inflated_name, read_inflated

MAGIC = b"IMGF"
_MOST_BYTES = 1 << 24
_NAME = re.compile(r"(\d+)[a-z]?\.(fro|fre|t1|t2|pd)(\.Z)?$", re.IGNORECASE)
_CT = ("fro", "fre")
_AIR_HU = (-1100, -900)
"""Where the lowest value of a CT slice lies if its bytes are read in the right order."""

_STORED_AIR = 1024
_HEADER_BYTES = (3416, 7900)
"""Of CT and of MRI."""


@dataclass(frozen=True)
class GenesisSlice:
    """Where a slice lies, before it is resampled."""

    path: Path
    number: int
    """In its name: of CT, millimetres below 1000 from the crown."""

    is_ct: bool
    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    """Row and column spacing."""

    center_mm: tuple[float, float, float] | None
    """Of the slice, to the left, to posterior, to the head; None without a text header."""

    text_header: Path | None
    """The file that says so."""

    is_offset_mended: bool
    """Whether the header is wrong about where the pixels begin, and the size told."""

    @property
    def field_mm(self) -> float:
        """Of view, the larger side."""
        return max(n * mm for n, mm in zip(self.shape, self.pixel_mm, strict=True))


def is_genesis_name(name: str) -> bool:
    """Tell a slice by its name."""
    return _NAME.search(name) is not None


def slice_number(name: str) -> int:
    """Return the number in a slice's name.

    Raises:
        InputError: It is no slice's name.
    """
    return int(_parts(name)[1])


def _parts(name: str) -> re.Match[str]:
    found = _NAME.search(name)
    if found is None:
        raise InputError(name, "a name without number and kind", "Keep the names of the site")
    return found


def read_genesis(
    path: Path, called: str | None = None
) -> tuple[GenesisSlice, Int16[np.ndarray, "row col"]] | None:
    """Read a slice: where it lies and what is stored; None for an empty placeholder.

    Args:
        path: Of the file.
        called: Its name, which says number and kind, where the file has another one for now.

    Raises:
        InputError: Truncated, of another format, or of the wrong byte order.
    """
    content = read_inflated(path, _MOST_BYTES)
    if not any(content):
        return None
    if content[:4] != MAGIC or len(content) < 160:
        raise InputError(path, "no GE Genesis image", "Take it out of the folder")
    offset, width, height, depth, compression = struct.unpack(">5I", content[4:24])
    (pointer,) = struct.unpack(">I", content[148:152])
    if not (0 < width <= 4096 and 0 < height <= 4096 and depth == 16 and compression in (0, 1)):
        raise InputError(
            path,
            f"{width} x {height} pixels of {depth} bit, compression {compression}; expected plain "
            "16 bit",
            "Fetch the file again",
        )
    size = 2 * width * height
    stated, offset = offset, len(content) - size  # pixels end the file
    # A wrong offset is known by the length that headers have; any other is a file cut short.
    if offset not in (stated, *_HEADER_BYTES):
        raise InputError(
            path,
            f"truncated: {len(content)} bytes, expected {size} of pixels behind {stated}",
            "Fetch the file again",
        )
    pixel_mm = _pixel_mm(path, content, pointer)
    stored = np.frombuffer(content, ">i2", width * height, offset).reshape(height, width)
    name = _parts(called or path.name)
    is_ct = name[2].lower() in _CT
    if is_ct and not _AIR_HU[0] < int(stored.min()) - _STORED_AIR < _AIR_HU[1]:
        raise InputError(
            path,
            f"its lowest value is {int(stored.min()) - _STORED_AIR} HU, expected air near -1000",
            "Its bytes may be swapped; fetch the file again",
        )
    text = text_header_of(path)
    header = GenesisSlice(
        path=path,
        number=int(name[1]),
        is_ct=is_ct,
        shape=(height, width),
        pixel_mm=pixel_mm,
        text_header=text,
        center_mm=None if text is None else _center(text),
        is_offset_mended=offset != stated,
    )
    return header, stored.astype(np.int16)


def to_values(
    one: GenesisSlice, stored: Int16[np.ndarray, "row col"]
) -> Float[np.ndarray, "row col"]:
    """Return Hounsfield units of CT, stored values of MRI."""
    return np.asarray(stored.astype(np.float32) - (_STORED_AIR if one.is_ct else 0), np.float32)


def _pixel_mm(path: Path, content: bytes, pointer: int) -> tuple[float, float]:
    """Return row and column spacing from the image header."""
    if pointer + 58 > len(content):
        raise InputError(path, "its image header lies beyond its end", "Fetch the file again")
    x_mm, y_mm = struct.unpack(">2f", content[pointer + 50 : pointer + 58])
    if not (0.01 < x_mm < 20 and 0.01 < y_mm < 20):  # False for NaN, too
        raise InputError(path, f"pixels of {x_mm:g} x {y_mm:g} mm", "Fetch the file again")
    return float(y_mm), float(x_mm)


def text_header_of(path: Path) -> Path | None:
    """Return the text file that belongs to a slice: beside it or in `<folder>Headers`."""
    name = inflated_name(path)
    short = name.rpartition(".")[0]
    folders = (path.parent, path.parent.with_name(f"{path.parent.name}Headers"))
    candidates = (folder / f"{stem}.txt" for folder in folders for stem in (name, short))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _center(text_header: Path) -> tuple[float, float, float] | None:
    """Return the centre that a text header gives, in mm to L, P and S."""
    text = text_header.read_text("latin-1").replace("\0", "")
    found = [_number(text, f"Center {letter} coord of plane image") for letter in "RAS"]
    if any(value is None for value in found):
        return None
    right, anterior, superior = (float(value) for value in found if value is not None)
    return -right, -anterior, superior


def _number(text: str, title: str) -> float | None:
    """Return the number behind a title and its dotted padding."""
    found = re.search(
        rf"{re.escape(title)}[\s.:=()a-zA-Z]*?(-?\d+(?:\.\d+)?)\s*$", text, re.MULTILINE
    )
    return float(found[1]) if found else None
