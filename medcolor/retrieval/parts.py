"""One part of a reference index: a parquet file, whole or absent, that says what made its rows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float

from medcolor.errors import InputError
from medcolor.reference.library import ReferenceRecord, recorded_place
from medcolor.storage import plain_name
from medcolor.storage.durable import BEING_WRITTEN, create_file, write_file
from medcolor.storage.names import as_text, from_text

FORMAT = 2
"""Of the parts this version writes and reads."""

_PARTS = "part-*.parquet"
MADE = re.compile(
    rf"({BEING_WRITTEN})?(part-\d+\.parquet|\.descriptors-[0-9a-f]+\.npy)"
    r"|\.part-\d+\.parquet\.version"  # of a copy from a bucket
)
"""Names of the files of an index, whole or being written."""

_GROUP_ROWS = 1024
"""Rows of a parquet row group: what is decoded at a time."""


@dataclass(frozen=True)
class Origin:
    """What rows were made with; descriptors of different origin cannot be compared."""

    network: str
    """Digest of the weights."""

    preparation: str
    """Digest of the settings the photographs were prepared with."""


@dataclass(frozen=True)
class Frame:
    """One photograph as an index knows it."""

    reference_id: str
    digest: str
    """Of the file's content."""

    position_mm: float | None
    orientation: str | None = None

    @classmethod
    def of(cls, record: ReferenceRecord, digest: str) -> Frame:
        """Name a photograph by all that decides what it gives."""
        return cls(record.reference_id, digest, record.position_mm, record.orientation)


@dataclass(frozen=True)
class DescribedReference:
    """What becomes a row: a photograph, described."""

    record: ReferenceRecord
    digest: str
    """Of the file's content."""

    descriptor: Float[np.ndarray, " descriptor"]
    """Unit length, or zero where the photograph shows no body."""

    thumbnail: bytes
    """PNG."""

    preparation: dict[str, Any]
    """What was found and done when the photograph was prepared: an open record, JSON."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was seen: such a photograph gets no row."""
        return not self.descriptor.any()

    @property
    def frame(self) -> Frame:
        """What names the photograph."""
        return Frame.of(self.record, self.digest)


@dataclass(frozen=True)
class Part:
    """The head of a part."""

    path: Path
    origin: Origin
    rows: int
    descriptor_size: int
    empty: tuple[Frame, ...]
    """Photographs without a body that were met beside those of the rows."""


def part_path(folder: Path, number: int) -> Path:
    """Return the path of a part."""
    return folder / f"part-{number:05d}.parquet"


def is_part_name(name: str) -> bool:
    """Tell a part of an index by its name."""
    return fnmatchcase(name, _PARTS)


def part_paths(folder: Path) -> list[Path]:
    """Return the parts of a folder in order; none if it is no index."""
    return sorted(folder.glob(_PARTS))


def next_number(folder: Path) -> int:
    """Return the first number after those of all parts."""
    found = (re.fullmatch(r"part-(\d+)", path.stem) for path in part_paths(folder))
    return max((int(match[1]) for match in found if match), default=-1) + 1


def write_part(path: Path, references: Sequence[DescribedReference], origin: Origin) -> None:
    """Write a part; empty photographs are noted in its head and get no row."""
    write_file(path, _encoded(_table(references, origin)))


def add_part(folder: Path, references: Sequence[DescribedReference], origin: Origin) -> Path:
    """Write a part under the next number that is free, and return where: nobody else gets it."""
    content = _encoded(_table(references, origin))
    while True:
        path = part_path(folder, next_number(folder))
        if create_file(path, content):
            return path


def _table(references: Sequence[DescribedReference], origin: Origin) -> pa.Table:
    rows = [one for one in references if not one.is_empty]
    schema = _schema(len(references[0].descriptor))
    descriptors = np.concatenate([np.zeros(0, np.float32), *(one.descriptor for one in rows)])
    columns = {
        "id": [as_text(one.record.reference_id) for one in rows],
        "uri": [as_text(str(one.record.path)) for one in rows],
        "position_mm": [one.record.position_mm for one in rows],
        "orientation": [one.record.orientation for one in rows],
        "digest": [one.digest for one in rows],
        "descriptor": pa.FixedSizeListArray.from_arrays(
            pa.array(descriptors, pa.float32()), type=schema.field("descriptor").type
        ),
        "thumbnail": [one.thumbnail for one in rows],
        "preparation": [json.dumps(one.preparation, sort_keys=True) for one in rows],
    }
    head = {
        "format": FORMAT,
        **asdict(origin),
        "empty": [asdict(one.frame) for one in references if one.is_empty],
    }
    return pa.table(columns, schema=schema.with_metadata({"medcolor": json.dumps(head)}))


