"""What slices cost, and the passes of a run in virtual time; `simulate_node.py` shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from virtual_time import Clock, Future, Loaders, Process, Server, map_slices, overlapped

from medcolor.run.batches import fewest_launches
from medcolor.run.nodes import Node, crews_of, threads_of
from medcolor.run.placement import Placement
from medcolor.run.tasks import Work


@dataclass(frozen=True)
class Costs:
    """Of a slice of 512 x 512, three photographs, 448 px, embedded network; seconds and bytes.

    Measured (CPU): a thread's own time inside the workers, two-core AMD EPYC, 2026-11-27. Measured
    (H100): `check_gpu.py throughput`, LOG.md of 2026-11-27.
    """

    reading_s: float = 0.031
    """Decoding a slice, its window and body. Measured (CPU)."""

    features_s: float = 0.0032
    """The GPU's thread, host work included. Measured (H100)."""

    matching_s: float = 0.0008
    """Three photographs, 24 pairs at once. Measured (H100)."""

    voting_s: float = 0.0004
    """Measured (H100)."""

    counting_s: float = 0.002
    """Of votes, each time. Assumed: on the GPU it is not measured (a CPU takes 0.023 to 0.030)."""

    painting_s: float = 0.002
    """The model on the scan's structure. Assumed: on the GPU it is not measured (a CPU: 0.050)."""

    describing_s: float = 0.003
    """What of the scan goes with the votes. Measured (CPU)."""

    packing_s: float = 0.0075
    """Votes of a slice into a file, digest included. Measured (CPU)."""

    unpacking_s: float = 0.007
    """And back. Measured (CPU)."""

    composing_s: float = 0.010
    """From the model's colours to RGBA. Measured (CPU)."""

    compressing_s: float = 0.010
    """Of a slice of a shard. Assumed: real voxels, zstd; drawn ones take 0.001."""

    sums_s: float = 0.11
    """Of a slab: its votes' sums compressed, by one thread. Measured (CPU)."""

    coarsening_s: float = 0.007
    """Coarser levels, for each slice of the finest. Measured (CPU)."""

    photograph_s: float = 0.3
    """Decoding a photograph and finding its body. Assumed: 0.11 measured (CPU) at 600 px square."""

    fc6_s: float = 0.001
    """Describing a slice, by the GPU. Assumed."""

    fit_s: float = 7.0
    """Of a draft, and of the model, by the driver. Measured (CPU) for a body of 1878 slices."""

    ready_s: float = 10.0
    """Network loaded, kernels compiled, once a worker. Measured (H100: the first batch)."""

    task_s: float = 0.005
    """Between a worker's slabs. Assumed."""

    scan_bytes: float = 0.52e6
    """Of a slice, compressed little; copied once a node. Arithmetic."""

    votes_bytes: float = 4.6e6
    """Of a slice, written once and read once. Measured."""

    rgba_bytes: float = 0.4e6
    """Of a slice, compressed. Assumed: 1.05 MB raw."""

    photograph_bytes: float = 5e6
    """Assumed."""

    lock_share: float = 0.3
    """Of CPU stages, the part under Python's lock, which one thread of a process has at a time.
    Read off one figure: an H100 with 16 threads made 29 slices/s where a slice took 111 ms."""


@dataclass(frozen=True)
class Site:
    """Machines, and what they work on."""

    gpus: int = 1
    gpus_a_node: int = 1
    cores_a_gpu: int = 16
    gpu_share: float = 1.0
    bucket_bytes_s: float = float("inf")
    """All that nodes read and write, together."""

    slices: int = 1878
    slab_slices: int = 32
    pairs: int = 24
    reads_ahead: bool = True
    """Whether slices of the next slab are read while the last of one are matched."""

    photographs_a_slice: float = 0.2
    """New ones: 1 mm slices and photographs 5 mm apart."""

    @property
    def nodes(self) -> list[Node]:
        """As Ray sees them."""
        per_node = [
            min(self.gpus_a_node, self.gpus - first)
            for first in range(0, self.gpus, self.gpus_a_node)
        ]
        return [Node(str(n), self.cores_a_gpu * gpus, gpus) for n, gpus in enumerate(per_node)]


