"""A folder of photographs: which frames there are and where along the body they lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medcolor.domain import ReferenceSlice
from medcolor.errors import InputError
from medcolor.reference.orientation import VIEW
from medcolor.reference.prepare import ReferenceSettings, prepare_photograph
from medcolor.volume.files import IMAGE_SUFFIXES, list_images
from medcolor.volume.images import read_image

_THIRDS = {"": 0.0, "a": 0.0, "b": 1 / 3, "c": 2 / 3}


@dataclass(frozen=True)
class ReferenceRecord:
    """One frame of a library."""

    reference_id: str
    """Its file name."""

    path: Path
    position_mm: float | None
    """Along the body, growing toward the feet; None where the names do not tell."""


def list_references(folder: Path, settings: ReferenceSettings) -> list[ReferenceRecord]:
    """List the frames of a folder, from head to feet where their names carry positions.

    Raises:
        InputError: If the folder is absent or holds no images.
    """
    files = list_images(folder) if folder.is_dir() else []
    if not files:
        raise InputError(
            folder,
            f"no reference photographs ({', '.join(IMAGE_SUFFIXES)})",
            "Give a folder of colour cross-sections, or an index built from one",
        )
    positions = [number_in_name(path.stem) for path in files]
    known = [position for position in positions if position is not None]
    if len(set(known)) < len(files):
        return [ReferenceRecord(path.name, path, None) for path in files]
    sign = 1.0 if settings.presumed_orientation[2] == "I" else -1.0
    records = [
        ReferenceRecord(path.name, path, sign * position)
        for path, position in zip(files, known, strict=True)
    ]
    return sorted(records, key=lambda record: record.position_mm or 0.0)


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
    """Read and prepare one frame; see `prepare_photograph`.

    Raises:
        InputError: Unreadable, grey, or without a body.
    """
    if not record.path.is_file():
        raise InputError(
            record.path, "no such reference", "Restore the file or build the index anew"
        )
    image = read_image(record.path)
    if image.ndim != 3:
        raise InputError(record.path, "a grey image has no colours to give", "Take it out")
    if image.dtype == np.uint16:
        image = np.round(image.astype(np.float32) / 257)
    elif image.dtype != np.uint8:
        raise InputError(
            record.path, f"pixels of type {image.dtype}, expected 8 or 16 bit", "Convert"
        )
    return prepare_photograph(image.astype(np.uint8), record.reference_id, settings, turn)
