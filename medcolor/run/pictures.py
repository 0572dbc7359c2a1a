"""Picture sets by the same runners: frames side by side, one set after the other."""

from __future__ import annotations

import logging
from urllib.parse import quote

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.fetch import CHECKSUMS
from medcolor.progress import ProgressReport
from medcolor.render.frames import FrameReport, FrameTask, FrameWorker, SetPlan, plan_set
from medcolor.render.page import CohortEntry, cohort_file
from medcolor.render.picture_set import (
    PAGE,
    delete_stale_frames,
    finish_set,
    frame_tasks,
    is_drawn,
)
from medcolor.run.plan import resolve_threads
from medcolor.run.tasks import Done, Runner, run_all
from medcolor.storage import ObjectPath, Place, write_whole

_log = logging.getLogger(__name__)
_ENDING = ".ome.zarr"


def write_pictures(
    volume: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Place:
    """Draw one volume, or each volume of a cohort's folder; return the page.

    Raises:
        InputError: No coloured volume there.
        RunError: No OpenGL to draw with; a frame was given up.
    """
    if (
        str(output.absolute()).startswith(str(volume.absolute()))
        and (volume / "zarr.json").exists()
    ):
        raise InputError(output, "lies in the volume", "Name another folder for the pictures")
    names = _cohort_names(volume)
    if not names:
        return _write_set(volume, output, settings, runner, progress)
    entries = []
    for name in names:
        stem = name.removesuffix(_ENDING)
        _write_set(volume / name, output / stem, settings, runner, progress)
        thumbnail = (output / stem / "thumbnail.webp").read_bytes()
        entries.append(CohortEntry(stem, f"{quote(stem)}/index.html", thumbnail, {}))
    page = output / PAGE
    write_whole(page, cohort_file(volume.name, entries))
    return page


def _cohort_names(place: Place) -> list[str]:
    """Return the names of the volumes in a cohort's folder; none if it is a volume, or nothing."""
    if (place / "zarr.json").is_file() or not place.is_dir():
        return []
    if isinstance(place, ObjectPath):
        found = {key.split("/")[0] for key, _ in place.walk()}
    else:
        found = {path.name for path in place.iterdir()}
    return sorted(name for name in found if name.endswith(_ENDING))


def _write_set(
    volume: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
) -> Place:
    threads = resolve_threads(settings, runner)
    plan = plan_set(volume, output, settings.scene, settings.render, threads)
    if settings.render.grey and not plan.has_grey:
        _log.warning(
            "%s: alpha is not the scan's luminance, so the grey scan is not drawn beside it",
            volume.name,
        )
    if is_drawn(plan):
        _log.info("%s: the same pictures lie there", volume.name)
        return output / PAGE
    (output / CHECKSUMS).unlink(missing_ok=True)  # whoever looks now finds a set in the making
    delete_stale_frames(plan)
    return finish_set(plan, _draw(plan, runner, progress))


def _draw(plan: SetPlan, runner: Runner, progress: ProgressReport) -> dict[FrameTask, FrameReport]:
    tasks = frame_tasks(plan)
    progress.begin("render", len(tasks))

    def count(_done: Done) -> None:
        progress.advance(1)

    reports = run_all(runner, lambda: FrameWorker(plan), tasks, count, str(plan.volume))
    return dict(zip(tasks, reports, strict=True))
