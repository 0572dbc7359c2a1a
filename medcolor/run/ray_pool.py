"""The same tasks on Ray actors: connecting, counting, and who does which kind of work.

`ray_stage.py` gives tasks to actors; these two import Ray. Actors live on from stage to stage and
from volume to volume, since starting one takes longer than loading a network. Pixels never travel
through Ray.
"""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from medcolor.errors import MedcolorError, RunError
from medcolor.extras import require
from medcolor.run.metrics import METRICS, Kind
from medcolor.run.nodes import LABEL, Crew, Node, crews_of, refuse_unknown_labels, threads_of
from medcolor.run.tasks import Outcome, Work, Worker, one_line

try:
    import ray
    from ray.util import metrics
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from medcolor.run.ray_stage import Pool, Stage
except ModuleNotFoundError:
    require("ray", "Ray", "a cluster")
    raise

_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 200_000_000
"""For a Ray started here: reports are small, the default share of memory is not needed."""

_PROBE_S = 120.0
T = TypeVar("T")


def nodes_now() -> dict[str, Node]:
    """Return the nodes of the cluster that have CPUs or GPUs to give, by Ray's identifiers.

    Raises:
        InputError: The label of one names no work.
    """
    found = {}
    for one in ray.nodes():
        cpus, gpus = (int(one["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
        if one["Alive"] and (cpus or gpus):
            name = f"{one.get('NodeManagerAddress') or 'of Ray'} ({one['NodeID'][:6]})"
            label = (one.get("Labels") or {}).get(LABEL, "")
            found[one["NodeID"]] = Node(name, cpus, gpus, label)
    refuse_unknown_labels(list(found.values()))
    return found


def _probe(probe: Callable[[], Any]) -> Any:
    return probe()


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
            workers: Actors that colour; by default one for each GPU, or each share of one, that
                the cluster has; if it has none, for each CPU.
            gpu_share: Of a GPU, for each actor, in (0, 1].
            uses_gpus: Whether actors hold GPUs; None: if the cluster has any by now.
            patience_s: After which a task that has not ended counts as stuck.

        Raises:
            RunError: No cluster answers; or GPUs are asked for, none is there yet, and how many
                workers there will be is not said.
            InputError: The label of a node names no work.
        """
        if not ray.is_initialized():
            found = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
            _connect(found, workers)
        nodes = [*nodes_now().values()]
        gpus = sum(node.gpus for node in nodes if node.does("color"))
        holds = gpus > 0 if uses_gpus is None else uses_gpus
        if holds and not gpus and workers is None:
            raise RunError(
                f"--ray {address}",
                "compute.device=cuda, and the cluster has no GPU yet",
                "Say how many workers it will have: --workers N",
            )
        crews = crews_of(nodes, workers, gpu_share, uses_gpus=holds)
        self.workers = crews["color"].size
        self.threads = threads_of(nodes, self.workers, gpu_share) if holds else 1
        self._patience_s = patience_s
        pools: dict[Crew, Pool] = {}
        self._pools = {work: pools.setdefault(crew, Pool(crew)) for work, crew in crews.items()}
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
        work: Work = "color",
        is_long: bool = False,
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it ends."""
        if not tasks:
            return
        stage = Stage(
            self._pools[work],
            make_worker,
            tasks,
            math.inf if is_long else self._patience_s,
            make_room=self.release,
            observe=self.observe,
            count=self.count,
        )
        try:
            yield from stage
        finally:
            stage.end()

    def on_every_node(self, probe: Callable[[], T], *works: Work) -> dict[str, T]:
        """Call `probe` once on every node that has CPUs or GPUs to give, or does such work."""
        asked = {}
        for node_id, node in nodes_now().items():
            if not works or any(node.does(work) for work in works):
                where = NodeAffinitySchedulingStrategy(node_id, soft=False)
                call = ray.remote(num_cpus=0, max_retries=0)(_probe)
                answer = call.options(scheduling_strategy=where).remote(probe)
                asked[node.name] = node_id, answer
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

    def count(self, name: str, value: float | int, **tags: str) -> None:
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
