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
from medcolor.retrieval.assignment import top_k

_LISTED = 3


@dataclass(frozen=True)
class Assignment:
    """The reference of every slice."""

    references: tuple[tuple[str, str], ...]
    """Id and path, one a slice."""


def write_assignment(
    path: Path,
    identity: str,
    chosen: Int[np.ndarray, " slice"],
    similarity: Float[np.ndarray, "slice reference"],
    records: tuple[ReferenceRecord, ...],
) -> Assignment:
    """Write the reference of every slice, and the paper's independent top three beside it."""
    best = top_k(similarity, _LISTED)
    ids = [record.reference_id for record in records]
    table = pa.table(
        {
            "z": pa.array(range(len(chosen)), pa.int32()),
            "reference_id": [ids[index] for index in chosen],
            "uri": [str(records[index].path) for index in chosen],
            "position_mm": pa.array([records[i].position_mm for i in chosen], pa.float64()),
            "similarity": similarity[np.arange(len(chosen)), chosen],
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
    rows = table.select(["reference_id", "uri"]).to_pylist()
    return Assignment(tuple((row["reference_id"], row["uri"]) for row in rows))
