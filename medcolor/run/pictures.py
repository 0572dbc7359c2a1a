"""Picture sets by the same runners: frames side by side, one set after the other."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from medcolor.config import RunSettings
from medcolor.errors import InputError, RunError
from medcolor.progress import ProgressReport
from medcolor.render.frames import FrameReport, FrameTask, FrameWorker, SetPlan, plan_set
from medcolor.render.page import CohortEntry, cohort_file
from medcolor.render.picture_set import (
    PAGE,
    THUMBNAIL,
    claim,
    delete_stale_frames,
    finish_set,
    frame_tasks,
    is_drawn,
)
from medcolor.run.integrity import refuse_unfinished
from medcolor.run.ledger import BODY, Ledger
from medcolor.run.plan import resolve_threads
from medcolor.run.tasks import Done, Runner, one_line, run_all
from medcolor.run.volumes import ENDING, cohort_names
from medcolor.storage import Place, path_below, refuse_links_out, write_atomic

_log = logging.getLogger(__name__)


def write_pictures(
    volume: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Place:
    """Draw one volume, or each volume of a cohort's folder; return the page.

    Raises:
        InputError: No coloured volume there, or one whose run has not come to its end; an output
            that holds something else.
        RunError: No OpenGL to draw with; a frame was given up; some of a cohort's volumes could not
            be drawn, and all others are.
    """
    inside = f"{_resolved(output)}/".startswith(f"{_resolved(volume)}/")
    if inside and (volume / "zarr.json").is_file():
        raise InputError(output, "lies in the volume", "Name another folder for the pictures")
    names = cohort_names(volume)
    if not names:
        return _write_set(volume, output, settings, runner, progress)
    _make_folder(output)
    claim(output)
    entries, failed = [], 0
    for name in names:
        stem = name.removesuffix(ENDING)
        try:
            place = path_below(output, stem) if isinstance(output, Path) else output / stem
            _write_set(volume / name, place, settings, runner, progress)
        except Exception as error:  # holds no other up
            _log.warning("%s", one_line(error))
            failed += 1
        if (output / stem / THUMBNAIL).is_file():  # also of an earlier time
            thumbnail = (output / stem / THUMBNAIL).read_bytes()
            entries.append(CohortEntry(stem, f"{quote(stem)}/{PAGE}", thumbnail, {}))
    page = output / PAGE
    write_atomic(page, cohort_file(volume.name, entries))
    if failed:
        raise RunError(
            page, f"{failed} of {len(names)} volumes could not be drawn", "See the warnings above"
        )
    return page


def _resolved(place: Place) -> Place:
    return place.resolve() if isinstance(place, Path) else place


def _write_set(
    volume: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Place:
    threads = resolve_threads(settings, runner)
    refuse_unfinished(volume)
    plan = plan_set(volume, output, settings.scene, settings.render, threads)
    if settings.render.grey and not plan.has_grey:
        _log.warning(
            "%s: alpha is not the scan's luminance, so the grey scan is not drawn beside it",
            volume.name,
        )
    if is_drawn(plan):
        _log.info("%s: the same pictures lie there", volume.name)
        return output / PAGE
    _make_folder(output)
    if isinstance(output, Path):
        refuse_links_out(output)
    claim(output)
    if not runner.is_local:
        _check_on_every_node(plan, runner)
    drawn = _draw(plan, runner, progress)
    delete_stale_frames(plan)
    try:
        outlines = Ledger.folder_of(volume) / BODY
        body = outlines.read_bytes() if outlines.is_file() else None
        return finish_set(plan, drawn, body)
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(output, one_line(error), "Look at it, and draw again") from error


def _make_folder(output: Place) -> None:
    if isinstance(output, Path):
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                output, f"cannot be written to ({error.strerror})", "Choose another folder"
            ) from error


def _check_on_every_node(plan: SetPlan, runner: Runner) -> None:
    """Look from every node at the volume and at where pictures go.

    Raises:
        InputError: Naming the node and the path.
    """
    mark = plan.output / f".probe-{uuid.uuid4().hex}.png"
    write_atomic(mark, b"")
    try:
        runner.on_every_node(PlaceCheck(plan.volume, mark), "render")
    finally:
        mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class PlaceCheck:
    """What one node looks at before it draws."""

    volume: Place
    mark: Place
    """A file that the driver wrote where pictures go."""

    def __call__(self) -> None:
        """Look."""
        if not (self.volume / "zarr.json").is_file():
            raise InputError(
                self.volume, "no such volume here", "Give a place that every node reaches"
            )
        if not self.mark.is_file():
            raise InputError(
                self.mark.parent,
                "what the driver wrote is not seen here",
                "Give a folder for the pictures that every node reaches, or a bucket",
            )


def _draw(plan: SetPlan, runner: Runner, progress: ProgressReport) -> dict[FrameTask, FrameReport]:
    tasks = frame_tasks(plan)
    progress.begin("render", len(tasks))

    def count(_done: Done) -> None:
        progress.advance(1)

    reports = run_all(runner, lambda: FrameWorker(plan), tasks, count, str(plan.output), "render")
    return dict(zip(tasks, reports, strict=True))
