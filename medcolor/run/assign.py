"""The first pass: how the photographs lie, and which of them each slice takes its colours from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.reference.orientation import VIEW, combined
from medcolor.retrieval.assignment import Choice, choose_references
from medcolor.retrieval.index import ReferenceIndex
from medcolor.retrieval.record import Assignment, Bearing, read_assignment, write_assignment
from medcolor.retrieval.settings import RetrievalSettings
from medcolor.run.bearing import find_known_turn, warn_of_course
from medcolor.run.ledger import ASSIGNMENT
from medcolor.run.plan import Plan
from medcolor.run.tasks import Runner, Worker, run_all
from medcolor.run.workers import DescribeReferences, DescribeSlices

_ITEMS_PER_TASK = 16
_log = logging.getLogger(__name__)


def assign(
    plan: Plan, index: ReferenceIndex, runner: Runner, progress: ProgressReport
) -> Assignment:
    """Describe every slice and choose the references, or read an earlier choice.

    Raises:
        InputError: If no slice shows a body, the photographs' names do not say what they should, or
            some lie as recorded and others do not lie as presumed.
    """
    path = plan.ledger.folder / ASSIGNMENT
    found = read_assignment(path, plan.ledger.identity, index.records)
    if found is not None:
        return found
    settings, level = plan.settings, plan.levels[0]

    known: dict[tuple[int, str], Float[np.ndarray, " descriptor"]] = {}

    def describe(
        slices: Sequence[int], codes: tuple[str, ...]
    ) -> Float[np.ndarray, "slice code descriptor"]:
        missing = [z for z in slices if any((z, code) not in known for code in codes)]
        if missing:
            described = _describe(plan, missing, codes, runner, progress)
            for z, by_code in zip(missing, described, strict=True):
                known.update({(z, code): one for code, one in zip(codes, by_code, strict=True)})
        return np.stack([[known[z, code] for code in codes] for z in slices])

    turn, said, known_by = find_known_turn(
        describe, level.shape[0], level.spacing_mm[0], index, settings.reference
    )
    descriptors = describe(range(level.shape[0]), (VIEW,))[:, 0]
    if not descriptors.any():
        raise InputError(
            plan.target,
            "no body in any slice",
            "Check the scan, or set volume.body_threshold and volume.window",
        )

    photographs = index.descriptors
    if turn.code != VIEW:
        orientation = combined(said[:2], turn.code) + said[2]
        photographs = _describe_as_found(plan, index, orientation, runner, progress)

    def choose(retrieval: RetrievalSettings) -> Choice:
        places = index.positions_mm
        return choose_references(descriptors, photographs, places, level.spacing_mm[0], retrieval)

    choice = choose(settings.retrieval)
    is_said = known_by != "slices" and bool(plan.input_facts.get("is_placed"))
    is_asked = settings.retrieval.direction == "auto"
    if is_said and is_asked and choice.is_reversed and choice.order == "names":
        warn_of_course(said)
        choice = choose(replace(settings.retrieval, direction="stated"))
    bearing = Bearing.of(choice, turn, said, known_by)
    _log.info("photographs: %s", bearing)
    return write_assignment(
        path,
        plan.ledger.identity,
        choice,
        bearing,
        index.records,
        settings.retrieval,
    )


def _describe_as_found(
    plan: Plan, index: ReferenceIndex, orientation: str, runner: Runner, progress: ProgressReport
) -> Float[np.ndarray, "reference descriptor"]:
    """Describe photographs anew, brought to the radiological view.

    The index holds them as they were presumed to lie. The network knows bodies that lie upright: of
    others descriptors tell how they lie, and hardly from where in a body they are.
    """
    stated = replace(plan.settings.reference, orientation=orientation)
    settings = plan.settings.model_copy(update={"reference": stated})
    threads, what = plan.threads, f"describing photographs as {orientation}"
    described = _in_tasks(
        index.records,
        lambda: DescribeReferences(settings, threads),
        runner,
        progress,
        "references",
        what,
    )
    return np.stack([one.descriptor for some in described for one in some])


def _describe(
    plan: Plan,
    slices: Sequence[int],
    codes: tuple[str, ...],
    runner: Runner,
    progress: ProgressReport,
) -> Float[np.ndarray, "slice code descriptor"]:
    """Describe slices, each turned so that it lies in every way `codes` names."""
    what = f"describing {plan.target.name}"
    described = _in_tasks(
        slices, lambda: DescribeSlices(plan, codes), runner, progress, "describe", what
    )
    return np.concatenate(described)


def _in_tasks(
    items: Sequence[Any],
    make_worker: Callable[[], Worker],
    runner: Runner,
    progress: ProgressReport,
    stage: str,
    what: str,
) -> list[Any]:
    """Have workers describe items, some in a task; return what is made of each task, in order."""
    step = _ITEMS_PER_TASK
    tasks = [tuple(items[start : start + step]) for start in range(0, len(items), step)]
    progress.begin(stage, len(items))
    return run_all(runner, make_worker, tasks, lambda done: progress.advance(len(done.task)), what)
