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
from medcolor.transfer.model import ColorModel, fit_model

Refine = Callable[[str, Sequence[SlabTask]], bool]
"""Counts the votes of slabs again, weighted by a draft that a digest names; tells whether all
could be."""


def model_of(plan: Plan) -> ColorModel | None:
    """Return the volume's colour model, if it is there and whole."""
    return find_model(plan.model, plan.lattice) if plan.uses_model else None


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
    rounds = plan.settings.model.rounds
    content = _fit(plan, tasks, "", is_draft=rounds > 0)
    for left in reversed(range(rounds)):
        draft = digest_of(content)
        write_model(plan.draft(draft), content)
        if not refine(draft, tasks):
            return
        content = _fit(plan, tasks, draft, is_draft=left > 0)
    plan.ledger.refuse_if_replaced()
    write_model(plan.model, content)


def _fit(plan: Plan, tasks: Sequence[SlabTask], draft: str, *, is_draft: bool) -> bytes:
    """Fit the model, or another draft, to the sums of all slabs, weighted by a draft."""
    settings = plan.settings.model
    stretch = settings.stretch if is_draft else 1.0
    with one_thread_each():
        total = add_up((_sums(plan, task, draft) for task in tasks), plan.lattice)
        model = fit_model(total, plan.lattice, plan.statistics, settings, stretch)
        return model_bytes(model)


def _sums(plan: Plan, task: SlabTask, draft: str) -> Ballot:
    try:
        return read_sums(plan.votes, sums_name(draft, task.number))
    except LostVotesError:
        plan.ledger.forget(MATCH, {task.number})
        raise
