"""All tasks in this process, one after the other; imports no Ray."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medcolor.run.tasks import ATTEMPTS, Done, Failed, Outcome, Worker, is_final, one_line

_log = logging.getLogger(__name__)


class SerialRunner:
    """Runs tasks here; the worker may use several threads within one task."""

    workers = 1
    is_local = True

    def run(self, make_worker: Callable[[], Worker], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Yield the outcome of every task in order."""
        if not tasks:
            return
        worker = make_worker()
        for task in tasks:
            yield self._attempt(worker, task)

    def _attempt(self, worker: Worker, task: Any) -> Outcome:
        """Run one task, again if it fails in a way that may pass."""
        problem = ""
        for _ in range(ATTEMPTS):
            try:
                return Done(task, worker(task))
            except Exception as error:
                if is_final(error):
                    raise
                problem = one_line(error)
                _log.warning("task %s failed: %s", task, problem, exc_info=True)
        return Failed(task, problem)
