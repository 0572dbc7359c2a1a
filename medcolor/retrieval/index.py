"""The reference index: a folder of parquet parts, one row a photograph."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval.decode import SHARED_FROM_BYTES, decode, decode_shared
from medcolor.retrieval.parts import (
    Frame,
    Origin,
    Part,
    keep_rows,
    open_part,
    part_paths,
    read_records,
)
from medcolor.volume.files import natural_name_key

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReferenceIndex:
    """The rows of an index, in an order that does not depend on how it was put together.

    From head to feet where all positions are known, else in natural order of the ids.
    """

    folder: Path
    parts: tuple[Part, ...]
    records: tuple[ReferenceRecord, ...]
    digests: tuple[str, ...]
    """Of the photographs' contents."""

    places: Int[np.ndarray, " row"]
    """For every row, counted through the parts, its place among the records."""

    @property
    def origin(self) -> Origin:
        """What the descriptors were made with."""
        return self.parts[0].origin

    @cached_property
    def descriptors(self) -> Float[np.ndarray, "reference descriptor"]:
        """Unit vectors, float32, read-only; decoded on first use."""
        shape = len(self.records), self.parts[0].descriptor_size
        if 4 * shape[0] * shape[1] >= SHARED_FROM_BYTES:
            try:
                return decode_shared(self.folder, self._content_digest, self.parts, self.places)
            except OSError as error:  # a folder of somebody else's, or a full disk
                _log.warning("%s: decoded by every process for itself (%s)", self.folder, error)
        matrix = np.empty(shape, np.float32)
        decode(self.parts, self.places, matrix)
        matrix.flags.writeable = False
        return matrix

    @property
    def positions_mm(self) -> Float[np.ndarray, " reference"] | None:
        """Positions along the body, ascending, or None unless all are known."""
        known = [r.position_mm for r in self.records if r.position_mm is not None]
        return np.array(known) if len(known) == len(self.records) else None

    @property
    def empty(self) -> tuple[Frame, ...]:
        """Photographs that were left out because they show no body."""
        return tuple(dict.fromkeys(frame for part in self.parts for frame in part.empty))

    @property
    def library_digest(self) -> str:
        """Names the photographs, the empty ones too; the same however the index came about."""
        rows = zip(self.records, self.digests, strict=True)
        shown = (Frame.of(record, digest) for record, digest in rows)
        return digest_library([*shown, *self.empty])

    @property
    def _content_digest(self) -> str:
        """Names what decides the matrix of descriptors: the rows in their order, and the origin."""
        return _digest([*astuple(self.origin), *self.digests])


def is_index(folder: Path) -> bool:
    """Tell an index from a folder of photographs."""
    return bool(part_paths(folder))


def read_index(folder: Path, origin: Origin | None = None) -> ReferenceIndex:
    """Open an index; descriptors are decoded when first asked for.

    Args:
        folder: Of parts.
        origin: What this run makes descriptors with; None takes the first part's.

    Raises:
        InputError: Unreadable, or a part was made by another network, with other preparation
            or other descriptors than expected.
    """
    parts = tuple(open_part(path) for path in part_paths(folder))
    if not parts:
        raise InputError(folder, "no reference index", "Build it: medcolor index build")
    for part in parts:
        _refuse_other_origin(part, origin or parts[0].origin)
        if part.descriptor_size != parts[0].descriptor_size:
            raise InputError(
                part.path,
                f"descriptors of {part.descriptor_size} numbers, those of "
                f"{parts[0].path.name} have {parts[0].descriptor_size}",
                "Delete the part that does not belong here",
            )
    rows = [row for part in parts for row in read_records(part)]
    _refuse_twins(folder, [record.reference_id for record, _ in rows])
    order = _order([record for record, _ in rows])
    places = np.empty(len(rows), np.int64)
    places[order] = np.arange(len(rows))
    records, digests = (tuple(rows[row][column] for row in order) for column in (0, 1))
    return ReferenceIndex(folder, parts, records, digests, places)


def remove_rows(index: ReferenceIndex, ids: Sequence[str]) -> ReferenceIndex:
    """Remove photographs; only the parts that hold them are written again.

    Each part is replaced whole: a removal cut short leaves an index with some of them removed.

    Raises:
        InputError: An id is not there, or none would be left.
    """
    held = [record.reference_id for record in index.records]
    for unknown in sorted(set(ids) - set(held)):
        near = difflib.get_close_matches(unknown, held)
        hint = f"Near names: {', '.join(near)}" if near else "List them: medcolor index show"
        raise InputError(index.folder, f"holds no reference {unknown}", hint)
    if len(set(ids)) == len(held):
        raise InputError(index.folder, "no reference would be left", "Delete the folder instead")
    kept = np.isin(np.array(held), list(ids), invert=True)[index.places]
    begin = 0
    for part in index.parts:
        of_part = kept[begin : begin + part.rows]
        begin += part.rows
        if not of_part.all():
            keep_rows(part, of_part)
    return read_index(index.folder, index.origin)


def digest_library(frames: Iterable[Frame]) -> str:
    """Name photographs by contents, positions and recorded orientations, not by order or names."""
    return _digest(sorted(f"{f.digest} {f.position_mm} {f.orientation}" for f in frames))


def _digest(lines: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def _refuse_other_origin(part: Part, expected: Origin) -> None:
    for key, found in vars(part.origin).items():
        wanted = getattr(expected, key)
        if found != wanted:
            raise InputError(
                part.path,
                f"built with {key} {found[:12]}, expected {wanted[:12]}",
                "Build the index anew with these settings: medcolor index build",
            )


def _refuse_twins(folder: Path, ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        (twin, count), *_ = Counter(ids).most_common(1)
        raise InputError(
            folder, f"holds {count} references {twin}", "Delete the part that repeats others"
        )


def _order(records: Sequence[ReferenceRecord]) -> Int[np.ndarray, " row"]:
    """Return the rows from head to feet where all positions are known, else by natural id."""
    positions = [record.position_mm for record in records]
    is_known = None not in positions

    def key(row: int) -> tuple[object, ...]:
        return positions[row] if is_known else 0, natural_name_key(records[row].reference_id)

    return np.array(sorted(range(len(records)), key=key), np.int64)
