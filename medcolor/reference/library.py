"""A folder of photographs: which frames there are and where along the body they lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from medcolor.body import resize, resize_mask, square_shape
from medcolor.domain import ReferenceSlice
from medcolor.errors import InputError
from medcolor.reference.manifest import MANIFEST, PreparedFrame, read_manifest
from medcolor.reference.orientation import VIEW
from medcolor.reference.prepare import prepare_photograph
from medcolor.reference.settings import ReferenceSettings
from medcolor.storage import Place, place_of, plain_name
from medcolor.storage.names import is_shown
from medcolor.volume.files import (
    IMAGE_SUFFIXES,
    RAW_SUFFIXES,
    is_photograph,
    list_photographs,
    photograph_stem,
)
from medcolor.volume.images import read_image_in_pixels

_THIRDS = {"": 0.0, "a": 0.0, "b": 1 / 3, "c": 2 / 3}

_KNOWN_BESIDE_ONE = 5
"""Photographs with a number for each that lacks one, from which the latter is none of them: a logo,
a scale, a picture of the whole."""

_ANEW = "Build the index anew"
_HALF_OPAQUE = {"uint8": 127, "uint16": 32767}
"""By type of the pixels."""


@dataclass(frozen=True)
class ReferenceRecord:
    """One frame of a library."""

    reference_id: str
    """Its file name."""

    path: Place
    position_mm: float | None
    """Along the body, growing toward the feet; None where the names do not tell."""

    orientation: str | None = None
    """Of this frame, where a record of its preparation says it; else settings.reference's."""


def list_references(folder: Place, settings: ReferenceSettings) -> list[ReferenceRecord]:
    """List the frames of a folder, from head to feet where their names carry positions.

    Of a folder that `medcolor reference prepare` wrote, its record tells frames, positions
    and orientations. Few files without a number among many that have one are none of them.

    Raises:
        InputError: If the folder is absent or holds no images.
    """
    return _parted(_all_of(folder, settings))[0]


def list_foreign(folder: Place, settings: ReferenceSettings) -> list[ReferenceRecord]:
    """List the images of a folder that `list_references` takes for no photographs of the series.

    Raises:
        InputError: As `list_references`.
    """
    return _parted(_all_of(folder, settings))[1]


def _parted(
    records: list[ReferenceRecord],
) -> tuple[list[ReferenceRecord], list[ReferenceRecord]]:
    """Part photographs from few files of which alone it is not known where they belong."""
    known = [record for record in records if record.position_mm is not None]
    others = [record for record in records if record.position_mm is None]
    if _KNOWN_BESIDE_ONE * len(others) > len(known):
        return records, []
    return sorted(known, key=lambda record: record.position_mm or 0.0), others


def _all_of(folder: Place, settings: ReferenceSettings) -> list[ReferenceRecord]:
    """List all images of a folder, with positions unless two have the same."""
    if (prepared := read_manifest(folder)) is not None:
        return _of_manifest(folder, prepared)
    files = list_photographs(folder) if folder.is_dir() else []
    for path in files:
        plain_name(path.name, folder, "Rename it")  # it becomes an id, which is read back so
    if not files:
        raise InputError(
            folder,
            f"no reference photographs ({', '.join((*IMAGE_SUFFIXES, *RAW_SUFFIXES))})",
            "Give a folder of colour cross-sections, or an index built from one",
        )
    positions = [number_in_name(photograph_stem(path)) for path in files]
    known = [position for position in positions if position is not None]
    if len(set(known)) < len(known):
        positions = [None] * len(files)
    return [
        ReferenceRecord(path.name, path, None if at is None else position_of(at, settings))
        for path, at in zip(files, positions, strict=True)
    ]


