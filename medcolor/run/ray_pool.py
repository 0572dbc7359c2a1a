"""The same tasks on Ray actors: the only importer of ray.

One task in flight an actor: a task queued behind one that kills its actor would
die with it. A dead actor is replaced and its task repeated; a task that fails
ATTEMPTS times is given up alone. Actors live on from stage to stage of a run, since
starting one takes longer than loading a network. Pixels never travel through Ray.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray

from medcolor.errors import RunError
from medcolor.run.tasks import ATTEMPTS, Done, Failed, Outcome, Worker, is_final, one_line

_log = logging.getLogger(__name__)
_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 200_000_000
"""For a Ray started here: reports are small, the default share of memory is not needed."""


class _Worker:
    """Holds the worker of one stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._worker: Worker | None = None

    def run(self, stage: str, make_worker: Callable[[], Worker], task: Any) -> Any:
        if self._worker is None or stage != self._stage:
            self._worker = None  # its memory goes before the next one's comes
            self._worker, self._stage = make_worker(), stage
        return self._worker(task)


_Actor: Any = ray.remote(num_cpus=1)(_Worker)


class RayRunner:
    """Runs tasks on actors of a Ray cluster, or of a Ray started on this machine."""

    is_local = False

    def __init__(self, address: str, workers: int | None) -> None:
        """Connect.

        Args:
            address: HOST:PORT of a cluster, or `auto`: the cluster of RAY_ADDRESS, which
                Ray sets inside a submitted job, else a Ray of this run's own.
            workers: Actors; by default one for each CPU of the cluster.

        Raises:
            RunError: If no cluster answers.
        """
        if not ray.is_initialized():
            found = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
            _connect(found, workers)
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._kept: list[Any] = []

    def release(self) -> None:
        """End the actors that are kept from one `run` to the next; the driver's end does, too."""
        while self._kept:
            ray.kill(self._kept.pop())

    def run(self, make_worker: Callable[[], Worker], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Yield the outcome of every task as it ends."""
        waiting = list(reversed(list(enumerate(tasks))))
        failures: Counter[int] = Counter()
        busy: dict[Any, tuple[Any, int]] = {}
        stage, make = uuid.uuid4().hex, ray.put(make_worker)
        wanted = min(self.workers, len(tasks))
        idle, self._kept = self._kept[:wanted], self._kept[wanted:]
        # A kept one may have died with its node meanwhile: no task is to blame for that.
        unproven = {id(actor) for actor in idle}
        idle += [_Actor.remote() for _ in range(wanted - len(idle))]
        try:
            while waiting or busy:
                while waiting and idle:
                    number, task = waiting.pop()
                    actor = idle.pop()
                    busy[actor.run.remote(stage, make, task)] = actor, number
                (ready, *_), _ = ray.wait(list(busy), num_returns=1)
                actor, number = busy.pop(ready)
                try:
                    report = ray.get(ready)
                except ray.exceptions.RayError as error:
                    cause = getattr(error, "cause", None) or error
                    if is_final(cause):
                        raise cause from error
                    died = not isinstance(error, ray.exceptions.RayTaskError)
                    idle.append(_Actor.remote() if died else actor)
                    failures[number] += not (died and id(actor) in unproven)
                    unproven.discard(id(actor))
                    _log.warning("task %s failed: %s", tasks[number], one_line(cause))
                    if failures[number] < ATTEMPTS:
                        waiting.append((number, tasks[number]))
                    else:
                        yield Failed(tasks[number], one_line(cause))
                    continue
                unproven.discard(id(actor))
                idle.append(actor)
                yield Done(tasks[number], report)
        finally:
            self._kept += idle
            for actor, _ in busy.values():
                ray.kill(actor)


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
