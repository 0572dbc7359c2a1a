"""Which slabs a volume is cut into, which of them are done, and what depends on what."""

from __future__ import annotations

from dataclasses import replace

from medcolor.retrieval.record import Assignment
from medcolor.run.ledger import COUNT, MATCH, level_stage
from medcolor.run.model_file import find_model
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


def has_model(plan: Plan) -> bool:
    """Tell whether the volume's colour model is there and whole."""
    return find_model(plan.model, plan.lattice, plan.ledger.identity) is not None


def match_tasks(plan: Plan, assignment: Assignment) -> list[SlabTask]:
    """Return the slabs to match, with their references.

    The colours of a slab depend on the votes of all slabs; in the look `paper` on its own alone.
    """
    matched = plan.ledger.done(MATCH)
    needed = all_tasks(plan, 0) if plan.uses_model else open_tasks(plan, 0)
    return [
        replace(task, stage=MATCH, references=assignment.references[task.start : task.stop])
        for task in needed
        if task.number not in matched
    ]


def count_tasks(plan: Plan) -> list[SlabTask]:
    """Return all slabs, to count their votes."""
    return [replace(task, stage=COUNT) for task in all_tasks(plan, 0)]


def color_tasks(plan: Plan) -> list[SlabTask]:
    """Return the slabs to colour of which all that they depend on is there."""
    if plan.uses_model:
        return open_tasks(plan, 0)
    matched = plan.ledger.done(MATCH)
    return [task for task in open_tasks(plan, 0) if task.number in matched]


def finer_slabs(plan: Plan, task: SlabTask) -> range:
    """Return the slabs of the next finer level of which one of a coarse level is made."""
    depth, slab_slices = plan.levels[task.level].factor[0], plan.settings.store.slab_slices
    return range(task.start * depth // slab_slices, (task.stop * depth - 1) // slab_slices + 1)


def is_done_by_now(plan: Plan, task: SlabTask) -> bool:
    """Tell whether another driver has done meanwhile the slab itself, or what it was to be for."""
    if plan.ledger.is_done(task.stage, task.number):
        return True
    if task.stage in (MATCH, COUNT) and plan.uses_model:
        return has_model(plan)
    return task.stage == MATCH and plan.ledger.is_done(level_stage(task.level), task.number)
