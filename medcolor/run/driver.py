"""One volume, from a scan and photographs to a coloured OME-Zarr, in two passes.

Workers describe slices; the driver chooses a reference for every slice of the whole
stack and writes the choice down; workers colour slabs. What an earlier run left
finished is kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.retrieval.assignment import assign_references, cosine_similarity
from medcolor.retrieval.index import ReferenceIndex
from medcolor.retrieval.record import Assignment, read_assignment, write_assignment
from medcolor.run.index import library_digest, open_index, refuse_changed_photographs
from medcolor.run.ledger import Ledger
from medcolor.run.plan import Plan, SlabTask, open_network, resolve_hardware, resolve_threads
from medcolor.run.report import RunReport, write_report
from medcolor.run.tasks import Failed, Runner, run_all
from medcolor.run.workers import CoarsenSlab, ColorizeSlab, DescribeSlices, full_disk_is_final
from medcolor.volume.files import digest_files
from medcolor.volume.open import open_volume
from medcolor.volume.store import create_store, plan_levels
from medcolor.volume.window import find_window


def colorize(
    target: Path,
    references: Path,
    output: Path,
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
                assignment = _assign(plan, index, runner, progress)
                refuse_changed_photographs(index, assignment)
        for level in plan.levels:
            # A level is the source of the next: a slab missing here would be a hole there.
            if report.is_complete:
                with report.stage("color" if level.index == 0 else "pyramid"):
                    _run_level(plan, level.index, assignment, runner, progress, report)
        shutil.rmtree(plan.staging_folder, ignore_errors=True)
        write_report(plan, report, runner)
    return report


def _prepare(
    target: Path,
    references: Path,
    output: Path,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
    force: bool,
) -> tuple[Plan, ReferenceIndex]:
    """Look at all inputs, decide what decides the pixels, and write the empty volume."""
    photographs = library_digest(references, settings)
    network = open_network(settings)
    volume = open_volume(target, settings.volume, Ledger.folder_of(output) / Plan.STAGING)
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
    )
    kept = ledger.folder / "index"
    index = open_index(references, kept, photographs, settings, runner, progress)
    create_store(output, volume.geometry, settings.store, about)
    return plan, index


@contextmanager
def _nothing_left_on_bad_input(output: Path) -> Iterator[None]:
    """If the input is refused, remove what this run began; what an earlier one wrote stays."""
    folder = Ledger.folder_of(output)
    begun = [path for path in (output, folder) if not path.exists()]
    try:
        yield
    except InputError:
        for path in begun:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _assign(
    plan: Plan, index: ReferenceIndex, runner: Runner, progress: ProgressReport
) -> Assignment:
    """Describe every slice and choose the references, or read an earlier choice."""
    path = plan.ledger.folder / "assignment.parquet"
    found = read_assignment(path, plan.ledger.identity)
    if found is not None:
        return found
    level, slab_slices = plan.levels[0], plan.settings.store.slab_slices
    tasks = [level.slab(n, slab_slices) for n in range(level.slab_count(slab_slices))]
    progress.begin("describe", level.shape[0])
    described = run_all(
        runner,
        lambda: DescribeSlices(plan),
        tasks,
        lambda done: progress.advance(len(done.task)),
        f"describing {plan.target.name}",
    )
    visible = np.concatenate([part.visible for part in described])
    if not visible.any():
        raise InputError(
            plan.target,
            "no body in any slice",
            "Check the scan, or set volume.body_threshold and volume.window",
        )
    similarity = cosine_similarity(
        np.concatenate([part.descriptors for part in described]), index.descriptors
    )
    chosen = assign_references(
        similarity, visible, index.positions_mm, level.spacing_mm[0], plan.settings.retrieval
    )
    settings = plan.settings.retrieval
    return write_assignment(path, plan.ledger.identity, chosen, similarity, index.records, settings)


def _run_level(
    plan: Plan,
    level: int,
    assignment: Assignment,
    runner: Runner,
    progress: ProgressReport,
    report: RunReport,
) -> None:
    """Write every slab of one level that is not finished."""
    tasks = list(_slab_tasks(plan, level, assignment))
    open_tasks = [task for task in tasks if not plan.ledger.is_done(level, task.number)]
    kept = len(tasks) - len(open_tasks)
    report.slabs_kept += kept
    progress.begin("color" if level == 0 else f"level {level}", plan.levels[level].shape[0])
    progress.advance(sum(len(t.slices) for t in tasks) - sum(len(t.slices) for t in open_tasks))
    worker = ColorizeSlab if level == 0 else CoarsenSlab
    for outcome in runner.run(lambda: worker(plan), open_tasks):
        progress.advance(len(outcome.task.slices))
        if isinstance(outcome, Failed):
            report.failures.append(outcome)
        else:
            report.add(outcome.report, is_color=level == 0)


def _slab_tasks(plan: Plan, level: int, assignment: Assignment) -> Iterator[SlabTask]:
    """Cut a level into slabs; those of level 0 carry their references."""
    slab_slices = plan.settings.store.slab_slices
    for number in range(plan.levels[level].slab_count(slab_slices)):
        slices = plan.levels[level].slab(number, slab_slices)
        references = assignment.references[slices.start : slices.stop] if level == 0 else ()
        yield SlabTask(level, number, slices.start, slices.stop, references)
