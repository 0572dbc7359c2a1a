"""Preparing a folder of raw frames with any runner: `medcolor reference prepare`.

First every frame is surveyed: is it new, empty, or the same as another? Then those that need
it are cut out and written. What was done before with the same frame and the same settings
stays; the record grows with the work, so a run may stop anywhere and go on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.reference.contact_sheet import MOST_THUMBNAILS, draw_contact_sheet
from medcolor.reference.credit import copy_credits
from medcolor.reference.library import number_in_name, position_of
from medcolor.reference.manifest import (
    CONTACT_SHEET,
    MANIFEST,
    PreparedFrame,
    missing_numbers,
    read_manifest,
    write_manifest,
)
from medcolor.reference.settings import ReferenceSettings
from medcolor.reference.sheet import spread_evenly
from medcolor.run.plan import resolve_threads
from medcolor.run.preparers import (
    DrawThumbnails,
    FrameTask,
    PrepareFrames,
    Survey,
    SurveyFrames,
    names_of_prepared,
)
from medcolor.run.tasks import Done, Runner, Worker, run_all
from medcolor.storage import plain_name, write_atomic
from medcolor.volume.files import (
    IMAGE_SUFFIXES,
    RAW_SUFFIXES,
    digest_file,
    list_photographs,
    photograph_stem,
)
from medcolor.volume.images import encode_png

_PER_TASK = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparationReport:
    """What a preparation did."""

    output: Path

    counts: dict[str, int]
    """Frames by status."""

    kept: int
    """Of them, left as an earlier run made them."""

    def __str__(self) -> str:
        """Return one line."""
        words = ", ".join(f"{count} {status}" for status, count in sorted(self.counts.items()))
        return f"{self.output}: {words}; {self.kept} kept from before"


def prepare_references(
    frames: Path,
    output: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> PreparationReport:
    """Cut the bodies out of raw frames and write them with a record and a contact sheet.

    Args:
        frames: Folder of photographs; clean ones are copied as they are.
        output: Folder to write, or to bring up to date.
        settings: Of which `reference` counts.
        runner: Does the work.
        progress: Told how far it is.

    Raises:
        InputError: No photographs, a grey one, or an output that is something else.
        RunError: A frame was given up.
    """
    files = _list(frames, output)
    before = {one.source: one for one in read_manifest(output) or () if one.source}
    tasks = [FrameTask(path, before.get(path.name)) for path in files]
    threads, digest = resolve_threads(settings, runner), settings.digest("reference")
    work = _Work(runner, progress, str(frames))
    surveys = work(lambda: SurveyFrames(output, digest, threads), tasks, "survey")
    settled, todo = _settle(tasks, surveys, settings.reference, digest)
    done = [*settled, *_missing(files, settings.reference)]

    def record(report: list[PreparedFrame]) -> None:
        done.extend(report)
        write_manifest(output, done)

    record([])
    work(lambda: PrepareFrames(output, settings, threads), todo, "prepare", record)
    _delete_stale(output, before.values(), done)
    usable = [one for one in read_manifest(output) or () if one.file is not None]
    if usable and (todo or not (output / CONTACT_SHEET).is_file()):
        numbers, title = spread_evenly(len(usable), MOST_THUMBNAILS)
        shown = [usable[number] for number in numbers]
        thumbnails = work(lambda: DrawThumbnails(output, settings, threads), shown, "contact sheet")
        sheet = draw_contact_sheet(title, thumbnails)
        write_atomic(output / CONTACT_SHEET, encode_png(sheet))
    copy_credits(frames, output)
    kept = sum(one == before.get(one.source or "") for one in settled)
    return PreparationReport(output, dict(Counter(one.status for one in done)), kept)


@dataclass(frozen=True)
class _Work:
    """Runs items in small groups and tells how far it is."""

    runner: Runner
    progress: ProgressReport
    place: str

    def __call__(
        self,
        make_worker: Callable[[], Worker],
        items: Sequence[Any],
        stage: str,
        on_report: Callable[[list[Any]], None] | None = None,
    ) -> list[Any]:
        """Return the reports of all items, in their order."""
        groups = [tuple(items[i : i + _PER_TASK]) for i in range(0, len(items), _PER_TASK)]
        self.progress.begin(stage, len(items))

        def on_done(done: Done) -> None:
            self.progress.advance(len(done.task))
            if on_report is not None:
                on_report(done.report)

        what = f"{stage} of {self.place}"
        reports = run_all(self.runner, make_worker, groups, on_done, what, "light")
        return [one for report in reports for one in report]


def _list(frames: Path, output: Path) -> list[Path]:
    """Return the frames; refuse folders that are not what they should be."""
    files = list_photographs(frames) if frames.is_dir() else []
    if not files:
        raise InputError(
            frames,
            f"no photographs ({', '.join((*IMAGE_SUFFIXES, *RAW_SUFFIXES))})",
            "Give a folder of frames",
        )
    if (frames / MANIFEST).is_file():
        raise InputError(frames, "prepared already", "Use it as it is, or give the raw frames")
    if output.exists() and any(output.iterdir()) and not (output / MANIFEST).is_file():
        raise InputError(
            output, f"not empty and without {MANIFEST}", "Name another folder, or delete this one"
        )
    for path in files:
        plain_name(path.name, frames, "Rename it")  # the record that is to name it is read back so
    stems = Counter(photograph_stem(path) for path in files)
    if twice := [path for path in files if stems[photograph_stem(path)] > 1]:
        raise InputError(
            twice[0], f"and {twice[1].name} would be written under one name", "Rename one"
        )
    return files


def _settle(
    tasks: Sequence[FrameTask],
    surveys: Sequence[Survey],
    settings: ReferenceSettings,
    settings_digest: str,
) -> tuple[list[PreparedFrame], list[tuple[Path, PreparedFrame]]]:
    """Return the records that are known already, and the frames to work on."""
    settled: list[PreparedFrame] = []
    todo: list[tuple[Path, PreparedFrame]] = []
    first: dict[str, str] = {}
    for task, survey in zip(tasks, surveys, strict=True):
        fresh = _fresh(task.path, survey, settings, settings_digest)
        content = survey.content_digest
        if content is None:
            settled.append(replace(fresh, status="empty", why=survey.why))
            continue
        original = first.setdefault(content, task.path.name)
        if original != task.path.name:
            why = f"shows the same as {original}"
            settled.append(replace(fresh, status="duplicate", why=why))
        elif survey.is_current and task.before is not None:
            settled.append(task.before)
        else:
            todo.append((task.path, fresh))
    return settled, todo


def _fresh(
    path: Path, survey: Survey, settings: ReferenceSettings, settings_digest: str
) -> PreparedFrame:
    """Return the record of a frame of which only name and digests are known."""
    number = number_in_name(photograph_stem(path))
    return PreparedFrame(
        "prepared",
        path.name,
        number,
        _position(number, settings),
        source_digest=survey.source_digest,
        content_digest=survey.content_digest,
        settings_digest=settings_digest,
    )


def _position(number: float | None, settings: ReferenceSettings) -> float | None:
    """Return the position in mm, growing toward the feet, that a number in a name stands for."""
    return None if number is None else position_of(number, settings)


def _missing(files: Sequence[Path], settings: ReferenceSettings) -> list[PreparedFrame]:
    """Return records of the numbers that lack in the sequence."""
    numbers = [number_in_name(photograph_stem(path)) for path in files]
    lacking = missing_numbers([number for number in numbers if number is not None])
    return [PreparedFrame("missing", None, one, _position(one, settings)) for one in lacking]


def _delete_stale(
    output: Path, before: Iterable[PreparedFrame], done: Sequence[PreparedFrame]
) -> None:
    """Delete what an earlier run wrote for frames that are gone, or are of no use now.

    What lies there under such a name and is not just what was written is somebody's, and stays.
    """
    wanted = {one.file for one in done}
    for one in before:
        if one.file is None or one.file in wanted or not (output / one.file).exists():
            continue
        if _was_written(output / one.file, one):
            (output / one.file).unlink(missing_ok=True)
        else:
            _log.warning("%s: left there, since it was changed", output / one.file)


def _was_written(path: Path, frame: PreparedFrame) -> bool:
    """Tell whether a file is what `PrepareFrames` made of a frame."""
    names = names_of_prepared(Path(frame.source or ""))
    is_own = path.name in names and path.is_file() and not path.is_symlink()
    return is_own and digest_file(path) == frame.file_digest
