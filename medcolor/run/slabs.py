"""Which slabs a volume is cut into, which of them are done, and what depends on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medcolor.retrieval.record import Assignment, Source
from medcolor.run.ledger import MATCH, level_stage
from medcolor.run.plan import Plan, SlabTask


def count_slabs(plan: Plan) -> dict[str, int]:
    """Return how many slabs each stage has."""
    slab_slices = plan.settings.store.slab_slices
    counts = {level_stage(one.index): one.slab_count(slab_slices) for one in plan.levels}
    return {MATCH: counts[level_stage(0)], **counts}


def all_tasks(plan: Plan, level: int) -> list[SlabTask]:
    """Cut a level into slabs."""
    slab_slices = plan.settings.store.slab_slices
    slabs = [
        plan.levels[level].slab(number, slab_slices)
        for number in range(plan.levels[level].slab_count(slab_slices))
    ]
    return [
        SlabTask(level_stage(level), level, number, slices.start, slices.stop)
        for number, slices in enumerate(slabs)
    ]


def open_tasks(plan: Plan, level: int) -> list[SlabTask]:
    """Return the slabs of a level that are not finished."""
    done = plan.ledger.done(level_stage(level))
    return [task for task in all_tasks(plan, level) if task.number not in done]


def match_tasks(plan: Plan, assignment: Assignment, *, all_are_needed: bool) -> list[SlabTask]:
    """Return the slabs to match, with their references: all, or those still to be coloured."""
    matched = plan.ledger.done(MATCH)
    needed = all_tasks(plan, 0) if all_are_needed else open_tasks(plan, 0)
    references = _relative(assignment.references)
    return [
        replace(task, stage=MATCH, references=references[task.start : task.stop])
        for task in needed
        if task.number not in matched
    ]


def _relative(references: Sequence[tuple[Source, ...]]) -> tuple[tuple[Source, ...], ...]:
    """Return references whose largest weight of the whole volume is 1."""
    most = max((one.weight for each in references for one in each), default=1.0)
    return tuple(
        tuple(replace(one, weight=one.weight / most) for one in each) for each in references
    )


def color_tasks(plan: Plan, *, need_votes: bool) -> list[SlabTask]:
    """Return the slabs to colour; if they need their own votes, those that are matched."""
    matched = plan.ledger.done(MATCH) if need_votes else set()
    return [task for task in open_tasks(plan, 0) if not need_votes or task.number in matched]


def finer_slabs(plan: Plan, task: SlabTask) -> range:
    """Return the slabs of the next finer level of which one of a coarse level is made."""
    depth, slab_slices = plan.levels[task.level].factor[0], plan.settings.store.slab_slices
    return range(task.start * depth // slab_slices, (task.stop * depth - 1) // slab_slices + 1)


def is_done_by_now(plan: Plan, task: SlabTask) -> bool:
    """Tell whether another driver has done it, or the slab that it is for, meanwhile."""
    stages = {task.stage, level_stage(task.level)}
    return any(plan.ledger.is_done(stage, task.number) for stage in stages)
