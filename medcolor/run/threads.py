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
from typing import Any, TypeVar

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


def overlapped(
    items: Sequence[T],
    load: Callable[[T], L],
    work: Callable[[L], R],
    save: Callable[[R], None],
    threads: int,
) -> None:
    """Work on items, `threads` at a time, while others are being loaded and saved.

    No more than `threads` + 1 are loaded and not yet worked on, and as many worked on and not yet
    saved: memory does not grow with the items.
    """
    ahead = threads + 1
    loading: deque[Future[L]] = deque()
    working: deque[Future[R]] = deque()
    saving: deque[Future[None]] = deque()
    waiting = iter(items)
    with (
        one_thread_each(),
        ThreadPoolExecutor(ahead) as loaders,
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as workers,
        ThreadPoolExecutor(ahead) as savers,
    ):
        try:
            loading.extend(loaders.submit(load, item) for item in islice(waiting, ahead))
            while loading or working:
                while loading and len(working) < threads:
                    working.append(workers.submit(work, loading.popleft().result()))
                    loading.extend(loaders.submit(load, item) for item in islice(waiting, 1))
                saving.append(savers.submit(save, working.popleft().result()))
                if len(saving) > ahead:
                    saving.popleft().result()
            while saving:
                saving.popleft().result()
        finally:  # after an error nobody needs the rest
            rest: list[Future[Any]] = [*loading, *working, *saving]
            for one in rest:
                one.cancel()


def map_slices(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """Apply `function` to every item, `threads` at a time; results keep the order."""
    with one_thread_each():
        if threads == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, items))
