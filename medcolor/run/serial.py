"""All tasks in this process, one after the other; imports no Ray."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

from medcolor.errors import RunError
from medcolor.run.tasks import ATTEMPTS, Failed, Outcome, Work, Worker, about, attempt
from medcolor.run.threads import usable_cores

_log = logging.getLogger(__name__)
T = TypeVar("T")


class SerialRunner:
    """Runs tasks here; the worker may use several threads within one task."""

    workers = 1
    is_local = True

    def __init__(self, threads: int | None = None) -> None:
        """Take the cores to use; by default all that this process may."""
        self.threads = threads or usable_cores()

    def run(
        self,
        make_worker: Callable[[], Worker],
        tasks: Sequence[Any],
        *,
        work: Work = "color",  # noqa: ARG002  (there is one worker,
        is_long: bool = False,  # noqa: ARG002  and nobody to end it)
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task in order.

        Raises:
            RunError: This process has lost its GPU, so that no task can be done any more.
        """
        if not tasks:
            return
        worker = make_worker()
        for task, following in zip_longest(tasks, tasks[1:]):
            for _ in range(ATTEMPTS):
                outcome = attempt(worker, task, following)
                if not isinstance(outcome, Failed):
                    break
                _log.warning("task failed: %s", outcome.problem, extra=about(task))
                if outcome.is_broken:
                    raise RunError(
                        "GPU",
                        f"this process has lost it ({outcome.problem})",
                        "Run the same command again; if that recurs, look at the driver's log",
                    )
            yield outcome

    def on_every_node(self, probe: Callable[[], T], *_works: Work) -> dict[str, T]:
        """Call `probe` here."""
        return {"here": probe()}

    def count(self, name: str, value: float | int, **tags: str) -> None:
        """Count for nobody: one process is watched by its own lines."""

    def observe(self, name: str, value: float, **tags: str) -> None:
        """Note for nobody."""
