"""Fitting the colour model of a volume between matching and colouring, by the driver."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from medcolor.run.ledger import MATCH
from medcolor.run.model_file import digest_of, model_bytes, settle_model
from medcolor.run.plan import Plan, SlabTask
from medcolor.run.slabs import count_tasks
from medcolor.run.threads import one_thread_each
from medcolor.run.votes_files import LostVotesError, read_sums, sums_name
from medcolor.storage import write_atomic
from medcolor.transfer.ballot import Ballot, add_up
from medcolor.transfer.model import fit_model

Refine = Callable[[str, Sequence[SlabTask]], bool]
"""Counts the votes of slabs again, weighted by a draft that a digest names; tells whether all
could be."""


_NODE_BYTES = 110
"""Of a node of the lattice while the model is fitted: sums of 4 channels, a copy of them smoothed,
the curves, and one channel on its way; measured 74 to 94."""


def fit_bytes(plan: Plan) -> int:
    """Return the memory that the driver takes to fit the model, at its most."""
    return _NODE_BYTES * math.prod(plan.lattice.shape)


def make_model(plan: Plan, refine: Refine) -> None:
    """Fit the model to the votes of all slabs, and write it; if they cannot be counted, do not.

    Sums are exact and one thread adds and fits them: the model does not depend on how slices were
    cut into slabs, or on who matched them.

    Args:
        plan: Whose slabs are all matched.
        refine: Does a task for every slab.

    Raises:
        LostVotesError: The sums of some slabs are gone; where those come of matching, its marks are
            taken back.
    """
    tasks, rounds = count_tasks(plan), plan.settings.model.rounds
    content = _fit(plan, tasks, "", is_draft=rounds > 0)
    for left in reversed(range(rounds)):
        draft = digest_of(content)
        write_atomic(plan.draft(draft), content)
        if not refine(draft, tasks):
            return
        content = _fit(plan, tasks, draft, is_draft=left > 0)
    plan.ledger.refuse_if_replaced()
    settle_model(plan.model, content, plan.lattice, plan.ledger.identity)


def _fit(plan: Plan, tasks: Sequence[SlabTask], draft: str, *, is_draft: bool) -> bytes:
    """Fit the model, or another draft, to the sums of all slabs, weighted by a draft."""
    settings = plan.settings.model
    lost: dict[int, LostVotesError] = {}

    def found() -> Iterator[Ballot]:
        for task in tasks:
            try:
                yield read_sums(plan.votes, sums_name(draft, task.number))
            except LostVotesError as error:
                lost[task.number] = error

    with one_thread_each():
        total = add_up(found(), plan.lattice)
        if lost:
            if not draft:
                plan.ledger.forget(MATCH, lost)
            raise next(iter(lost.values()))
        model = fit_model(total, plan.lattice, plan.statistics, settings, is_draft=is_draft)
        return model_bytes(model, plan.ledger.identity)