def recorded_place(uri: object, reference_id: object, record: object) -> Place:
    """Return where a photograph lies that an index or a choice of photographs names.

    What is followed, and why: an index is built from a folder that its user names, may lie
    elsewhere than its photographs, and be read on machines that did not build it. So a whole path
    (or `file://`) and an address of a bucket are followed wherever they lead, but to nothing but
    the photograph that the row is about: the last part is its id, a plain name with the ending of
    a photograph. Before its pixels are looked at, a regular file must have the content whose digest
    the row holds (`run.index.refuse_changed_photographs`), so no row makes anything of a file that
    its writer did not have. Relative paths, which this program never records, would depend on the
    folder a command is called from, and other addresses fetch from anybody: both are refused.
    Nothing deletes or overwrites what a row names.

    Args:
        uri: As recorded.
        reference_id: Of the photograph, as recorded.
        record: The file that says so.

    Raises:
        InputError: It is no such place.
    """
    name = plain_name(reference_id, record, _ANEW)
    try:
        place = place_of(str(uri))
    except InputError as error:
        raise InputError(record, f"leads to {error.args[0]}, {error.args[1]}", _ANEW) from error
    is_whole = not isinstance(place, Path) or place.is_absolute()
    is_its = place.name == name and is_photograph(name) and is_shown(str(place))
    if not (is_its and is_whole):
        raise InputError(
            record, f"leads to {place} for the photograph {name}, expected its whole path", _ANEW
        )
    return place


def position_of(number: float, settings: ReferenceSettings) -> float:
    """Return the place in mm, growing toward the feet, that the number of a frame stands for."""
    return number if settings.presumed_orientation[2] == "I" else -number


def number_in_name(stem: str) -> float | None:
    """Return the last number in a name; Visible Human's a, b, c after it are thirds.

    1020 -> 1020, a_vm1398 -> 1398, avf1432b -> 1432.333; None without digits.
    """
    found = re.findall(r"(\d+)([abc]?)(?![a-z0-9])", stem.lower())
    if not found:
        return None
    number, third = found[-1]
    return int(number) + _THIRDS[third]


def load_reference(
    record: ReferenceRecord, settings: ReferenceSettings, turn: str = VIEW
) -> ReferenceSlice:
    """Read and prepare one frame; an alpha channel says where the body is.

    `turn` is how it lies once read as it is said to lie; see `prepare_photograph`.

    Raises:
        InputError: Unreadable, grey, or without a body.
    """
    if not record.path.is_file():
        raise InputError(
            record.path, "no such reference", "Restore the file or build the index anew"
        )
    rgb, body = read_photograph(record.path)
    if record.orientation is not None:
        settings = replace(settings, orientation=record.orientation)
    return prepare_photograph(rgb, record.reference_id, settings, body, turn)


def read_photograph(
    path: Place,
) -> tuple[UInt8[np.ndarray, "row col 3"], Bool[np.ndarray, "row col"] | None]:
    """Return a photograph in 8 bits, and where it is opaque unless it is so throughout.

    Pixels that its file says are not square are made so.

    Raises:
        InputError: Unreadable, grey, or of another type.
    """
    image, alpha, pixel = read_image_in_pixels(path)
    if image.ndim != 3:
        raise InputError(path, "a grey image has no colours to give", "Take it out")
    if image.dtype.name not in _HALF_OPAQUE:
        raise InputError(path, f"pixels of type {image.dtype}, expected 8 or 16 bit", "Convert")
    is_opaque = None if alpha is None else alpha.astype(np.int32) > _HALF_OPAQUE[image.dtype.name]
    if image.dtype == np.uint16:
        image = np.round(image.astype(np.float32) / 257)
    rgb, shape = image.astype(np.uint8), square_shape(image.shape[:2], pixel)
    if is_opaque is None or is_opaque.all():
        return resize(rgb, shape), None
    return resize(rgb, shape), resize_mask(is_opaque, shape)


def _of_manifest(folder: Place, prepared: tuple[PreparedFrame, ...]) -> list[ReferenceRecord]:
    """List what a preparation left to use, with positions unless two have the same."""
    usable = [one for one in prepared if one.file is not None]
    if not usable:
        raise InputError(
            folder / MANIFEST, "none of its frames shows a body", "Prepare other photographs"
        )
    known = [one.position_mm for one in usable if one.position_mm is not None]
    is_one_each = len(set(known)) == len(known)
    return [
        ReferenceRecord(
            one.file or "",
            folder / (one.file or ""),
            one.position_mm if is_one_each else None,
            one.orientation,
        )
        for one in usable
    ]
