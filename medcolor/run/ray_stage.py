"""Who of Ray's actors does what, while the tasks of one stage last.

One task in flight an actor: a task queued behind one that kills its actor would die with it. A
task is given only to an actor that has answered and made its worker, so none waits for a node that
will not come, and none pays for networks that load and kernels that compile. A dead or stuck actor
is replaced and its task repeated; a task that fails too often is given up alone.
"""

from __future__ import annotations

import logging
import math
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medcolor.errors import MedcolorError, RunError
from medcolor.extras import require
from medcolor.run.nodes import LABEL, Crew
from medcolor.run.placement import Placement
from medcolor.run.tasks import (
    ATTEMPTS,
    DEATHS,
    Done,
    Failed,
    Outcome,
    Worker,
    about,
    attempt,
    loses_gpu,
    one_line,
)

try:
    import ray
except ModuleNotFoundError:
    require("ray", "Ray", "a cluster")
    raise

_log = logging.getLogger(__name__)
_LOOK_S = 5.0
"""Between two looks for actors that are stuck."""

_ALONE_S = 60.0
"""Without any worker, after which that is said."""

_STARTS = 5
"""Actors in a row that may fail before they are ready."""


class _Worker:
    """Holds the worker of one stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._worker: Worker | None = None

    def ping(self) -> None:
        """Answer: the process runs."""

    def prepare(self, stage: str, make_worker: Callable[[], Worker]) -> float:
        """Make the worker of a stage, unless it is there; return the seconds that took."""
        begin = time.perf_counter()
        if self._worker is None or stage != self._stage:
            self._worker = None  # its memory goes before the next one's comes
            try:
                self._worker, self._stage = make_worker(), stage
            except MedcolorError as error:  # a node that came after the others were looked at
                place, *rest = error.args
                raise type(error)(f"node {socket.gethostname()}: {place}", *rest) from error
        return time.perf_counter() - begin

    def run(self, task: Any, following: Any) -> Outcome:
        """Do a task of the stage that was prepared; another will probably follow."""
        assert self._worker is not None
        return attempt(self._worker, task, following)


_Actor: Any = ray.remote(max_restarts=0)(_Worker)


@dataclass
class Pool:
    """Actors of one crew, by the slot each fills."""

    crew: Crew
    idle: dict[int, Any] = field(default_factory=dict)

    def start(self) -> Any:
        """Ask for an actor; it answers once a node has room for it."""
        crew = self.crew
        options = {"num_cpus": 1.0, "num_gpus": crew.gpu_share, "label_selector": crew.selector}
        return _Actor.options(**options).remote()


@dataclass
class _Busy:
    """A task in flight."""

    slot: int
    number: int
    since: float


@dataclass(frozen=True)
class _Starting:
    """An actor that has not answered yet, or makes its worker."""

    actor: Any
    slot: int
    is_fresh: bool
    """Begun for this; else kept from before."""

    since: float = math.inf
    """When it was asked; never, while it may wait for a node to live on."""

    is_making: bool = False
    """It has answered, and makes its worker."""


class Stage:
    """The tasks of one `run`, and who does what."""

    def __init__(
        self,
        pool: Pool,
        make_worker: Callable[[], Worker],
        tasks: Sequence[Any],
        patience_s: float,
        *,
        make_room: Callable[[], None],
        observe: Callable[[str, float], None],
        count: Callable[[str, int], None],
    ) -> None:
        """Ask for actors.

        Args:
            pool: Of actors, some perhaps idle from earlier stages.
            make_worker: Called in every actor before it is given a task.
            tasks: Of the stage.
            patience_s: After which a task, or an actor that makes its worker, counts as stuck.
            make_room: Called if no actor has come for a while.
            observe: Told what is measured, by the name of a metric.
            count: Told what is counted.
        """
        self._pool, self._tasks, self._patience_s = pool, tasks, patience_s
        self._make_room, self._observe, self._count = make_room, observe, count
        self._name, self._make = uuid.uuid4().hex, ray.put(make_worker)
        slots = min(pool.crew.size, len(tasks))
        self._left = Placement(len(tasks), slots)
        self._failures: Counter[int] = Counter()
        self._deaths: Counter[int] = Counter()
        self._failed_starts = 0
        self._began = self._none_since = time.monotonic()
        self._idle: dict[int, Any] = {}
        self._busy: dict[Any, tuple[Any, _Busy]] = {}
        self._starting: dict[Any, _Starting] = {}
        for slot in range(slots):
            kept = pool.idle.pop(slot, None)  # may have died meanwhile: it has to answer, too
            self._greet(kept or pool.start(), slot, is_fresh=kept is None)

    def __iter__(self) -> Iterator[Outcome]:
        """Yield the outcome of every task as it ends."""
        while self._left or self._busy:
            for slot in sorted(self._idle):
                if (number := self._left.take(slot, is_alone=self._is_alone(slot))) is not None:
                    self._give(number, slot)
            awaited = [*self._busy, *self._starting]
            ready, _ = ray.wait(awaited, num_returns=1, timeout=_LOOK_S)
            self._make_room_if_none_comes()
            for reference in ready:
                if reference in self._starting:
                    self._welcome(reference)
                elif (outcome := self._take(reference)) is not None:
                    yield outcome
            self._replace_stuck_starts()
            yield from self._stuck()

    def end(self) -> None:
        """Keep who is idle, or makes a worker nobody needs; end who still works, or waits."""
        self._pool.idle.update(self._idle)
        for actor, _ in self._busy.values():
            ray.kill(actor)
        for one in self._starting.values():
            if one.is_making:
                self._pool.idle[one.slot] = one.actor
            else:
                ray.kill(one.actor)

    def _is_alone(self, slot: int) -> bool:
        """Tell whether no other works, nor will within a minute of the beginning."""
        others = {busy.slot for _, busy in self._busy.values()} | set(self._idle)
        if time.monotonic() - self._began < _ALONE_S:
            others |= {one.slot for one in self._starting.values()}
        return others <= {slot}

    def _make_room_if_none_comes(self) -> None:
        """If no worker has come for a while, end idle ones of other kinds, and say so once."""
        is_made = any(one.is_making for one in self._starting.values())
        if self._busy or self._idle or is_made:
            self._none_since = time.monotonic()
        elif time.monotonic() - self._none_since > _ALONE_S:
            self._make_room()
            crew = self._pool.crew
            _log.warning(
                "still waiting for a node with a CPU and %g of a GPU free, that does work of the "
                "kind %s (label %s)",
                *(crew.gpu_share, crew.work, LABEL),
            )
            self._none_since = math.inf

    def _greet(self, actor: Any, slot: int, *, is_fresh: bool) -> None:
        since = math.inf if is_fresh else time.monotonic()
        self._starting[actor.ping.remote()] = _Starting(actor, slot, is_fresh, since)

    def _welcome(self, reference: Any) -> None:
        """Go on with an actor that has answered, or has made its worker, or has done neither."""
        one = self._starting.pop(reference)
        try:
            seconds = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # raised where the worker was made
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, MedcolorError):
                self._idle[one.slot] = one.actor
                raise cause from error
            ray.kill(one.actor)
            self._start_again(one, cause)
            return
        except ray.exceptions.RayError as error:
            self._start_again(one, error)
            return
        if not one.is_making:
            making = one.actor.prepare.remote(self._name, self._make)
            self._starting[making] = replace(one, since=time.monotonic(), is_making=True)
            return
        self._failed_starts = 0
        self._observe("ready_seconds", seconds)
        self._idle[one.slot] = one.actor

    def _start_again(self, one: _Starting, error: BaseException) -> None:
        """Replace an actor that did not become ready.

        Raises:
            RunError: It is one of too many.
        """
        self._failed_starts += one.is_fresh  # a kept one may have gone with its node
        if self._failed_starts >= _STARTS:
            raise RunError(
                "Ray",
                f"{_STARTS} workers in a row failed as they began ({one_line(error)})",
                "Look at the logs of Ray's nodes; then run the same command again",
            ) from error
        self._greet(self._pool.start(), one.slot, is_fresh=True)

    def _replace_stuck_starts(self) -> None:
        now = time.monotonic()
        for reference, one in list(self._starting.items()):
            if now - one.since > self._patience_s:
                del self._starting[reference]
                ray.kill(one.actor)
                self._start_again(one, TimeoutError(f"not ready after {self._patience_s:g} s"))

    def _give(self, number: int, slot: int) -> None:
        actor = self._idle.pop(slot)
        after = self._left.peek(slot)
        following = None if after is None else self._tasks[after]
        reference = actor.run.remote(self._tasks[number], following)
        self._busy[reference] = actor, _Busy(slot, number, time.monotonic())

    def _take(self, reference: Any) -> Outcome | None:
        """Return the outcome of what has ended; None if it is tried again."""
        actor, busy = self._busy.pop(reference)
        try:
            outcome = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # around the task: what it is cannot travel
            cause = getattr(error, "cause", None) or error
            outcome = Failed(self._tasks[busy.number], one_line(cause), is_broken=loses_gpu(cause))
        except ray.exceptions.RayError as error:
            return self._died(busy, one_line(error))
        if isinstance(outcome, Failed) and outcome.is_broken:
            ray.kill(actor)  # every later task of this process would fail, too
            return self._died(busy, outcome.problem)
        self._idle[busy.slot] = actor
        task = self._tasks[busy.number]
        if isinstance(outcome, Done):
            return Done(task, outcome.report)
        self._failures[busy.number] += 1
        return self._again(busy, outcome, self._failures[busy.number] < ATTEMPTS)

    def _died(self, busy: _Busy, problem: str) -> Outcome | None:
        self._greet(self._pool.start(), busy.slot, is_fresh=True)
        for slot in list(self._idle):  # they may have gone with the same node: they answer first
            self._greet(self._idle.pop(slot), slot, is_fresh=False)
        self._deaths[busy.number] += 1
        failed = Failed(self._tasks[busy.number], problem)
        return self._again(busy, failed, self._deaths[busy.number] < DEATHS)

    def _again(self, busy: _Busy, failed: Failed, may_again: bool) -> Outcome | None:
        task = self._tasks[busy.number]
        _log.warning("task failed: %s", failed.problem, extra=about(task))
        if not may_again:
            return Failed(task, failed.problem, failed.error)
        self._count("retries", 1)
        self._left.put_back(busy.number, busy.slot)
        return None

    def _stuck(self) -> Iterator[Outcome]:
        now = time.monotonic()
        for reference, (actor, busy) in list(self._busy.items()):
            if now - busy.since > self._patience_s:
                del self._busy[reference]
                ray.kill(actor)
                problem = f"not ended after {self._patience_s:g} s (compute.patience_s)"
                if (outcome := self._died(busy, problem)) is not None:
                    yield outcome
