"""One volume, from a scan and photographs to a coloured OME-Zarr, in three passes.

Workers describe slices; the driver chooses references for every slice of the whole
stack and writes the choice down; workers match slabs; workers hold colours together
along the stack and write them. What an earlier run left finished is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.retrieval.index import ReferenceIndex
from medcolor.retrieval.record import Assignment
from medcolor.run.assign import assign
from medcolor.run.index import library_digest, open_index, refuse_changed_photographs
from medcolor.run.ledger import Ledger
from medcolor.run.plan import (
    Plan,
    SlabTask,
    open_network,
    resolve_hardware,
    resolve_threads,
    staging_of,
)
from medcolor.run.report import RunReport, write_report
from medcolor.run.tasks import Failed, Runner
from medcolor.run.workers import CoarsenSlab, ColorSlab, MatchSlab, full_disk_is_final
from medcolor.storage import Place, delete_tree, local_copy
from medcolor.volume.files import digest_files
from medcolor.volume.open import open_volume
from medcolor.volume.store import create_store, plan_levels
from medcolor.volume.window import find_window

_MATCH = "match"


def colorize(
    target: Place,
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
    *,
    force: bool = False,
) -> RunReport:
    """Colour `target` from `references` into `output`; see `medcolor.colorize_volume`."""
    settings = resolve_hardware(settings, is_local=runner.is_local)
    report = RunReport(output)
    with full_disk_is_final(output):
        with _nothing_left_on_bad_input(output):
            with report.stage("prepare"):
                plan, index = _prepare(
                    target, references, output, settings, runner, progress, force
                )
            report.slices = plan.levels[0].shape[0]
            with report.stage("describe"):
                assignment = assign(plan, index, runner, progress)
                report.bearing = assignment.bearing
                refuse_changed_photographs(index, assignment)
        with report.stage("match"):
            _match(plan, assignment, runner, progress, report)
        for level in plan.levels:
            # A level is the source of the next: a slab missing here would be a hole there.
            if level.index == 0 or report.is_complete:
                with report.stage("color" if level.index == 0 else "pyramid"):
                    _run_level(plan, level.index, runner, progress, report)
        if report.is_complete:
            plan.ledger.forget(_MATCH)
            delete_tree(plan.reconstructions)
        delete_tree(plan.staging_folder)
        write_report(plan, report, runner)
    return report


def _prepare(
    target: Place,
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
    force: bool,
) -> tuple[Plan, ReferenceIndex]:
    """Look at all inputs, decide what decides the pixels, and write the empty volume."""
    photographs = library_digest(references, settings)
    network = open_network(settings)
    staging = staging_of(output)
    volume = open_volume(local_copy(target, staging), settings.volume, staging)
    window = find_window(volume, settings.volume, settings.features.equalization)
    about = {
        "settings": settings.digest(),
        "target": digest_files(volume.files),
        "references": photographs,
        "network": network.digest,
    }
    identity = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    ledger = Ledger.open(output, identity, about, force=force)
    plan = Plan(
        target=target,
        output=output,
        ledger=ledger,
        settings=settings,
        threads=resolve_threads(settings, runner),
        window=window,
        levels=plan_levels(volume.geometry, settings.store),
        network_digest=network.digest,
        input_facts={**volume.facts, "steps": volume.geometry.steps},
    )
    kept = ledger.folder / "index"
    index = open_index(references, kept, photographs, settings, runner, progress)
    create_store(output, volume.geometry, settings.store, about)
    return plan, index


@contextmanager
def _nothing_left_on_bad_input(output: Place) -> Iterator[None]:
    """If the input is refused, remove what this run began; what an earlier one wrote stays."""
    folder = Ledger.folder_of(output)
    places = (output, folder, staging_of(output))
    begun = [place for place in places if not place.exists()]
    try:
        yield
    except InputError:
        for place in begun:
            delete_tree(place)
        raise


def _match(
    plan: Plan,
    assignment: Assignment,
    runner: Runner,
    progress: ProgressReport,
    report: RunReport,
) -> None:
    """Reconstruct what the slabs that are still to be coloured depend on."""
    needed = {number for task in _open_tasks(plan, 0) for number in _slabs_around(plan, task)}
    tasks = [
        replace(task, stage=_MATCH, references=assignment.references[task.start : task.stop])
        for task in _tasks(plan, 0)
        if task.number in needed and not plan.ledger.is_done(_MATCH, task.number)
    ]
    progress.begin("match", sum(len(task.slices) for task in tasks))
    turn = assignment.bearing.turn
    for outcome in runner.run(lambda: MatchSlab(plan, turn), tasks):
        progress.advance(len(outcome.task.slices))
        if isinstance(outcome, Failed):
            report.failures.append(outcome)
        else:
            report.add_matched(outcome.report)


def _run_level(
    plan: Plan, level: int, runner: Runner, progress: ProgressReport, report: RunReport
) -> None:
    """Write every slab of one level that is not finished."""
    tasks = _open_tasks(plan, level)
    report.slabs_kept += len(_tasks(plan, level)) - len(tasks)
    if level == 0:
        tasks = [task for task in tasks if _is_matched(plan, task)]
    progress.begin("color" if level == 0 else f"level {level}", sum(len(t.slices) for t in tasks))
    worker = ColorSlab if level == 0 else CoarsenSlab
    for outcome in runner.run(lambda: worker(plan), tasks):
        progress.advance(len(outcome.task.slices))
        if isinstance(outcome, Failed):
            report.failures.append(outcome)
        else:
            report.add(outcome.report, is_color=level == 0)


def _is_matched(plan: Plan, task: SlabTask) -> bool:
    """Tell whether all that the colours of a slab depend on is reconstructed."""
    return all(plan.ledger.is_done(_MATCH, number) for number in _slabs_around(plan, task))


def _slabs_around(plan: Plan, task: SlabTask) -> range:
    """Return the slabs whose reconstruction the colours of a slab depend on."""
    slices, slab_slices = plan.with_halo(task.slices), plan.settings.store.slab_slices
    return range(slices.start // slab_slices, (slices.stop - 1) // slab_slices + 1)


def _open_tasks(plan: Plan, level: int) -> list[SlabTask]:
    """Return the slabs of a level that are not finished."""
    return [t for t in _tasks(plan, level) if not plan.ledger.is_done(t.stage, t.number)]


def _tasks(plan: Plan, level: int) -> list[SlabTask]:
    """Cut a level into slabs."""
    slab_slices = plan.settings.store.slab_slices
    slabs = [
        plan.levels[level].slab(number, slab_slices)
        for number in range(plan.levels[level].slab_count(slab_slices))
    ]
    return [
        SlabTask(f"level{level}", level, number, slices.start, slices.stop)
        for number, slices in enumerate(slabs)
    ]
