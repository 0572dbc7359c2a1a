"""Many volumes in one job: those that are new or changed, each as it is done, one summary.

As many volumes as there are workers go to a worker each, whole; fewer are shared out slab by slab.
Either way the bytes are those of each volume alone.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from medcolor.config import RunSettings
from medcolor.errors import MedcolorError
from medcolor.progress import ProgressReport, Silent
from medcolor.reference.credit import copy_credits
from medcolor.run.cohort_manifest import Member
from medcolor.run.driver import colorize
from medcolor.run.estimate import Estimate, estimate
from medcolor.run.index import library_digest, open_index
from medcolor.run.index_copies import is_index_place
from medcolor.run.integrity import is_whole
from medcolor.run.ledger import RECORD, Ledger
from medcolor.run.plan import digest_network, resolve_hardware, resolve_threads
from medcolor.run.serial import SerialRunner
from medcolor.run.tasks import Failed, Runner, one_line
from medcolor.storage import Place, path_below, read_object, write_atomic, write_json
from medcolor.storage.names import as_text
from medcolor.volume.files import version_of_input

_log = logging.getLogger(__name__)
_AT_ONCE = 8
_FINGERPRINT = "cohort.json"
SUMMARY = "summary.parquet"
State = Literal["complete", "kept", "incomplete", "failed"]


@dataclass(frozen=True)
class Row:
    """What became of one volume."""

    name: str
    state: State
    """complete: by this run; kept: by an earlier one; incomplete: some slabs were given up;
    failed: nothing could be made of it."""

    slices: int = 0
    slabs_done: int = 0
    slabs_failed: int = 0
    seconds: float = 0.0
    problem: str = ""


@dataclass
class CohortReport:
    """What a run over a cohort did."""

    output: Place
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether every volume is."""
        return all(row.state in ("complete", "kept") for row in self.rows.values())

    def __str__(self) -> str:
        """Return one line, and one for each volume that is not complete."""
        states = [row.state for row in self.rows.values()]
        counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))
        wrong = [
            f"  {row.name}: {row.state}, {row.problem}" for row in self.rows.values() if row.problem
        ]
        return "\n".join([f"{self.output}: {counts}", *wrong])


