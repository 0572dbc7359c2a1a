"""Slices side by side in one process, each computed by a single thread.

Splitting one convolution over threads would round differently with their number;
slices side by side do not, and cost less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2
import torch

T = TypeVar("T")
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


def map_slices(function: Callable[[T], R], items: Iterable[T], threads: int) -> list[R]:
    """Apply `function` to every item, `threads` at a time; results keep the order."""
    with one_thread_each():
        if threads == 1:
            return [function(item) for item in items]
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, items))
