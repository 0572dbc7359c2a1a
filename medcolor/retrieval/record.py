"""The choice of references as a parquet table beside the volume, read on resume."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval.assignment import RetrievalSettings, references_around, top_k

_LISTED = 3


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
        return ReferenceRecord(self.reference_id, Path(self.path), None, self.orientation)


@dataclass(frozen=True)
class Assignment:
    """The references of every slice."""

    references: tuple[tuple[Source, ...], ...]
    """For each slice, the one assigned first."""


def write_assignment(
    path: Path,
    identity: str,
    chosen: Int[np.ndarray, " slice"],
    similarity: Float[np.ndarray, "slice reference"],
    records: tuple[ReferenceRecord, ...],
    settings: RetrievalSettings,
) -> Assignment:
    """Write the references of every slice, and the paper's independent top three beside them."""
    best = top_k(similarity, _LISTED)
    ids = [record.reference_id for record in records]
    around = _sources(chosen, similarity, records, settings)
    table = pa.table(
        {
            "z": pa.array(range(len(chosen)), pa.int32()),
            "reference_id": [ids[index] for index in chosen],
            "uri": [str(records[index].path) for index in chosen],
            "position_mm": pa.array([records[i].position_mm for i in chosen], pa.float64()),
            "similarity": similarity[np.arange(len(chosen)), chosen],
            "sources": [[vars(source) for source in sources] for sources in around],
            "most_similar": [[ids[index] for index in row] for row in best],
        }
    )
    about = json.dumps({"identity": identity})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.tmp")
    pq.write_table(table.replace_schema_metadata({"medcolor": about}), part)
    part.replace(path)
    return _assignment(table)


def read_assignment(path: Path, identity: str) -> Assignment | None:
    """Read the choice of an earlier run; None if there is none of this identity."""
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {}).get(b"medcolor", b"{}"))
    except (FileNotFoundError, pa.ArrowInvalid, ValueError):
        return None
    return _assignment(table) if about.get("identity") == identity else None


def _assignment(table: pa.Table) -> Assignment:
    rows = table.column("sources").to_pylist()
    return Assignment(tuple(tuple(Source(**source) for source in row) for row in rows))


def _sources(
    chosen: Int[np.ndarray, " slice"],
    similarity: Float[np.ndarray, "slice reference"],
    records: tuple[ReferenceRecord, ...],
    settings: RetrievalSettings,
) -> list[list[Source]]:
    """Return the assigned reference of every slice and those beside it."""
    places = [record.position_mm for record in records]
    known = np.array([place for place in places if place is not None])

    def around(slice_number: int) -> list[tuple[int, float]]:
        index = int(chosen[slice_number])
        if len(known) == len(places):
            return references_around(known[index], known, settings)
        alike = [int(i) for i in top_k(similarity[slice_number : slice_number + 1], len(ids))[0]]
        first = [index, *(i for i in alike if i != index)][: settings.references]
        return [(i, 1.0) for i in first]

    ids = [record.reference_id for record in records]
    return [
        [
            Source(ids[i], str(records[i].path), weight, records[i].orientation)
            for i, weight in around(slice_number)
        ]
        for slice_number in range(len(chosen))
    ]
