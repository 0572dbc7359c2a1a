"""Processes, pools and servers in virtual time: the smallest simulator that `simulate_node` needs.

A process is a generator. It yields what it waits for: seconds of servers, or another process's end.
Nothing is random, and what is due at one time happens in the order in which it was begun.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class Server:
    """Serves those who come in their order, `places` at a time: cores, a GPU, a bucket's line."""

    def __init__(self, name: str, places: int) -> None:
        """Begin idle."""
        self.name, self.places, self.busy_s = name, places, 0.0
        self._free_at = [0.0] * places

    def serve(self, now: float, seconds: float) -> float:
        """Return when who comes now has been served for some seconds."""
        begin = max(now, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, begin + seconds)
        self.busy_s += seconds
        return begin + seconds


@dataclass
class Future:
    """What a process will have done."""

    is_done: bool = False
    waiting: list[Process] = field(default_factory=list)


Step = Sequence[tuple[Server | None, float]] | Future
"""What a process waits for: seconds of some servers at once, or of nobody's; or another's end."""

Process = Generator[Step, None, None]


class Clock:
    """Lets processes go on at their times."""

    def __init__(self) -> None:
        """Begin at 0 s."""
        self.now = 0.0
        self._queue: list[tuple[float, int, Process]] = []
        self._count = 0

    def start(self, process: Process) -> Future:
        """Begin a process now; return what tells when it has ended."""
        return self.start_for(process, Future())

    def start_for(self, process: Process, future: Future) -> Future:
        """Begin a process now; `future` tells when it has ended."""
        self._at(self.now, self._to_its_end(process, future))
        return future

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self._queue:
            self.now, _, process = heapq.heappop(self._queue)
            self._go_on(process)

    def _served(self, server: Server | None, seconds: float) -> float:
        return self.now + seconds if server is None else server.serve(self.now, seconds)

    def _to_its_end(self, process: Process, future: Future) -> Process:
        yield from process
        future.is_done = True
        for one in future.waiting:
            self._at(self.now, one)

    def _at(self, when: float, process: Process) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, process))

    def _go_on(self, process: Process) -> None:
        for step in process:
            if not isinstance(step, Future):
                self._at(max(self._served(*one) for one in step), process)
                return
            if not step.is_done:
                step.waiting.append(process)
                return


class Pool:
    """Runs what is submitted, `threads` at a time, in order: an executor."""

    def __init__(self, clock: Clock, threads: int) -> None:
        """Begin idle."""
        self._clock, self._idle = clock, threads
        self._queue: deque[tuple[Process, Future]] = deque()

    def submit(self, process: Process) -> Future:
        """Do a process once a thread is free for it; return what tells when it has ended."""
        future = Future()
        self._queue.append((process, future))
        self._fill()
        return future

    def _fill(self) -> None:
        while self._idle and self._queue:
            self._idle -= 1
            process, future = self._queue.popleft()
            self._clock.start_for(self._thread(process), future)

    def _thread(self, process: Process) -> Process:
        yield from process
        self._idle += 1
        self._fill()


class Loaders(Generic[T]):
    """As `medcolor.run.threads.Loaders`."""

    def __init__(self, clock: Clock, threads: int) -> None:
        """Take one more than `threads`."""
        self.pool = Pool(clock, threads + 1)
        self.begun: list[tuple[T, Future]] = []


def overlapped(
    clock: Clock,
    items: Sequence[T],
    load: Callable[[T], Process],
    work: Callable[[T], Process],
    save: Callable[[T], Process],
    threads: int,
    loaders: Loaders[T] | None = None,
    following: Sequence[T] = (),
) -> Process:
    """Do as `medcolor.run.threads.overlapped` does, line by line: queues of the same bounds."""
    ahead = threads + 1
    own = loaders or Loaders[T](clock, threads)
    begun = own.begun if [item for item, _ in own.begun] == [*items[: len(own.begun)]] else []
    loading, own.begun = deque(begun), []
    left, working = len(items), deque[tuple[T, Future]]()
    saving: deque[Future] = deque()
    waiting = deque([*items[len(loading) :], *(following if loaders else ())])
    workers, savers = Pool(clock, threads), Pool(clock, ahead)

    def begin(count: int) -> None:
        for _ in range(min(count, len(waiting))):
            item = waiting.popleft()
            loading.append((item, own.pool.submit(load(item))))

    begin(ahead - len(loading))
    while left or working:
        while left and len(working) < threads:
            item, future = loading.popleft()
            yield future
            working.append((item, workers.submit(work(item))))
            left -= 1
            begin(1)
        item, future = working.popleft()
        yield future
        saving.append(savers.submit(save(item)))
        if len(saving) > ahead:
            yield saving.popleft()
    while saving:
        yield saving.popleft()
    own.begun = list(loading)


def map_slices(
    clock: Clock, items: Sequence[T], function: Callable[[T], Process], threads: int
) -> Process:
    """Do as `medcolor.run.threads.map_slices` does."""
    pool = Pool(clock, threads)
    yield from [pool.submit(function(item)) for item in items]
