"""Processes that change one index at once, each like a machine of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from medcolor.config import RunSettings
from medcolor.progress import Silent
from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval.parts import DescribedReference
from medcolor.run import index as indexes
from medcolor.run import index_copies
from medcolor.run.index_copies import updating
from medcolor.run.serial import SerialRunner
from medcolor.storage import object_path, place_of
from medcolor.volume.files import digest_file

WAIT_S = 120.0


class QuickDescriptions:
    """Describes photographs without looking at them, when all processes have come so far."""

    barrier: Barrier | None = None
    """Waited at once, before the first photographs of a round."""

    def __init__(self, *_):
        """Need nothing."""

    def __call__(self, records: Sequence[ReferenceRecord]) -> list[DescribedReference]:
        """Describe some photographs."""
        meet()
        return [
            DescribedReference(one, digest_file(one.path), np.ones(8, np.float32), b"", {})
            for one in records
        ]


def meet() -> None:
    """Wait for the others, once a round."""
    barrier, QuickDescriptions.barrier = QuickDescriptions.barrier, None
    if barrier is not None:
        barrier.wait(WAIT_S)


@dataclass(frozen=True)
class Change:
    """What a process does in a round."""

    append: Path | None = None
    remove: tuple[str, ...] = ()


def change(index: str, todo: Change, settings: RunSettings) -> None:
    """Do one round."""
    place = place_of(index)
    if todo.append is not None:
        with updating(place) as folder:
            runner = SerialRunner(1)
            indexes.append_index(todo.append, folder, settings, runner, Silent())
    else:
        index_copies.remove_references(place, todo.remove)


_barriers: list[Barrier] = []


def join(begin: Barrier, read: Barrier) -> None:
    """Prepare a process: where all meet when a round begins, and where all have read the index."""
    _barriers[:] = begin, read
    indexes.DescribeReferences = QuickDescriptions
    real = index_copies.remove_rows

    def remove_rows(*arguments):
        meet()
        return real(*arguments)

    index_copies.remove_rows = remove_rows


def changes(
    index: str,
    rounds: Sequence[Change],
    settings: RunSettings,
    environment: dict[str, str],
    together: bool,
) -> None:
    """Do all rounds; if `together`, nobody writes before all have read the index."""
    os.environ.update(environment)
    object_path._bucket.cache_clear()
    begin, read = _barriers
    for todo in rounds:
        QuickDescriptions.barrier = read if together else None
        begin.wait(WAIT_S)
        change(index, todo, settings)
