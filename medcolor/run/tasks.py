"""What every runner takes and gives: workers, tasks, outcomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from medcolor.errors import MedcolorError, RunError, printable

T = TypeVar("T")

Work = Literal["color", "light", "render"]
"""What nodes may do apart: what needs the network, or a GPU for its arithmetic; what any CPU does;
drawing."""

_GPU_LOST = re.compile(r"CUDA error|Triton Error \[CUDA\]|CUDNN_STATUS_|CUBLAS_STATUS_")

Worker = Callable[[Any], Any]
"""Does one task at a time and returns a small report; holds what is dear to load.
Must be safe to repeat: a task may run again after a crash."""


@runtime_checkable
class ReadsAhead(Protocol):
    """A worker that may begin to read what its next task needs, while it does one."""

    def expect(self, task: Any) -> None:
        """Take note of what will probably come after the task that is given next."""


ATTEMPTS = 2
"""Times a task may fail before it is given up."""

DEATHS = 4
"""Times the process that does a task may die before the task is given up: more, as it may have
died for other reasons, of a lost node or of memory that a neighbour took."""


@dataclass(frozen=True)
class Done:
    """A finished task."""

    task: Any
    report: Any


@dataclass(frozen=True)
class Failed:
    """A task that was given up."""

    task: Any
    problem: str
    """One line."""

    error: MedcolorError | None = None
    """What the worker raised, if it was an error for users to read."""

    is_broken: bool = False
    """Whether the worker's process can do nothing more: it has lost its GPU."""

    @property
    def nameless(self) -> str:
        """What may be kept beside results: no place, as file names may carry a patient's."""
        if self.error is None:
            return self.problem.partition(":")[0]
        _place, problem, remedy = self.error.args
        return f"{problem}. {remedy}."


Outcome = Done | Failed


@runtime_checkable
class Runner(Protocol):
    """Runs tasks on workers, in any order."""

    workers: int
    """How many work at a time."""

    threads: int
    """Cores that one worker may use."""

    is_local: bool
    """Whether the one worker is this process."""

    def run(
        self,
        make_worker: Callable[[], Worker],
        tasks: Sequence[Any],
        *,
        work: Work = "color",
        is_long: bool = False,
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it ends.

        Args:
            make_worker: Called where the worker lives, before it is given a task.
            tasks: Neighbours in this order go to the same worker where that costs nothing.
            work: Which nodes of a cluster do it.
            is_long: Whether a task may take any time.

        Raises:
            MedcolorError: Raised where a worker was to be made: none of the tasks can be done.
        """

    def on_every_node(self, probe: Callable[[], T], *works: Work) -> dict[str, T]:
        """Call `probe` once on every machine that works; return the results by machine.

        Args:
            probe: Looks at the machine.
            works: Only where one of these kinds of work is done; by default everywhere.

        Raises:
            MedcolorError: Raised by the probe; its place names the machine.
        """

    def count(self, name: str, value: float | int, **tags: str) -> None:
        """Add to a counter that is watched from outside; see `medcolor.run.metrics`."""

    def observe(self, name: str, value: float, **tags: str) -> None:
        """Set a gauge, or note one more value of a histogram."""


def attempt(worker: Worker, task: Any, following: Any = None) -> Outcome:
    """Do one task once.

    Args:
        worker: Does it.
        task: What it does.
        following: What will probably come next; None if that is unknown.
    """
    try:
        if following is not None and isinstance(worker, ReadsAhead):
            worker.expect(following)
        return Done(task, worker(task))
    except Exception as error:
        readable = error if isinstance(error, MedcolorError) else None
        return Failed(task, one_line(error), readable, loses_gpu(error))


def loses_gpu(error: BaseException | None) -> bool:
    """Tell whether an error leaves its process without a GPU.

    After an illegal access, a failed assertion or memory that has lost a bit, CUDA answers every
    later call of the process with the same error. Memory that is full does no such harm.
    """
    while error is not None:
        if _GPU_LOST.search(str(error)) and "out of memory" not in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def about(task: Any) -> dict[str, Any]:
    """Return what a line about a task says of it beside its text."""
    found = {"stage": getattr(task, "stage", None), "slab": getattr(task, "number", None)}
    return {name: value for name, value in found.items() if value is not None}


def run_all(
    runner: Runner,
    make_worker: Callable[[], Worker],
    tasks: Sequence[Any],
    on_done: Callable[[Done], None],
    place: str,
    work: Work = "color",
) -> list[Any]:
    """Run tasks of which none may fail; return their reports in the order of the tasks.

    Raises:
        MedcolorError: If one was given up: what its worker said, or a RunError.
    """
    reports: dict[int, Any] = {}
    numbers = {id(task): number for number, task in enumerate(tasks)}
    for outcome in runner.run(make_worker, tasks, work=work):
        if isinstance(outcome, Failed):
            raise outcome.error or RunError(place, outcome.problem, "Run the same command again")
        reports[numbers[id(outcome.task)]] = outcome.report
        on_done(outcome)
    return [reports[number] for number in range(len(tasks))]


def one_line(error: BaseException) -> str:
    """Return an exception as one line."""
    if isinstance(error, MedcolorError):
        return str(error)
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))
