"""The choice of references as a parquet table beside the volume, read on resume."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from medcolor.reference.library import ReferenceRecord
from medcolor.reference.orientation import combined
from medcolor.retrieval.assignment import Choice, references_around
from medcolor.retrieval.orientation import Turn
from medcolor.retrieval.settings import RetrievalSettings
from medcolor.storage import Place, place_of, read_object, write_atomic, write_json
from medcolor.storage.names import as_text, from_text


@dataclass(frozen=True)
class Source:
    """A reference that a slice takes colours from."""

    reference_id: str
    path: str
    weight: float
    """> 0, against the others of the slice."""

    orientation: str | None = None
    """Of this photograph, where a record of its preparation says it."""

    @property
    def record(self) -> ReferenceRecord:
        """What it takes to load it."""
        return ReferenceRecord(self.reference_id, place_of(self.path), None, self.orientation)


KnownBy = Literal["record", "settings", "slices"]
_LIES = {"record": " as recorded", "settings": " as set", "slices": ""}


@dataclass(frozen=True)
class Bearing:
    """How the photographs lie against the scan, as found or as said."""

    turn: str
    """See `retrieval.orientation.Turn`."""

    orientation: str
    """Of the frames, as `reference.orientation` would say it."""

    known_by: KnownBy
    """What says how they lie: the record of their preparation, the settings, or the slices."""

    sides_are_certain: bool
    """Whether left and right are said, or told by the slices; otherwise they are presumed."""

    likeness: float | None
    """Mean cosine of some slices with the photograph most like each; None if none shows a body."""

    lead: float | None
    """By how much that is more than with the photographs in any other way to lie."""

    shows_this_part: bool
    """Whether the lead is that of photographs of the same part of the body."""

    order: str
    """What told the places along the body: names, looks, none."""

    is_reversed: bool
    """Whether the slices run against what scan and names state."""

    distance_mm: float | None
    """Usual distance found between photographs; None where their names say it."""

    @classmethod
    def of(cls, choice: Choice, turn: Turn, said: str, known_by: KnownBy = "slices") -> Bearing:
        """Put together what was found about photographs read as `said`."""
        numbers = said[2]
        is_reversed = choice.is_reversed and choice.order == "names"
        if is_reversed:
            numbers = "SI"["IS".index(numbers)]
        found = turn.likeness
        return cls(
            turn.code,
            combined(said[:2], turn.code) + numbers,
            known_by,
            turn.sides.are_certain or known_by != "slices",
            None if found is None else round(found.by_code[turn.pair], 4),
            None if found is None else round(found.lead(turn.pair), 4),
            turn.is_told,
            choice.order,
            is_reversed,
            choice.distance_mm,
        )

    def __str__(self) -> str:
        """Return it in a few words."""
        sides = "" if self.sides_are_certain else " (left and right presumed)"
        apart = "" if self.distance_mm is None else f", about {self.distance_mm:g} mm apart"
        course = ", slices run against what is stated" if self.is_reversed else ""
        part = "" if self.shows_this_part else "; they may show another part of the body"
        known = self.orientation[:2] if self.is_reversed else self.orientation
        said = _LIES[self.known_by]
        lie = f"{known if said else self.orientation}{said}{sides}"
        return f"{lie}, order by {self.order}{apart}{course}{part}"


@dataclass(frozen=True)
class Assignment:
    """The references of every slice."""

    references: tuple[tuple[Source, ...], ...]
    """For each slice, the nearest first."""

    bearing: Bearing

    @property
    def used(self) -> set[str]:
        """Ids of the photographs that any slice takes colours from."""
        return {source.reference_id for sources in self.references for source in sources}


def write_assignment(
    path: Place,
    identity: str,
    choice: Choice,
    bearing: Bearing,
    records: tuple[ReferenceRecord, ...],
    settings: RetrievalSettings,
) -> Assignment:
    """Write the references of every slice, and the paper's independent top three beside them."""
    chosen = choice.chosen
    ids = [as_text(record.reference_id) for record in records]
    around = _sources(choice, records, settings)
    places = [None] * len(chosen) if choice.course is None else choice.course.place_mm
    table = pa.table(
        {
            "z": pa.array(range(len(chosen)), pa.int32()),
            "reference_id": [ids[index] for index in chosen],
            "uri": [as_text(str(records[index].path)) for index in chosen],
            "position_mm": pa.array([records[i].position_mm for i in chosen], pa.float64()),
            "place_mm": pa.array(places, pa.float64()),
            "similarity": choice.cosine,
            "sources": [[_row(source) for source in sources] for sources in around],
            "most_similar": [[ids[i] for i in row] for row in choice.most_similar.indices],
        }
    )
    about = json.dumps({"identity": identity, "bearing": asdict(bearing)})
    content = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"medcolor": about}), content)
    write_atomic(path, content.getvalue())
    write_json(_marker(path), {"identity": identity, "digest": _digest(content.getvalue())})
    return Assignment(tuple(tuple(sources) for sources in around), bearing)


