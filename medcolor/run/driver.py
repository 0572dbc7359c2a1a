"""One volume, from a scan and photographs to a coloured OME-Zarr, in three passes.

Workers describe slices; the driver chooses references for every slice of the whole
stack and writes the choice down; workers match slabs and count the votes of their
photographs; the driver fits one colour model to all of them; workers colour slabs by
it. What an earlier run left finished is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medcolor.config import RunSettings
from medcolor.domain import GreyLevels
from medcolor.errors import DiskFullError, InputError
from medcolor.progress import ProgressReport
from medcolor.reference.credit import read_credit
from medcolor.retrieval.index import ReferenceIndex
from medcolor.retrieval.record import Assignment
from medcolor.run.assign import assign
from medcolor.run.body_sheet import write_body_sheet
from medcolor.run.fit import make_model
from medcolor.run.index import open_index, refuse_changed_photographs
from medcolor.run.integrity import forget_lost
from medcolor.run.ledger import (
    BETWEEN_PASSES,
    COUNT,
    MATCH,
    PLAN,
    STAGED,
    VOTES,
    Ledger,
    delete_ledger,
    holds_anything,
    level_stage,
)
from medcolor.run.look import look_at
from medcolor.run.plan import Plan, SlabTask, resolve_hardware, staging_of
from medcolor.run.preflight import check_inputs_on_every_node, check_output_on_every_node
from medcolor.run.report import RunReport, write_failures, write_report
from medcolor.run.slab_report import SlabReport
from medcolor.run.slabs import (
    all_tasks,
    color_tasks,
    count_slabs,
    finer_slabs,
    is_done_by_now,
    match_tasks,
    model_of,
    open_tasks,
)
from medcolor.run.tasks import Failed, Runner, Work, Worker
from medcolor.run.votes_files import LostVotesError
from medcolor.run.workers import (
    CoarsenSlab,
    ColorSlab,
    CountSlab,
    MatchSlab,
    speaking_of_full_disks,
)
from medcolor.storage import Place, delete_made, refuse_links_out
from medcolor.transfer.looks import needs_votes
from medcolor.volume.shards import LostShardError
from medcolor.volume.store import (
    create_store,
    delete_unfinished_files,
    delete_volume,
    levels_laid_out_otherwise,
    metadata_digests,
)

_log = logging.getLogger(__name__)


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
    settings = resolve_hardware(settings, runner)
    report = RunReport(output)
    with speaking_of_full_disks(output):
        with _nothing_left_on_bad_input(output) as begun:
            with report.stage("prepare"):
                plan, index = _prepare(
                    target, references, output, settings, runner, progress, begun, force=force
                )
            report.slices, report.window = plan.levels[0].shape[0], plan.window
            _log.info("scan: %s", plan.window)
            write_body_sheet(plan)
            with report.stage("describe"):
                assignment = assign(plan, index, runner, progress)
                report.bearing = assignment.bearing
                refuse_changed_photographs(index, assignment.used)
        try:
            _color(plan, assignment, runner, progress, report)
        finally:
            if plan.ledger.is_ours():  # else another run has been forced over this one
                write_failures(plan, report)
        if plan.ledger.is_ours():
            write_report(plan, report, runner)
        if report.is_complete:
            plan.ledger.forget(MATCH)
            delete_made(plan.ledger.folder / VOTES, BETWEEN_PASSES)
            delete_made(plan.staging_folder, STAGED)
            delete_unfinished_files(output)
    return report


def _prepare(
    target: Place,
    references: Place,
    output: Place,
    settings: RunSettings,
    runner: Runner,
    progress: ProgressReport,
    begun: list[Place],
    *,
    force: bool,
) -> tuple[Plan, ReferenceIndex]:
    """Look at all inputs, from every node, and write the empty volume.

    Nothing of an earlier run is deleted before every node has seen the inputs.
    """
    for place in (output, Ledger.folder_of(output)):
        if isinstance(place, Path):
            refuse_links_out(place)
    look = look_at(target, references, output, settings, runner)
    plan = look.plan
    check_inputs_on_every_node(look, references, runner)
    if plan.ledger.begin(output, look.about, count_slabs(plan), force=force):
        # A volume whose ledger was lost was there before, and stays whatever comes.
        begun += [plan.ledger.folder] if holds_anything(output) else [output, plan.ledger.folder]
    check_output_on_every_node(plan, runner)
    kept = plan.ledger.folder / "index"
    index = open_index(references, kept, look.photographs, settings, runner, progress)
    for level in levels_laid_out_otherwise(output, plan.levels, settings.store):
        plan.ledger.forget(level_stage(level))
    forget_lost(plan)
    window = plan.window
    grey = GreyLevels(window.black, window.white, window.unit, settings.opacity.is_luminance)
    credit = read_credit(references)
    create_store(output, look.geometry, settings.store, look.about, grey, credit)
    plan.ledger.record_metadata(metadata_digests(output, plan.levels))
    return plan, index


@contextmanager
def _nothing_left_on_bad_input(output: Place) -> Iterator[list[Place]]:
    """If the input is refused, remove what this driver began; what others wrote stays.

    Yields a list to which the driver adds what it begins.
    """
    begun: list[Place] = []
    folder, staging = Ledger.folder_of(output), staging_of(output)
    was_staged = staging.exists()
    try:
        yield begun
    except InputError:
        for place in begun:
            delete_volume(place) if place == output else delete_ledger(place)
        if not was_staged and not (folder / PLAN).is_file():
            delete_made(staging, STAGED)
            if isinstance(folder, Path) and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _color(
    plan: Plan,
    assignment: Assignment,
    runner: Runner,
    progress: ProgressReport,
    report: RunReport,
) -> None:
    """Match and colour the slabs that are not finished, and write the coarser levels."""
    model = model_of(plan)
    need_votes = needs_votes(model, plan.settings)
    learns, is_open = plan.uses_model and model is None, bool(open_tasks(plan, 0))
    if is_open and need_votes:
        with report.stage("match"):
            turn = assignment.bearing.turn
            tasks = match_tasks(plan, assignment, all_are_needed=learns)
            _run(plan, MATCH, lambda: MatchSlab(plan, turn), tasks, runner, progress, report)
    if is_open and learns and report.is_complete:
        with report.stage("model"):
            _make_model(plan, runner, progress, report)
        need_votes = needs_votes(model_of(plan), plan.settings)
    if learns and not report.is_complete:
        return  # colours are those of the whole body
    for level in plan.levels:
        # A level is the source of the next: a slab missing here would be a hole there.
        if level.index == 0 or report.is_complete:
            with report.stage("color" if level.index == 0 else "pyramid"):
                _run_level(plan, level.index, need_votes, runner, progress, report)


def _make_model(plan: Plan, runner: Runner, progress: ProgressReport, report: RunReport) -> None:
    """Fit the colour model, unless another driver has done so meanwhile."""

    def refine(draft: str, tasks: Sequence[SlabTask]) -> bool:
        _run(plan, COUNT, lambda: CountSlab(plan, draft), tasks, runner, progress, report)
        return report.is_complete

    try:
        if model_of(plan) is None:
            make_model(plan, refine)
    except LostVotesError:  # deleted by a driver that has come to the end?
        if model_of(plan) is None:
            raise


def _run_level(
    plan: Plan,
    level: int,
    need_votes: bool,
    runner: Runner,
    progress: ProgressReport,
    report: RunReport,
) -> None:
    """Write every slab of one level that is not finished and can be."""
    kept = len(all_tasks(plan, level)) - len(open_tasks(plan, level))
    report.slabs_kept += kept
    stage = "color" if level == 0 else f"level {level}"
    runner.count("slabs", kept, stage=stage, outcome="kept")
    if level == 0:
        tasks = color_tasks(plan, need_votes=need_votes)
        lacking = [task for task in open_tasks(plan, 0) if task not in tasks]
        report.failures += [Failed(task, "what it depends on is not matched") for task in lacking]
        _run(plan, stage, lambda: ColorSlab(plan), tasks, runner, progress, report)
    else:
        tasks = open_tasks(plan, level)
        _run(plan, stage, lambda: CoarsenSlab(plan), tasks, runner, progress, report, work="light")


def _run(
    plan: Plan,
    stage: str,
    make_worker: Callable[[], Worker],
    tasks: Sequence[SlabTask],
    runner: Runner,
    progress: ProgressReport,
    report: RunReport,
    *,
    work: Work = "color",
) -> None:
    """Do slabs of one stage; those that are given up are listed, and hold nobody up.

    Raises:
        RunError: The disk is full wherever it is tried.
    """
    progress.begin(stage, sum(len(task.slices) for task in tasks))
    full = 0
    for outcome in runner.run(make_worker, tasks, work=work):
        task = outcome.task
        progress.advance(len(task.slices))
        if not isinstance(outcome, Failed):
            full = 0
            report.add(outcome.report, stage=stage)
            if outcome.report.halvings:
                where = task.start, task.stop, outcome.report.node
                _log.warning(
                    "slices %d to %d: the GPU of %s did not hold as many pairs as expected; "
                    "fewer were matched at once",
                    *where,
                )
            _count(stage, outcome.report, runner)
        elif is_done_by_now(plan, task):
            report.slabs_kept += stage not in (MATCH, COUNT)
        else:
            report.failures.append(outcome)
            runner.count("slabs", 1, stage=stage, outcome="failed")
            about = {
                "run": plan.ledger.identity[:12],
                "volume": plan.output.name,
                "stage": stage,
                "slab": task.number,
            }
            where = stage, task.start, task.stop
            _log.error("%s, slices %d to %d: %s", *where, outcome.problem, extra=about)
            if isinstance(outcome.error, LostVotesError):
                plan.ledger.forget(MATCH, {task.number})
            if isinstance(outcome.error, LostShardError):
                plan.ledger.forget(level_stage(task.level - 1), finer_slabs(plan, task))
            full = full + 1 if isinstance(outcome.error, DiskFullError) else 0
            if full > runner.workers and outcome.error is not None:
                raise outcome.error


def _count(stage: str, slab: SlabReport, runner: Runner) -> None:
    runner.count("slabs", 1, stage=stage, outcome="done")
    runner.count("slices", slab.slices, stage=stage)
    runner.count("written_bytes", slab.voxel_bytes)
    for part, seconds in slab.seconds.items():
        runner.observe("stage_seconds", seconds, stage=part)
    if slab.gpu_limit_bytes:
        runner.observe("gpu_memory_bytes", float(slab.gpu_bytes), node=slab.node)
        runner.observe("gpu_memory_limit_bytes", float(slab.gpu_limit_bytes), node=slab.node)
        runner.count("gpu_busy_seconds", slab.gpu_busy_s, stage=stage)
        runner.count("gpu_starved_seconds", slab.gpu_starved_s, stage=stage)
