"""The same tasks on Ray actors: the only importer of ray.

One task in flight an actor: a task queued behind one that kills its actor would die with it. A
task is given only to an actor that has answered, so none waits for a node that will not come. A
dead or stuck actor is replaced and its task repeated; a task that fails too often is given up
alone. Actors live on from stage to stage and from volume to volume, since starting one takes
longer than loading a network. Pixels never travel through Ray.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from medcolor.errors import MedcolorError, RunError
from medcolor.extras import require
from medcolor.run.metrics import METRICS, Kind
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
    one_line,
)

try:
    import ray
    from ray.util import metrics
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError:
    require("ray", "Ray", "a cluster")
    raise

_log = logging.getLogger(__name__)
_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 200_000_000
"""For a Ray started here: reports are small, the default share of memory is not needed."""

_LOOK_S = 5.0
"""Between two looks for actors that are stuck."""

_ALONE_S = 60.0
"""Without any worker, after which that is said."""

_STARTS = 5
"""Actors in a row that may die before they answer."""

_PROBE_S = 120.0
T = TypeVar("T")


class _Worker:
    """Holds the worker of one stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._worker: Worker | None = None

    def ping(self) -> None:
        """Answer: the process runs."""

    def run(self, stage: str, make_worker: Callable[[], Worker], task: Any) -> Outcome:
        if self._worker is None or stage != self._stage:
            self._worker = None  # its memory goes before the next one's comes
            try:
                self._worker, self._stage = make_worker(), stage
            except MedcolorError as error:  # a node that came after the others were looked at
                place, *rest = error.args
                raise type(error)(f"node {socket.gethostname()}: {place}", *rest) from error
        return attempt(self._worker, task)


_Actor: Any = ray.remote(max_restarts=0)(_Worker)


def _probe(probe: Callable[[], Any]) -> Any:
    return probe()


@dataclass
class _Busy:
    """A task in flight."""

    slot: int
    number: int
    since: float


@dataclass(frozen=True)
class _Starting:
    """An actor that has not answered yet."""

    actor: Any
    slot: int
    is_fresh: bool
    """Begun for this; else kept from before."""


@dataclass
class _Pool:
    """Actors of one kind, by the slot each fills."""

    options: dict[str, float]
    size: int
    idle: dict[int, Any] = field(default_factory=dict)

    def start(self) -> Any:
        return _Actor.options(**self.options).remote()


