"""Fitting the colour model of a volume between matching and colouring, by the driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medcolor.run.ledger import MATCH
from medcolor.run.model_file import digest_of, find_model, model_bytes, write_model
from medcolor.run.plan import Plan, SlabTask
from medcolor.run.slabs import all_tasks
from medcolor.run.threads import one_thread_each
from medcolor.run.votes_files import LostVotesError, read_sums, sums_name
from medcolor.transfer.ballot import Ballot, add_up
from medcolor.transfer.model import fit_model

Refine = Callable[[str, Sequence[SlabTask]], bool]
"""Counts the votes of slabs again, weighted by a draft that a digest names; tells whether all
could be."""


def has_model(plan: Plan) -> bool:
    """Tell whether the volume's colour model is there and whole."""
    return find_model(plan.model, plan.lattice) is not None


def make_model(plan: Plan, refine: Refine) -> None:
    """Fit the model to the votes of all slabs, and write it; if they cannot be counted, do not.

    Sums are exact and one thread adds and fits them: the model does not depend on how slices were
    cut into slabs, or on who matched them.

    Args:
        plan: Whose slabs are all matched.
        refine: Does a task for every slab.

    Raises:
        LostVotesError: The sums of some slabs are gone, whose marks are taken back.
    """
    tasks = all_tasks(plan, 0)
    content = _fit(plan, tasks, "")
    for _ in range(plan.settings.model.rounds):
        draft = digest_of(content)
        write_model(plan.draft(draft), content)
        if not refine(draft, tasks):
            return
        content = _fit(plan, tasks, draft)
    plan.ledger.refuse_if_replaced()
    write_model(plan.model, content)


def _fit(plan: Plan, tasks: Sequence[SlabTask], draft: str) -> bytes:
    """Fit the model to the sums of all slabs."""
    with one_thread_each():
        total = add_up((_sums(plan, task, draft) for task in tasks), plan.lattice)
        return model_bytes(fit_model(total, plan.lattice, plan.statistics, plan.settings.model))


def _sums(plan: Plan, task: SlabTask, draft: str) -> Ballot:
    try:
        return read_sums(plan.votes, sums_name(draft, task.number))
    except LostVotesError:
        plan.ledger.forget(MATCH, {task.number})
        raise
