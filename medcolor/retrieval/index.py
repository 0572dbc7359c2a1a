"""The reference index: a folder of parquet parts, one row a photograph."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord

_PART = "part-00000.parquet"


@dataclass(frozen=True)
class ReferenceIndex:
    """Descriptors of a library, and what they were made with."""

    records: tuple[ReferenceRecord, ...]
    descriptors: Float[np.ndarray, "reference descriptor"]
    network_digest: str
    preparation_digest: str
    """Of the settings the photographs were prepared with."""

    library_digest: str
    """Of the photographs themselves."""

    @property
    def positions_mm(self) -> Float[np.ndarray, " reference"] | None:
        """Positions along the body, or None unless all are known."""
        known = [r.position_mm for r in self.records if r.position_mm is not None]
        return np.array(known) if len(known) == len(self.records) else None


def write_index(index: ReferenceIndex, thumbnails: list[bytes], folder: Path) -> None:
    """Write an index into a folder that holds none."""
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            folder, "exists and is not empty", "Name another folder, or delete this one"
        )
    width = index.descriptors.shape[1]
    table = pa.table(
        {
            "id": [record.reference_id for record in index.records],
            "uri": [str(record.path) for record in index.records],
            "position_mm": pa.array([r.position_mm for r in index.records], pa.float64()),
            "orientation": pa.array([r.orientation for r in index.records], pa.string()),
            "descriptor": pa.FixedSizeListArray.from_arrays(
                pa.array(index.descriptors.astype(np.float32).ravel()), width
            ),
            "thumbnail": pa.array(thumbnails, pa.binary()),
        }
    )
    about = {
        "network": index.network_digest,
        "preparation": index.preparation_digest,
        "library": index.library_digest,
    }
    table = table.replace_schema_metadata({"medcolor": json.dumps(about)})
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{_PART}.tmp"
    pq.write_table(table, part)
    part.replace(folder / _PART)


def is_index(folder: Path) -> bool:
    """Tell an index from a folder of photographs."""
    return (folder / _PART).is_file()


def read_index(folder: Path, *, network_digest: str, preparation_digest: str) -> ReferenceIndex:
    """Read an index.

    Raises:
        InputError: Unreadable, or made by another network or with other preparation.
    """
    try:
        table = pq.read_table(folder / _PART)
        about = json.loads((table.schema.metadata or {})[b"medcolor"])
        column = table["descriptor"].combine_chunks()
        descriptors = np.asarray(column.flatten()).reshape(len(column), -1)
        rows = table.select(["id", "uri", "position_mm", "orientation"]).to_pylist()
        made_by = {key: str(about[key]) for key in ("network", "preparation", "library")}
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(
            folder, f"no readable reference index ({error})", "Build it anew"
        ) from error
    for key, expected in (("network", network_digest), ("preparation", preparation_digest)):
        if made_by[key] != expected:
            raise InputError(
                folder,
                f"built with {key} {made_by[key][:12]}, this run uses {expected[:12]}",
                "Build the index anew with these settings: medcolor index build",
            )
    records = tuple(
        ReferenceRecord(row["id"], Path(row["uri"]), row["position_mm"], row["orientation"])
        for row in rows
    )
    return ReferenceIndex(
        records, descriptors, network_digest, preparation_digest, made_by["library"]
    )
