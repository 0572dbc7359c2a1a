"""The record of a preparation: what became of every frame, `references.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from medcolor.errors import InputError
from medcolor.storage import Place, plain_name, write_json
from medcolor.volume.files import is_photograph

MANIFEST = "references.json"
CONTACT_SHEET = "contact_sheet.png"

Status = Literal["prepared", "clean", "empty", "duplicate", "missing"]

_VERSION = 1
_REMEDY = "Delete this record and prepare them anew"
_REGULAR_SHARE = 0.5
"""Share of the distances between neighbouring numbers that one distance has, at least, for
the sequence to have gaps."""


@dataclass(frozen=True)
class PreparedFrame:
    """What became of one frame."""

    status: Status
    """prepared: cut out and written; clean: copied as it was; empty, duplicate: not written;
    missing: its number is lacking in the sequence."""

    source: str | None
    """File name of the frame; None if it is missing."""

    number: float | None
    """In its name."""

    position_mm: float | None
    """Along the body, growing toward the feet."""

    file: str | None = None
    """What was written."""

    orientation: str | None = None
    """Of what was written: where columns, rows and numbers run to."""

    crop: tuple[int, int, int, int] | None = None
    """Of the source: first row, row after the last, first column, column after the last."""

    gains: tuple[float, float, float] | None = None
    """What linear red, green and blue were multiplied by."""

    balance: str | None = None
    """Where the gains come from, or why there are none."""

    air_share: float | None = None
    """Share of the body that is painted or filled with gel."""

    why: str | None = None
    """Of empty and duplicate frames."""

    source_digest: str | None = None
    content_digest: str | None = None
    """Of the pixels."""

    file_digest: str | None = None
    settings_digest: str | None = None

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}


@dataclass(frozen=True)
class _Record:
    version: Literal[1]
    frames: tuple[PreparedFrame, ...]

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}


_RECORD = TypeAdapter(_Record)


def write_manifest(folder: Path, frames: Sequence[PreparedFrame]) -> None:
    """Write the record, in the order of the frames' numbers and names; unchanged, it is left."""
    ordered = sorted(
        frames, key=lambda one: (one.number is None, one.number or 0, one.source or "")
    )
    if read_manifest(folder) != tuple(ordered):
        content = {"version": _VERSION, "frames": [asdict(frame) for frame in ordered]}
        write_json(folder / MANIFEST, content)


def read_manifest(folder: Place) -> tuple[PreparedFrame, ...] | None:
    """Read the record of a folder; None if there is none.

    Raises:
        InputError: If it cannot be read, or names a file that is not of this folder.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        # Not by pydantic's own parser: it refuses names with bytes that are no UTF-8.
        frames = _RECORD.validate_python(json.loads(path.read_bytes())).frames
    except (OSError, ValueError) as error:
        raise InputError(
            path, f"no readable record of prepared references ({_reason(error)})", _REMEDY
        ) from error
    for one in frames:
        if one.file is not None and not is_photograph(plain_name(one.file, path, _REMEDY)):
            raise InputError(path, f"names {one.file} for a photograph", _REMEDY)
    return frames


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def missing_numbers(numbers: Sequence[float]) -> list[float]:
    """Return what lacks in a regular sequence; nothing where it is not regular.

    1, 2, 4 -> 3; 1000, 1005, 1015, 1020, 1030 -> 1010, 1025.
    """
    ordered = sorted(set(numbers))
    distances = [round(b - a, 3) for a, b in pairwise(ordered)]
    if not distances:
        return []
    counts = Counter(distances)
    step = min(counts, key=lambda distance: (-counts[distance], distance))
    if counts[step] < _REGULAR_SHARE * len(distances):
        return []
    lacking = []
    for start, stop in pairwise(ordered):
        steps = round((stop - start) / step)
        lacking += [round(start + (stop - start) * k / steps, 3) for k in range(1, steps)]
    return lacking