def read_assignment(
    path: Place, identity: str, records: tuple[ReferenceRecord, ...]
) -> Assignment | None:
    """Read the choice of an earlier run; None if there is none of this identity, or not whole.

    Args:
        path: Of the file.
        identity: Of the run.
        records: Of its index, which alone says where photographs lie: they may have been moved
            since, and the file is taken at its word for their ids and weights only.
    """
    known = {record.reference_id: record for record in records}
    marker = read_object(_marker(path)) or {}
    if marker.get("identity") != identity:
        return None
    try:
        content = path.read_bytes()
        if _digest(content) != marker.get("digest"):
            return None
        table = pq.read_table(io.BytesIO(content))
        about = json.loads((table.schema.metadata or {}).get(b"medcolor", b"{}"))
        rows = table.column("sources").to_pylist()
        references = tuple(
            tuple(_source(known[from_text(one["reference_id"])], one["weight"]) for one in row)
            for row in rows
        )
        return Assignment(references, Bearing(**about["bearing"]))
    except (FileNotFoundError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None


def photographs_used(path: Place) -> set[str] | None:
    """Return the ids of the photographs that a run takes colours from; None without a record."""
    try:
        rows = pq.read_table(io.BytesIO(path.read_bytes()), columns=["sources"])
        return {
            from_text(str(one["reference_id"]))
            for row in rows["sources"].to_pylist()
            for one in row
        }
    except (FileNotFoundError, NotADirectoryError, pa.ArrowInvalid, KeyError, TypeError):
        return None


def _row(source: Source) -> dict[str, object]:
    """Return a source as it is written; the format holds text alone."""
    texts = {"reference_id": as_text(source.reference_id), "path": as_text(source.path)}
    return vars(source) | texts


def _marker(path: Place) -> Place:
    """Return the file that says whose the table is, and what its bytes are."""
    return path.with_name(f"{path.stem}.json")


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _source(record: ReferenceRecord, weight: float) -> Source:
    return Source(record.reference_id, str(record.path), weight, record.orientation)


def _sources(
    choice: Choice,
    records: tuple[ReferenceRecord, ...],
    settings: RetrievalSettings,
) -> list[list[Source]]:
    """Return the references around the place of every slice, or most like it without places."""

    def around(z: int) -> list[tuple[int, float]]:
        if choice.course is not None:
            line = choice.course.line
            near = references_around(choice.course.place_mm[z], line.positions_mm, settings)
            return [(int(line.order[place]), weight) for place, weight in near]
        index = int(choice.chosen[z])
        alike = [int(i) for i in choice.most_similar.indices[z] if i != index]
        first = [index, *alike][: settings.references]
        return [(i, 1.0) for i in first]

    return [
        [_source(records[i], weight) for i, weight in around(z)] for z in range(len(choice.chosen))
    ]
