"""The pixels of one DICOM slice as physical values: rescaled, padding told from tissue.

Stored bits become numbers as the standard says (PS3.5 8.1.1, PS3.3 C.7.5.1.1.2 and C.11.1): bits
beyond those stored are dropped, signs extended, a modality table or the slice's own rescale is
applied in double precision. The result is float32, exact for integers below 2**24 and within
6e-8 of any other value, so that slices of different slopes make one volume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from medcolor.domain import OUTSIDE
from medcolor.errors import InputError
from medcolor.volume.dicom_decode import DecoderDiedError, stored_words, words_by_child
from medcolor.volume.dicom_file import read_fields, reading_quietly
from medcolor.volume.dicom_slices import DicomSlice

_PADDING = {
    "f4": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "f8": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}
"""Fields of padding and of its limit, of pixels that are floats; of all others:"""

_WHOLE_PADDING = ("PixelPaddingValue", "PixelPaddingRangeLimit")
PIXEL_TAGS = [
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", *_WHOLE_PADDING,
    *_PADDING["f4"], *_PADDING["f8"], "ModalityLUTSequence", "LUTDescriptor", "LUTData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData", "FloatPixelData",
    "DoubleFloatPixelData",
]  # fmt: skip
"""All that is read for the pixels, by this module and by pydicom's decoders: a test compares."""

_MOST_BITS = 32


def read_pixels(one: DicomSlice) -> NDArray[np.float32]:
    """Decode one slice.

    Returns:
        (row, col), in Hounsfield units or what else the rescale makes of stored values. `OUTSIDE`
        where the file has padding; NaN for what float32 does not hold. Of MONOCHROME1 the stored
        values are turned over first, so that bright is high in every volume.

    Raises:
        InputError: Cut short, of a compression nothing here decodes, no grey image, or bits and
            tables that say no certain value.
    """
    data, stored = _decode(one)
    if stored.shape != one.shape or not str(data.PhotometricInterpretation).startswith("MONO"):
        raise InputError(one.path, "not one grey image", "Give a grey series")
    try:
        is_float = stored.dtype.kind == "f"
        values = stored if is_float else _used_bits(one, data, stored)
        is_padding = _is_padding(data, stored, values)
        physical = _physical(one, data, values)
    except InputError:
        raise
    except Exception as error:  # fields are parsed when they are asked for
        raise InputError(one.path, "unreadable DICOM fields", "Fetch the file again") from error
    with np.errstate(over="ignore"):
        found = physical.astype(np.float32)
    found[np.isinf(found)] = np.nan
    found[is_padding] = OUTSIDE
    return found


def _decode(one: DicomSlice) -> tuple[pydicom.Dataset, NDArray[Any]]:
    """Return the fields and the stored words, bits that are not used included."""
    named = ended = ""
    frame = one.frame if one.frames > 1 else None
    try:
        with reading_quietly():
            data = read_fields(one.path, PIXEL_TAGS, with_pixels=frame is None)
        syntax = data.file_meta.TransferSyntaxUID
        named = _compression(syntax)
        if syntax.is_compressed:
            return data, words_by_child(one.path, frame, PIXEL_TAGS)
        if frame is not None:
            return data, stored_words(one.path, frame, PIXEL_TAGS)
        return data, np.asarray(pixel_array(data, correct_unused_bits=False))
    except Exception as error:  # decoders raise what they like
        if isinstance(error, DecoderDiedError):
            ended = f", {error}"
        raise InputError(
            one.path,
            f"unreadable DICOM pixels{named}{ended}",
            "Fetch the file again" + (", or save it uncompressed" if named else ""),
        ) from error


def _compression(said: object) -> str:
    """Return the name of a compression for an error; of none that is not in the standard."""
    syntax = UID(str(said))
    is_standard = syntax.name != str(syntax) and syntax.is_transfer_syntax
    return f" ({syntax.name})" if is_standard and syntax.is_encapsulated else ""