@dataclass(frozen=True)
class Pass:
    """What a pass of a run took, and how busy it kept what it used."""

    name: str
    seconds: float
    busy: dict[str, float]
    """Share of the time, 0..1, in which GPU, cores, lock (of a process) and bucket had work."""

    @property
    def bound(self) -> str:
        """What was busiest; nothing, where a single thread worked."""
        name, share = max(self.busy.items(), key=lambda one: one[1], default=("driver", 1.0))
        return name if share >= 0.85 else f"waits ({name} {share:.0%})"


@dataclass
class _Worker:
    """A process on a GPU."""

    gpu: Server
    cores: Server
    lock: Server
    copied: Future
    """Of the scan, to its node."""

    loaders: Loaders[range]


Slab = Callable[[_Worker, range, range, bool], Process]
"""What a worker does with a slab, which one will follow, and whether it lies beside its last."""


@dataclass
class Run:
    """A body, coloured by workers in virtual time."""

    site: Site
    costs: Costs
    passes: list[Pass] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return sum(one.seconds for one in self.passes)

    @property
    def slices_a_second(self) -> float:
        """Of the whole run."""
        return self.site.slices / self.seconds

    def __post_init__(self) -> None:
        """Play it."""
        costs = self.costs
        self._pass("describe", self._described)
        self._alone("ready", costs.ready_s)
        self._pass("match", self._matched)
        self._alone("fit", costs.fit_s)
        self._pass("count", self._counted)
        self._alone("fit", costs.fit_s)
        self._pass("color", self._colored)
        self._pass("pyramid", self._coarsened, "light")

    def _alone(self, name: str, seconds: float) -> None:
        self.passes.append(Pass(name, seconds, {}))

    def _pass(self, name: str, slab: Slab, work: Work = "color") -> None:
        """Have all slabs done, as the product's crews and placement have it."""
        site, nodes = self.site, self.site.nodes
        self._clock, self._bucket = Clock(), Server("bucket", 1)
        crews = crews_of(nodes, None, site.gpu_share, uses_gpus=True)
        crew = crews[work]
        self._threads = threads_of(nodes, crews["color"].size, site.gpu_share)
        each = [self._workers(node, is_new=not self.passes) for node in nodes]
        workers = [next(each[number % len(each)]) for number in range(crew.size)]
        slabs = [
            range(first, min(first + site.slab_slices, site.slices))
            for first in range(0, site.slices, site.slab_slices)
        ]
        placement = Placement(len(slabs), min(crew.size, len(slabs)))
        for number, worker in enumerate(workers[: len(slabs)]):
            self._clock.start(self._work(worker, number, placement, slabs, slab))
        self._clock.run()
        servers = [*{id(w.gpu): w.gpu for w in workers}.values()]
        servers += [*{id(w.cores): w.cores for w in workers}.values()]
        servers += [worker.lock for worker in workers] + [self._bucket]
        self.passes.append(Pass(name, self._clock.now, _shares(servers, self._clock.now)))

    def _workers(self, node: Node, *, is_new: bool) -> Iterator[_Worker]:
        """Yield workers of a node without end; in the first pass each waits for its node's copy."""
        cores, bytes_there = Server("cores", node.cpus), self.site.slices * self.costs.scan_bytes
        copied = self._clock.start(self._transfer(bytes_there if is_new else 0.0))
        for gpu in cycle([Server("GPU", 1) for _ in range(node.gpus)]):
            loaders = Loaders[range](self._clock, self._threads)
            yield _Worker(gpu, cores, Server("lock", 1), copied, loaders)

    def _work(
        self,
        worker: _Worker,
        number: int,
        placement: Placement,
        slabs: Sequence[range],
        slab: Slab,
    ) -> Process:
        """Do slabs until none is left."""
        yield worker.copied
        last = -2
        while (taken := placement.take(number)) is not None:
            yield [(None, self.costs.task_s)]
            after = placement.peek(number)
            following = range(0) if after is None else slabs[after]
            yield from slab(worker, slabs[taken], following, taken == last + 1)
            last = taken

    def _transfer(self, count: float) -> Process:
        yield [(self._bucket, count / self.site.bucket_bytes_s)]

    def _compute(self, worker: _Worker, seconds: float) -> Process:
        """Take a core for some seconds, and the lock for a part of them."""
        yield [(worker.cores, seconds), (worker.lock, self.costs.lock_share * seconds)]

    def _described(self, worker: _Worker, slices: range, _after: range, _is_next: bool) -> Process:
        def one(_z: int) -> Process:
            yield from self._compute(worker, self.costs.reading_s)
            yield [(worker.gpu, self.costs.fc6_s)]

        yield from map_slices(self._clock, slices, one, self._threads)

    def _matched(self, worker: _Worker, slices: range, following: range, is_next: bool) -> Process:
        costs = self.costs
        batches, after = self._batches(slices), self._batches(following)

        def load(batch: range) -> Process:
            yield from self._compute(worker, len(batch) * costs.reading_s)
            is_jump = batch.start == slices.start and not is_next
            fresh = 2 if is_jump else 0
            per_slice = self.site.photographs_a_slice
            fresh += int(batch.stop * per_slice) - int(batch.start * per_slice)
            for _ in range(fresh):
                yield from self._transfer(costs.photograph_bytes)
                yield from self._compute(worker, costs.photograph_s)
                yield [(worker.gpu, costs.features_s)]

        def match(batch: range) -> Process:
            seconds = costs.features_s + costs.matching_s + costs.voting_s
            yield [(worker.gpu, len(batch) * seconds)]
            yield from self._compute(worker, len(batch) * costs.describing_s)
            yield [(worker.gpu, len(batch) * costs.counting_s)]

        def save(batch: range) -> Process:
            yield from self._compute(worker, len(batch) * costs.packing_s)
            yield from self._transfer(len(batch) * costs.votes_bytes)

        ahead = (worker.loaders, after) if self.site.reads_ahead else ()
        yield from overlapped(self._clock, batches, load, match, save, self._threads, *ahead)
        yield from self._compute(worker, costs.sums_s)

    def _batches(self, slices: range) -> list[range]:
        runs = fewest_launches([3] * len(slices), self.site.pairs)
        return [slices[run.start : run.stop] for run in runs]

    def _counted(self, worker: _Worker, slices: range, _after: range, _is_next: bool) -> Process:
        def one(_z: int) -> Process:
            yield from self._transfer(self.costs.votes_bytes)
            yield from self._compute(worker, self.costs.unpacking_s)
            yield [(worker.gpu, self.costs.counting_s)]

        yield from map_slices(self._clock, slices, one, self._threads)
        yield from self._compute(worker, self.costs.sums_s)

    def _colored(self, worker: _Worker, slices: range, _after: range, _is_next: bool) -> Process:
        def one(_z: int) -> Process:
            yield from self._compute(worker, self.costs.reading_s)
            yield [(worker.gpu, self.costs.painting_s)]
            yield from self._compute(worker, self.costs.composing_s)

        yield from map_slices(self._clock, slices, one, self._threads)
        yield from self._compute(worker, len(slices) * self.costs.compressing_s)
        yield from self._transfer(len(slices) * self.costs.rgba_bytes)

    def _coarsened(self, worker: _Worker, slices: range, _after: range, _is_next: bool) -> Process:
        yield from self._transfer(len(slices) * self.costs.rgba_bytes)
        yield from self._compute(worker, len(slices) * self.costs.coarsening_s)


def _shares(servers: Sequence[Server], seconds: float) -> dict[str, float]:
    """Return how busy servers of each name were, in the mean."""
    found = {}
    for name in ("GPU", "cores", "lock", "bucket"):
        some = [one for one in servers if one.name == name]
        places = sum(one.places for one in some)
        found[name] = sum(one.busy_s for one in some) / (places * seconds) if seconds else 0.0
    return found