@dataclass(frozen=True)
class Job:
    """What is the same for all volumes."""

    references: Place
    """An index."""

    output: Place
    settings: RunSettings
    threads: int
    decided_by: tuple[str, ...]
    """Digests of all that decides the pixels but the scan."""

    def volume(self, member: Member) -> Place:
        """Return where a volume is written.

        Raises:
            InputError: A link there leads to another folder.
        """
        name = f"{member.name}.ome.zarr"
        output = self.output
        return path_below(output, name) if isinstance(output, Path) else output / name

    def fingerprint(self, member: Member) -> str:
        """Name what a volume is made of, by sizes and times of its files: content is not read."""
        parts = (*self.decided_by, version_of_input(member.target))
        return hashlib.blake2b(os.fsencode("\n".join(parts)), digest_size=16).hexdigest()

    def colorize(self, member: Member, runner: Runner, progress: ProgressReport) -> Row:
        """Make one volume; what was made of something else is made anew, what was begun goes on."""
        begin, output = time.perf_counter(), self.volume(member)
        own = self.fingerprint(member)
        report = colorize(
            member.target,
            self.references,
            output,
            self.settings,
            runner,
            progress,
            force=True,
        )
        write_json(Ledger.folder_of(output) / _FINGERPRINT, {"fingerprint": own})
        problem = report.failures[0].nameless if report.failures else ""
        return Row(
            member.name,
            "complete" if report.is_complete else "incomplete",
            report.slices,
            report.slabs_done,
            len(report.failures),
            round(time.perf_counter() - begin, 3),
            problem,
        )

    def kept(self, members: Sequence[Member]) -> list[Member]:
        """Return those of whom an earlier run made the volume of just this."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # in a bucket each look takes its time
            is_kept = list(pool.map(self.is_kept, members))
        return [member for member, kept in zip(members, is_kept, strict=True) if kept]

    def is_kept(self, member: Member) -> bool:
        """Tell whether an earlier run made this volume of just this, and it lies there whole."""
        try:
            volume = self.volume(member)
            folder = Ledger.folder_of(volume)
            made_of = read_object(folder / _FINGERPRINT) or {}
            record = read_object(folder / RECORD) or {}
            is_same = made_of.get("fingerprint") == self.fingerprint(member)
            return is_same and bool(record.get("complete")) and is_whole(volume)
        except (MedcolorError, OSError):  # is said when it is its turn
            return False


@dataclass(frozen=True)
class CohortPlan:
    """What a run over a cohort would do."""

    kept: tuple[str, ...]
    todo: tuple[str, ...]
    first: Estimate | None
    """Of the first of `todo`."""

    seconds_left: float
    """If all are like the first."""

    def __str__(self) -> str:
        """Return it as lines."""
        if self.first is None:
            return f"volumes   {len(self.kept)} kept, none to do"
        hours = self.seconds_left / 3600
        return (
            f"volumes   {len(self.kept)} kept, {len(self.todo)} to do: about {hours:.1f} h, if all "
            f"are like the first:\n{self.first}"
        )

    def as_json(self) -> dict[str, object]:
        """Return all of it."""
        return asdict(self)


def colorize_members(
    members: Sequence[Member],
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
    *,
    force: bool,
) -> CohortReport:
    """Make every volume that is new or changed; see `medcolor.colorize_cohort`."""
    settings = resolve_hardware(settings, runner)
    job = _begin(references, output, settings, runner, progress)
    report = CohortReport(output)
    kept = [] if force else job.kept(members)
    todo = [member for member in members if member not in kept]
    report.rows.update({member.name: Row(member.name, "kept") for member in kept})
    progress.begin("volumes", len(todo))
    for row in _rows(job, todo, runner):
        report.rows[row.name] = row
        progress.advance(1)
        _write_summary(report, members)
    _write_summary(report, members)
    return report


def plan_members(
    members: Sequence[Member],
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
) -> CohortPlan:
    """Tell what a run over a cohort would do; nothing is written."""
    settings = resolve_hardware(settings, runner)
    job = _job(references, references, output, settings, runner)
    kept = job.kept(members)
    todo = [member for member in members if member not in kept]
    if not todo:
        return CohortPlan(tuple(one.name for one in kept), (), None, 0.0)
    first = estimate(todo[0].target, references, job.volume(todo[0]), settings, runner)
    names = tuple(one.name for one in kept), tuple(one.name for one in todo)
    return CohortPlan(*names, first, round(first.seconds_left * len(todo), 1))


def _begin(
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Job:
    """Index the photographs once for all volumes."""
    index = references
    if not is_index_place(references):
        index = output / "photographs.index"
        library = library_digest(references, settings)
        open_index(references, index, library, settings, runner, progress)
        copy_credits(references, output)
    return _job(references, index, output, settings, runner)


def _job(
    references: Place, index: Place, output: Place, settings: RunSettings, runner: Runner
) -> Job:
    decided_by = settings.digest(), library_digest(references, settings), digest_network(settings)
    threads = resolve_threads(settings, runner)
    return Job(index, output, settings, threads, decided_by)


def _rows(job: Job, todo: Sequence[Member], runner: Runner) -> Iterator[Row]:
    """Yield what became of each volume, as it ends."""
    if runner.is_local or len(todo) < runner.workers:
        for member in todo:
            try:
                yield job.colorize(member, runner, Silent())
            except Exception as error:  # whatever it is, it is about this volume
                yield _failed(Failed(member, one_line(error), _readable(error)))
        return
    for outcome in runner.run(lambda: _WholeVolumes(job), todo, is_long=True):
        if isinstance(outcome, Failed):
            yield _failed(outcome)
        else:
            yield outcome.report


class _WholeVolumes:
    """A worker that makes a volume from beginning to end."""

    def __init__(self, job: Job) -> None:
        self._job, self._runner = job, SerialRunner(job.threads)

    def __call__(self, member: Member) -> Row:
        return self._job.colorize(member, self._runner, Silent())


def _failed(failed: Failed) -> Row:
    """Say all of it to who runs this, and write down what names nobody."""
    _log.error("volume %s: %s", failed.task.name, failed.problem)
    return Row(failed.task.name, "failed", problem=failed.nameless)


def _readable(error: Exception) -> MedcolorError | None:
    return error if isinstance(error, MedcolorError) else None


def _write_summary(report: CohortReport, members: Iterable[Member]) -> None:
    rows = [asdict(report.rows[one.name]) for one in members if one.name in report.rows]
    content = io.BytesIO()
    for row in rows:
        row.update({key: as_text(value) for key, value in row.items() if isinstance(value, str)})
    pq.write_table(pa.Table.from_pylist(rows), content)
    write_atomic(report.output / SUMMARY, content.getvalue())
