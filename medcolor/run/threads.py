"""Slices side by side in one process, each computed by a single thread.

Splitting one convolution over threads would round differently with their number;
slices side by side do not, and cost less.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

import cv2
import torch

T = TypeVar("T")
L = TypeVar("L")
R = TypeVar("R")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Make torch and OpenCV single-threaded inside the block."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


class Loaders(Generic[T, L]):
    """Threads that load, and what they have begun of what comes next; lives as long as a worker."""

    def __init__(self, threads: int) -> None:
        """Take one more than `threads`, as `overlapped` does."""
        self.pool = ThreadPoolExecutor(threads + 1)
        self._items: list[T] = []
        self._begun: deque[Future[L]] = deque()

    def keep(self, items: Sequence[T], begun: Iterable[Future[L]]) -> None:
        """Keep what was begun of the first of some items."""
        self.drop()
        self._items, self._begun = list(items), deque(begun)

    def take(self, items: Sequence[T]) -> deque[Future[L]]:
        """Return what was begun of just these items; of others nothing is kept."""
        if self._items != list(items):
            self.drop()
        found, self._begun, self._items = self._begun, deque(), []
        return found

    def drop(self) -> None:
        """Forget it."""
        while self._begun:
            self._begun.pop().cancel()


def overlapped(
    items: Sequence[T],
    load: Callable[[T], L],
    work: Callable[[L], R],
    save: Callable[[R], None],
    threads: int,
    *,
    loaders: Loaders[T, L] | None = None,
    following: Sequence[T] = (),
) -> None:
    """Work on items, `threads` at a time, while others are being loaded and saved.

    No more than `threads` + 1 are loaded and not yet worked on, and as many worked on and not yet
    saved: memory does not grow with the items.

    Args:
        items: What is worked on.
        load: The first step, by a thread of its own.
        work: The second.
        save: The last.
        threads: That work.
        loaders: Where loading has perhaps begun already; by default new ones.
        following: What will come next, perhaps: where there is room, it is loaded, too, and kept
            by the loaders.
    """
    ahead = threads + 1
    own = loaders or Loaders[T, L](threads)
    loading = own.take(items)
    left, working = len(items), deque[Future[R]]()
    saving: deque[Future[None]] = deque()
    waiting = iter([*items[len(loading) :], *(following if loaders else ())])
    with (
        one_thread_each(),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers,
        ThreadPoolExecutor(ahead) as savers,
    ):
        try:
            some = islice(waiting, ahead - len(loading))
            loading.extend(own.pool.submit(load, item) for item in some)
            while left or working:
                while left and len(working) < threads:
                    working.append(workers.submit(work, loading.popleft().result()))
                    left -= 1
                    loading.extend(own.pool.submit(load, item) for item in islice(waiting, 1))
                saving.append(savers.submit(save, working.popleft().result()))
                if len(saving) > ahead:
                    saving.popleft().result()
            while saving:
                saving.popleft().result()
            own.keep(following, loading)
            loading = deque()
        finally:  # after an error nobody needs the rest
            rest: list[Future[Any]] = [*loading, *working, *saving]
            for one in rest:
                one.cancel()
            if loaders is None:
                own.pool.shutdown()


def map_slices(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """Apply `function` to every item, `threads` at a time; results keep the order."""
    with one_thread_each():
        if threads == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, items))