def keep_rows(part: Part, kept: Bool[np.ndarray, " row"]) -> None:
    """Rewrite a part with some of its rows.

    One without any stays: its head knows empty photographs, and its number is not given again.
    """
    with readable(part.path), _open(part.path) as file:
        table = file.read()
    write_file(part.path, _encoded(table.filter(pa.array(kept))))


def open_part(path: Path) -> Part:
    """Read the head of a part.

    Raises:
        InputError: Cut short, not a part of an index, or of another format.
    """
    with readable(path), _open(path) as file:
        schema = file.schema_arrow
        head = json.loads((schema.metadata or {})[b"medcolor"])
        found = head.get("format", 1)
        if found != FORMAT:
            raise InputError(
                path, f"format {found}, this version reads {FORMAT}", "Build the index anew"
            )
        size = schema.field("descriptor").type.list_size
        if not schema.equals(_schema(size)):
            raise ValueError(f"columns {', '.join(schema.names)}")
        origin = Origin(str(head["network"]), str(head["preparation"]))
        empty = tuple(Frame(**frame) for frame in head["empty"])
        for frame in empty:
            plain_name(frame.reference_id, path, "Build the index anew")
        return Part(path, origin, file.metadata.num_rows, size, empty)


def read_columns(part: Part, *names: str) -> dict[str, list[Any]]:
    """Read some columns as lists."""
    with readable(part.path), _open(part.path) as file:
        return {str(key): values for key, values in file.read(list(names)).to_pydict().items()}


def read_records(part: Part) -> list[tuple[ReferenceRecord, str]]:
    """Return the photograph of every row and the digest of its content."""
    columns = read_columns(part, "id", "uri", "position_mm", "orientation", "digest")
    return [
        (_record(part.path, reference_id, uri, position, orientation), digest)
        for reference_id, uri, position, orientation, digest in zip(*columns.values(), strict=True)
    ]


def _record(
    part: Path, reference_id: str, uri: str, position_mm: float | None, orientation: str | None
) -> ReferenceRecord:
    name = from_text(reference_id)
    place = recorded_place(from_text(uri), name, part)
    return ReferenceRecord(name, place, position_mm, orientation)


def read_descriptors(part: Part) -> Iterator[Float[np.ndarray, "row descriptor"]]:
    """Yield the descriptors, a row group at a time, as views of arrow's buffers."""
    with readable(part.path), _open(part.path) as file:
        for group in range(file.num_row_groups):
            for chunk in file.read_row_group(group, ["descriptor"]).column(0).chunks:
                values = chunk.flatten().to_numpy(zero_copy_only=True)
                yield values.reshape(len(chunk), part.descriptor_size)


def read_thumbnails(parts: Sequence[Part], ids: Sequence[str]) -> dict[str, bytes]:
    """Return the PNG of some references, by id."""
    wanted, found = {as_text(one): one for one in ids}, {}
    for part in parts:
        with readable(part.path), _open(part.path) as file:
            for group in range(file.num_row_groups):
                names = file.read_row_group(group, ["id"]).column(0).to_pylist()
                if wanted.keys().isdisjoint(names):
                    continue
                pictures = file.read_row_group(group, ["thumbnail"]).column(0)
                chosen = [row for row, name in enumerate(names) if name in wanted]
                found.update({wanted[names[row]]: pictures[row].as_py() for row in chosen})
    return found


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what pyarrow says about a damaged or foreign file into an error that names it."""
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            path,
            f"no readable part of a reference index ({error})",
            "Delete it and append its photographs again, or build the index anew",
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    # By bytes: given a path, arrow refuses those that are no UTF-8.
    with pa.OSFile(os.fsencode(path)) as source:
        yield pq.ParquetFile(source, page_checksum_verification=True)


def _schema(descriptor_size: int) -> pa.Schema:
    element = pa.field("element", pa.float32(), nullable=False)
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("position_mm", pa.float64()),
            pa.field("orientation", pa.string()),
            pa.field("digest", pa.string(), nullable=False),
            pa.field("descriptor", pa.list_(element, descriptor_size), nullable=False),
            pa.field("thumbnail", pa.binary(), nullable=False),
            pa.field("preparation", pa.string(), nullable=False),
        ]
    )


def _encoded(table: pa.Table) -> memoryview:
    """Return a table as a parquet file."""
    content = pa.BufferOutputStream()
    # Neither descriptors nor PNG shrink; uncompressed pages are decoded fastest.
    pq.write_table(
        table,
        content,
        row_group_size=_GROUP_ROWS,
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    return memoryview(content.getvalue())
