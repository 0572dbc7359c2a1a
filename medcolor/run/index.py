"""Building, growing and opening reference indexes with any runner."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from medcolor.config import RunSettings
from medcolor.errors import InputError, some_of
from medcolor.progress import ProgressReport
from medcolor.reference.library import ReferenceRecord, list_foreign, list_references
from medcolor.retrieval.index import ReferenceIndex, digest_library, is_index, read_index
from medcolor.retrieval.parts import MADE, Frame, part_paths
from medcolor.run.index_copies import (
    IndexChangedError,
    is_index_place,
    local_index,
    updating,
)
from medcolor.run.index_parts import describe_parts, digests_of, frames_of, origin_of
from medcolor.run.plan import resolve_hardware, resolve_threads
from medcolor.run.tasks import Runner
from medcolor.run.workers import DescribeReferences
from medcolor.storage import Place, delete_made
from medcolor.storage.durable import move_into_place
from medcolor.storage.locks import alone_with
from medcolor.storage.names import refuse_link
from medcolor.volume.files import digest_file

_NAMED = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Appended:
    """What came of appending photographs."""

    index: ReferenceIndex
    added: int
    known: tuple[str, ...]
    """Ids of the photographs that were skipped: their contents were there."""


def build_index(
    references: Place,
    folder: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> ReferenceIndex:
    """Describe a folder of photographs and write the index into `folder`.

    The parts are written into a hidden folder beside it, which takes its name when all are
    there; building again after an interruption keeps the finished ones. Of several processes one
    builds.

    Raises:
        InputError: No photographs, none with a body, or one that cannot be used; or `folder`
            holds something.
    """
    with alone_with(folder):
        return _build(references, folder, settings, runner, progress)


def _build(
    references: Place,
    folder: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> ReferenceIndex:
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            folder, "exists and is not empty", "Name another folder, or delete this one"
        )
    settings = resolve_hardware(settings, runner)
    records = list_references(references.absolute(), settings.reference)
    building = folder.with_name(f".{folder.name}.building")
    refuse_link(building)
    origin = origin_of(settings)
    threads = resolve_threads(settings, runner)
    progress.begin("references", len(records))
    parts = describe_parts(
        records,
        building,
        0,
        origin,
        lambda: DescribeReferences(settings, threads),
        runner,
        progress,
    )
    for stale in {*part_paths(building)} - {*parts}:
        stale.unlink()  # of an interrupted build of more photographs
    index = read_index(building, origin)
    if not index.records:
        delete_made(building, MADE)
        raise InputError(
            references,
            f"none of {len(records)} photographs shows a body on a plain background",
            "Give colour cross-sections on white, black or blue gel",
        )
    _tell_empty(index.empty, len(records))
    _tell_foreign(list_foreign(references.absolute(), settings.reference))
    move_into_place(building, folder)
    return read_index(folder, origin)


def append_index(
    references: Place,
    folder: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Appended:
    """Describe the photographs of a folder that an index does not hold and add them as new parts.

    Whole parts are added one by one; appending again after an interruption adds what is missing.
    Of several processes that change an index one does at a time.

    Raises:
        InputError: As `build_index`; or the index was made otherwise, or holds another photograph
            of the same id.
    """
    with alone_with(folder):
        return _append(references, folder, resolve_hardware(settings, runner), runner, progress)


def _append(
    references: Place,
    folder: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Appended:
    origin = origin_of(settings)
    index = read_index(folder, origin)
    records = list_references(references.absolute(), settings.reference)
    held = {*index.digests, *(frame.digest for frame in index.empty)}
    pairs = list(zip(records, digests_of(records), strict=True))
    fresh = [record for record, digest in pairs if digest not in held]
    known = tuple(record.reference_id for record, digest in pairs if digest in held)
    _refuse_names_taken(index, fresh)
    threads = resolve_threads(settings, runner)
    progress.begin("references", len(fresh))
    describe_parts(
        fresh,
        folder,
        None,
        origin,
        lambda: DescribeReferences(settings, threads),
        runner,
        progress,
    )
    grown = read_index(folder, origin)
    _tell_empty(grown.empty[len(index.empty) :], len(fresh))
    _tell_foreign(list_foreign(references.absolute(), settings.reference))
    if index.positions_mm is not None and grown.positions_mm is None:
        _log.warning("%s: not all positions are known any longer, so none will be used", folder)
    return Appended(grown, len(grown.records) - len(index.records), known)


def open_index(
    references: Place,
    kept: Place,
    library: str,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> ReferenceIndex:
    """Return the index at `references`, or one of the photographs there, kept in `kept`.

    Args:
        references: Index or folder of photographs.
        kept: Where the index of a folder is kept from run to run.
        library: `library_digest` of `references`.
        settings: Of the run.
        runner: Describes photographs.
        progress: Told how far it is.
    """
    if is_index_place(references):
        return read_index(local_index(references), origin_of(settings))
    try:
        return _open_kept(references, kept, library, settings, runner, progress)
    except IndexChangedError:  # of two drivers on two machines the other was quicker
        return _open_kept(references, kept, library, settings, runner, progress)


def _open_kept(
    references: Place,
    kept: Place,
    library: str,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> ReferenceIndex:
    """Return the index that is kept, or make it."""
    with updating(kept) as folder, alone_with(folder):  # of two drivers one builds it
        if is_index(folder):
            index = read_index(folder, origin_of(settings))
            if index.library_digest == library:
                return index
            delete_made(folder, MADE)
        return _build(references, folder, settings, runner, progress)


def library_digest(references: Place, settings: RunSettings) -> str:
    """Name the photographs of an index or a folder by their contents and positions."""
    if is_index_place(references):
        return read_index(local_index(references), origin_of(settings)).library_digest
    return digest_library(frames_of(list_references(references, settings.reference)))


def refuse_changed_photographs(index: ReferenceIndex, used: Container[str]) -> None:
    """Check the photographs of some ids against the digests their descriptors were made with.

    Raises:
        InputError: One is gone or is another one by now.
    """
    for record, digest in zip(index.records, index.digests, strict=True):
        if record.reference_id not in used:
            continue
        if not record.path.is_file():
            raise InputError(record.path, "no such reference", "Restore it or build the index anew")
        if digest_file(record.path) != digest:
            raise InputError(
                record.path,
                "changed since it was indexed",
                "Restore it, or remove it from the index and append it again",
            )


def _refuse_names_taken(index: ReferenceIndex, fresh: Sequence[ReferenceRecord]) -> None:
    taken = {record.reference_id for record in index.records}
    for record in fresh:
        if record.reference_id in taken:
            raise InputError(
                record.path,
                f"{index.folder} holds another photograph of this name",
                "Remove that one first, or rename this one",
            )


def _tell_empty(empty: Sequence[Frame], count: int) -> None:
    if empty:
        _log.warning("%d of %d photographs are empty and left out", len(empty), count)


def _tell_foreign(foreign: Sequence[ReferenceRecord]) -> None:
    if foreign:
        named = some_of([record.reference_id for record in foreign], _NAMED)
        _log.warning("left out, without a number as the others have in their names: %s", named)