class RayRunner:
    """Runs tasks on actors of a Ray cluster, or of a Ray started on this machine."""

    is_local = False

    def __init__(
        self,
        address: str,
        workers: int | None,
        *,
        gpu_share: float = 1.0,
        uses_gpus: bool | None = None,
        patience_s: float = 3600.0,
    ) -> None:
        """Connect.

        Args:
            address: HOST:PORT of a cluster, or `auto`: the cluster of RAY_ADDRESS, which
                Ray sets inside a submitted job, else a Ray of this run's own.
            workers: Actors; by default one for each GPU, or each share of one, that the cluster
                has; if it has none, for each CPU.
            gpu_share: Of a GPU, for each actor.
            uses_gpus: Whether actors hold GPUs; None: if the cluster has any by now.
            patience_s: After which a task that has not ended counts as stuck.

        Raises:
            RunError: No cluster answers; or GPUs are asked for, none is there yet, and how many
                workers there will be is not said.
        """
        if not ray.is_initialized():
            found = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
            _connect(found, workers)
        there = ray.cluster_resources()
        cpus, gpus = int(there.get("CPU", 1)), there.get("GPU", 0.0)
        holds = gpus > 0 if uses_gpus is None else uses_gpus
        if holds and not gpus and workers is None:
            raise RunError(
                f"--ray {address}",
                "compute.device=cuda, and the cluster has no GPU yet",
                "Say how many workers it will have: --workers N",
            )
        self.workers = workers or max(1, int(gpus / gpu_share) if holds else cpus)
        self.threads = max(1, cpus // self.workers) if holds else 1
        self._patience_s = patience_s
        share = {"num_cpus": 1.0, "num_gpus": gpu_share if holds else 0.0}
        self._pools = {True: _Pool(share, self.workers)}
        spare = cpus - self.workers  # CPUs that those who hold GPUs leave to others
        if holds and spare > 0:
            self._pools[False] = _Pool({"num_cpus": 1.0}, spare)
        self._meters: dict[str, Any] = {}

    def release(self) -> None:
        """End the actors that are kept from one `run` to the next; the driver's end does, too."""
        for pool in self._pools.values():
            while pool.idle:
                ray.kill(pool.idle.popitem()[1])

    def run(
        self,
        make_worker: Callable[[], Worker],
        tasks: Sequence[Any],
        *,
        on_gpu: bool = True,
        is_long: bool = False,
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it ends."""
        if not tasks:
            return
        pool = self._pools.get(on_gpu, self._pools[True])
        patience_s = math.inf if is_long else self._patience_s
        stage = _Stage(self, pool, make_worker, tasks, patience_s)
        try:
            yield from stage
        finally:
            stage.end()

    def on_every_node(self, probe: Callable[[], T]) -> dict[str, T]:
        """Call `probe` once on every node that has CPUs or GPUs to give."""
        asked = {}
        for node in ray.nodes():
            if node["Alive"] and any(node["Resources"].get(kind) for kind in ("CPU", "GPU")):
                where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                call = ray.remote(num_cpus=0, max_retries=0)(_probe)
                name = str(node.get("NodeManagerAddress") or node["NodeID"])
                answer = call.options(scheduling_strategy=where).remote(probe)
                asked[f"{name} ({node['NodeID'][:6]})"] = node["NodeID"], answer
        found = {}
        for name, (node_id, answer) in asked.items():
            try:
                found[name] = ray.get(answer, timeout=_PROBE_S)
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None) or error
                if isinstance(cause, MedcolorError):
                    place, problem, remedy = cause.args
                    raise type(cause)(f"node {name}: {place}", problem, remedy) from error
                if not any(one["NodeID"] == node_id and one["Alive"] for one in ray.nodes()):
                    continue  # lost meanwhile, as nodes are: it will do no work
                raise RunError(
                    f"node {name}", f"does not answer ({one_line(cause)})", "Look at its logs"
                ) from error
        return found

    def count(self, name: str, value: int, **tags: str) -> None:
        """Add to a counter on the node's Prometheus port."""
        if value:
            self._meter(name).inc(float(value), tags)

    def observe(self, name: str, value: float, **tags: str) -> None:
        """Set a gauge or add to a histogram."""
        meter = self._meter(name)
        if METRICS[name].kind is Kind.GAUGE:
            meter.set(value, tags)
        else:
            meter.observe(value, tags)

    def _meter(self, name: str) -> Any:
        if name not in self._meters:
            what = METRICS[name]
            kinds = {
                Kind.COUNTER: metrics.Counter,
                Kind.GAUGE: metrics.Gauge,
                Kind.HISTOGRAM: metrics.Histogram,
            }
            more = {"boundaries": list(what.boundaries)} if what.boundaries else {}
            self._meters[name] = kinds[what.kind](
                what.full_name, description=what.description, tag_keys=what.tags, **more
            )
        return self._meters[name]


class _Stage:
    """The tasks of one `run`, and who does what."""

    def __init__(
        self,
        runner: RayRunner,
        pool: _Pool,
        make_worker: Callable[[], Worker],
        tasks: Sequence[Any],
        patience_s: float,
    ) -> None:
        self._runner, self._pool, self._tasks = runner, pool, tasks
        self._patience_s = patience_s
        self._name, self._make = uuid.uuid4().hex, ray.put(make_worker)
        slots = min(pool.size, len(tasks))
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
            for outcome in self._stuck():
                yield outcome

    def end(self) -> None:
        """Keep who is idle; end who still works, or has not answered."""
        self._pool.idle.update(self._idle)
        for actor in (
            *(actor for actor, _ in self._busy.values()),
            *(one.actor for one in self._starting.values()),
        ):
            ray.kill(actor)

    def _is_alone(self, slot: int) -> bool:
        """Tell whether no other works, nor will within a minute of the beginning."""
        others = {busy.slot for _, busy in self._busy.values()} | set(self._idle)
        if time.monotonic() - self._began < _ALONE_S:
            others |= {one.slot for one in self._starting.values()}
        return others <= {slot}

    def _make_room_if_none_comes(self) -> None:
        """If no worker has come for a while, end idle ones of other kinds, and say so once."""
        if self._busy or self._idle:
            self._none_since = time.monotonic()
        elif time.monotonic() - self._none_since > _ALONE_S:
            self._runner.release()
            _log.warning("still waiting for a worker that asks for %s", self._pool.options)
            self._none_since = math.inf

    def _greet(self, actor: Any, slot: int, *, is_fresh: bool) -> None:
        self._starting[actor.ping.remote()] = _Starting(actor, slot, is_fresh)

    def _welcome(self, reference: Any) -> None:
        one = self._starting.pop(reference)
        actor, slot = one.actor, one.slot
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            self._failed_starts += one.is_fresh  # a kept one may have gone with its node
            if self._failed_starts >= _STARTS:
                raise RunError(
                    "Ray",
                    f"{_STARTS} workers in a row died as they began ({one_line(error)})",
                    "Look at the logs of Ray's nodes; then run the same command again",
                ) from error
            self._greet(self._pool.start(), slot, is_fresh=True)
            return
        self._failed_starts = 0
        self._idle[slot] = actor

    def _give(self, number: int, slot: int) -> None:
        actor = self._idle.pop(slot)
        reference = actor.run.remote(self._name, self._make, self._tasks[number])
        self._busy[reference] = actor, _Busy(slot, number, time.monotonic())

    def _take(self, reference: Any) -> Outcome | None:
        """Return the outcome of what has ended; None if it is tried again."""
        actor, busy = self._busy.pop(reference)
        try:
            outcome = ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # raised where the worker was made
            cause = getattr(error, "cause", None) or error
            if isinstance(cause, MedcolorError):
                self._idle[busy.slot] = actor
                raise cause from error
            outcome = Failed(self._tasks[busy.number], one_line(cause))
        except ray.exceptions.RayError as error:
            return self._died(busy, one_line(error))
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
        self._runner.count("retries", 1)
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


def _connect(address: str, workers: int | None) -> None:
    """Join the cluster at `address`, or start a Ray where it is empty."""
    if not address:
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            logging_level=logging.WARNING,
        )
        return
    try:
        # Ray itself waits for ever for a cluster that is gone.
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        ray.init(address=address, logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(
            f"--ray {address}",
            f"no Ray cluster answers there ({one_line(error)})",
            "Give HOST:PORT as 'ray start --head' prints it, or 'auto'",
        ) from error