def _used_bits(one: DicomSlice, data: pydicom.Dataset, stored: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers that the stored bits are; bits above them may be an overlay's."""
    bits = int(data.BitsStored)
    if bits > _MOST_BITS or int(data.get("HighBit", bits - 1)) != bits - 1:
        raise InputError(
            one.path,
            f"{bits} bits stored, the highest is bit {int(data.get('HighBit', bits - 1))}; "
            f"expected up to {_MOST_BITS}, counted from bit 0",
            "Mend its header, or save it again with the software of its maker",
        )
    values: NDArray[Any] = stored.astype(np.int32 if stored.dtype.itemsize <= 2 else np.int64)
    values &= (1 << bits) - 1
    if data.PixelRepresentation:
        sign = 1 << (bits - 1)
        values = (values ^ sign) - sign
    return values


def _is_padding(
    data: pydicom.Dataset, stored: NDArray[Any], values: NDArray[Any]
) -> NDArray[np.bool_]:
    """Tell pixels that were not scanned: of the padding value, or between it and its limit."""
    kind = stored.dtype.str[1:]
    first, last = (data.get(keyword) for keyword in _PADDING.get(kind, _WHOLE_PADDING))
    if first is None:
        return np.zeros(stored.shape, bool)
    found = (first, first if last is None else last)
    if kind in _PADDING:
        low, high = sorted(float(end) for end in found)
        return np.asarray(np.isnan(values) if np.isnan(low) else (values >= low) & (values <= high))
    low, high = sorted(_word(data, end) for end in found)
    # A value that the stored bits cannot hold is one of the whole word.
    lowest, highest = _range(data)
    where = values if lowest <= low and high <= highest else stored
    return np.asarray((where >= low) & (where <= high))


def _word(data: pydicom.Dataset, value: Any) -> int:
    """Return a padding value in the sign of the pixels, whichever it was written in."""
    bits = int(data.BitsAllocated)
    word = int(value) & ((1 << bits) - 1)
    is_negative = data.PixelRepresentation and word >> (bits - 1)
    return word - (1 << bits) if is_negative else word


def _range(data: pydicom.Dataset) -> tuple[int, int]:
    """Return the lowest and the highest value that the stored bits can hold."""
    count = 1 << int(data.BitsStored)
    return (-count // 2, count // 2 - 1) if data.PixelRepresentation else (0, count - 1)


def _physical(one: DicomSlice, data: pydicom.Dataset, values: NDArray[Any]) -> NDArray[np.float64]:
    """Apply the modality table or the rescale of the slice."""
    tables = data.get("ModalityLUTSequence")
    if tables:
        return _looked_up(one, data, tables[0], values)
    if one.counts_from_white:
        values = (0 if values.dtype.kind == "f" else sum(_range(data))) - values
    slope, intercept = one.rescale
    return np.asarray(values * np.float64(slope) + intercept)


def _looked_up(
    one: DicomSlice, data: pydicom.Dataset, table: pydicom.Dataset, values: NDArray[Any]
) -> NDArray[np.float64]:
    """Apply a modality table; its ends hold for all values beyond them."""
    count, first, bits = (int(one) for one in table.LUTDescriptor)
    entries, count = _entries(data, table["LUTData"].value), count or 1 << 16
    if len(entries) != count or values.dtype.kind == "f" or bits not in range(8, 17):
        raise InputError(
            one.path,
            f"a modality table of {len(entries)} entries of {bits} bits, expected {count} of 8 "
            "to 16",
            "Mend its header",
        )
    first = first & 0xFFFF
    first -= (first >> 15 << 16) if data.PixelRepresentation else 0
    found = entries[np.clip(values - first, 0, count - 1)].astype(np.float64)
    return np.asarray((1 << bits) - 1 - found if one.counts_from_white else found)


def _entries(data: pydicom.Dataset, found: Any) -> NDArray[np.uint16]:
    """Return the entries of a table, which stand there as numbers or as their bytes."""
    if isinstance(found, bytes):
        order = "<" if data.original_encoding[1] else ">"
        return np.frombuffer(found, f"{order}u2").astype(np.uint16)
    return np.atleast_1d(np.asarray(found, np.int64)).astype(np.uint16)
