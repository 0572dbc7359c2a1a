"""Photographs to parts of an index, on any runner, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval.parts import (
    Frame,
    Origin,
    add_part,
    open_part,
    part_path,
    read_records,
    write_part,
)
from medcolor.run.plan import digest_network
from medcolor.run.tasks import Runner, Worker, run_all
from medcolor.run.threads import map_slices, usable_cores
from medcolor.volume.files import digest_file

PART_FRAMES = 1024
"""Photographs described between two writes: what bounds the memory of building an index. Their
rows become one part."""

_PER_TASK = 8


def describe_parts(
    records: Sequence[ReferenceRecord],
    folder: Path,
    first: int | None,
    origin: Origin,
    make_worker: Callable[[], Worker],
    runner: Runner,
    progress: ProgressReport,
) -> list[Path]:
    """Describe photographs and write parts, PART_FRAMES at a time.

    They are numbered from `first` or, if that is None, added under the next numbers that are free.

    A part waits for its photographs alone, and the next begins when it is written: memory does
    not grow with the library, and the parts depend neither on workers nor on who ends first.
    A part that an interrupted run finished is kept. Returns the parts.
    """
    paths = []
    for begin in range(0, len(records), PART_FRAMES):
        chunk = records[begin : begin + PART_FRAMES]
        path = None if first is None else part_path(folder, first + begin // PART_FRAMES)
        if path is not None and _holds(path, chunk, origin):
            progress.advance(len(chunk))
            paths.append(path)
            continue
        tasks = [tuple(chunk[i : i + _PER_TASK]) for i in range(0, len(chunk), _PER_TASK)]
        described = run_all(
            runner,
            make_worker,
            tasks,
            lambda done: progress.advance(len(done.task)),
            f"describing {chunk[0].path.parent}",
        )
        rows = [one for part in described for one in part]
        if path is None:
            path = add_part(folder, rows, origin)
        else:
            write_part(path, rows, origin)
        paths.append(path)
    return paths


def origin_of(settings: RunSettings) -> Origin:
    """Return what these settings make descriptors with."""
    return Origin(digest_network(settings), settings.digest("reference"))


def frames_of(records: Sequence[ReferenceRecord]) -> list[Frame]:
    """Read photographs through and return what names them."""
    digests = digests_of(records)
    return [Frame.of(record, one) for record, one in zip(records, digests, strict=True)]


def digests_of(records: Sequence[ReferenceRecord]) -> list[str]:
    """Return the digests of photographs' contents."""
    return map_slices(lambda record: digest_file(record.path), records, usable_cores())


def _holds(path: Path, records: Sequence[ReferenceRecord], origin: Origin) -> bool:
    """Tell whether an interrupted run wrote just this part."""
    if not path.is_file():
        return False
    try:
        part = open_part(path)
        rows = read_records(part)
    except InputError:
        return False
    found = {Frame.of(record, digest) for record, digest in rows} | {*part.empty}
    paths = {record.path for record in records}
    moved = any(record.path not in paths for record, _ in rows)
    return part.origin == origin and not moved and found == {*frames_of(records)}
