"""What every runner takes and gives: workers, tasks, outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from medcolor.errors import MedcolorError, RunError

Worker = Callable[[Any], Any]
"""Does one task at a time and returns a small report; holds what is dear to load.
Must be safe to repeat: a task may run again after a crash."""

ATTEMPTS = 2
"""Times a task may fail before it is given up."""


@dataclass(frozen=True)
class Done:
    """A finished task."""

    task: Any
    report: Any


@dataclass(frozen=True)
class Failed:
    """A task that was given up after ATTEMPTS."""

    task: Any
    problem: str
    """One line."""


Outcome = Done | Failed


@runtime_checkable
class Runner(Protocol):
    """Runs tasks on workers, in any order."""

    workers: int
    """How many work at a time."""

    is_local: bool
    """Whether the one worker has this process, and its cores, to itself."""

    def run(self, make_worker: Callable[[], Worker], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Yield the outcome of every task as it ends.

        Raises:
            MedcolorError: Raised by a worker about its input or its disk; it ends the run.
        """


def run_all(
    runner: Runner,
    make_worker: Callable[[], Worker],
    tasks: Sequence[Any],
    on_done: Callable[[Done], None],
    place: str,
) -> list[Any]:
    """Run tasks of which none may fail; return their reports in the order of the tasks.

    Raises:
        RunError: If one was given up.
    """
    reports: dict[int, Any] = {}
    numbers = {id(task): number for number, task in enumerate(tasks)}
    for outcome in runner.run(make_worker, tasks):
        if isinstance(outcome, Failed):
            raise RunError(place, outcome.problem, "Run the same command again")
        reports[numbers[id(outcome.task)]] = outcome.report
        on_done(outcome)
    return [reports[number] for number in range(len(tasks))]


def is_final(error: BaseException) -> bool:
    """Tell errors that repeating will not mend: they are about the whole run."""
    return isinstance(error, MedcolorError)


def one_line(error: BaseException) -> str:
    """Return an exception as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
