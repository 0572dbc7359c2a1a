"""What work on a GPU asks for beside the arithmetic: kernels, copies nobody waits for, one thread.

Tensors of the meta device, which have a shape and no values, go the same way: tests follow the
whole path of a GPU on it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from inspect import unwrap
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

_log = logging.getLogger(__name__)
_THREAD = threading.local()
_UNREAD = 1000
"""Pieces of work whose time is looked up together, at most."""

T = TypeVar("T")
_PLAIN = 2
"""Times that an action is done before it is recorded: kernels compile, libraries make plans."""


def kernel(*sizes: str) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes a Triton kernel, or a function that kernels call.

    Args:
        sizes: Numbers it takes for whose values it is not compiled anew.
    """

    def compile_on_use(function: Callable[..., Any]) -> Any:
        import triton  # CPUs need none

        # Without what tests check annotations with.
        return triton.jit(unwrap(function), do_not_specialize=sizes)

    return compile_on_use


def launch(
    program: Any, grid: tuple[int, ...], *inputs: Tensor | float | int, **constants: Any
) -> None:
    """Start a Triton kernel where its first input lies; on the meta device nothing is computed.

    Args:
        program: A kernel, compiled on first use for each set of constants.
        grid: Programs along up to three axes.
        inputs: Tensors and numbers, in the kernel's order.
        constants: What it is compiled for, and `num_warps`.
    """
    first = inputs[0]
    if isinstance(first, Tensor) and first.device.type != "meta":
        program[grid](*inputs, **constants)


def on_device(device: torch.device, work: Callable[[], T]) -> T:
    """Return what `work` returns; one thread, as long as the process lives, does all of a GPU's.

    Threads side by side would launch no faster, as Python runs one of them, and would hold the
    memory of several batches. Plans of convolutions and handles of libraries are kept by thread:
    new threads would make them anew. Elsewhere `work` is done here, and nobody waits.

    Args:
        device: Where `work` computes.
        work: May itself call this.
    """
    if device.type != "cuda" or getattr(_THREAD, "is_gpus", False):
        return work()
    are_kept = torch.is_grad_enabled()  # a thread's own

    def timed() -> T:
        with torch.set_grad_enabled(are_kept), events_around(_BUSY.add):
            return work()

    return _gpu_thread().submit(timed).result()


def busy_seconds() -> float:
    """Return the seconds that this process's GPU has worked, and wait for what it has not done.

    They are those from the first to the last kernel of each piece of work of `on_device`.
    """
    return _BUSY.seconds()


@contextmanager
def events_around(keep: Callable[[Any, Any], None]) -> Iterator[None]:
    """Mark on a GPU where the work of a `with` block begins and ends, and hand over both marks."""
    event: Any = torch.cuda.Event
    begun, done = event(enable_timing=True), event(enable_timing=True)
    begun.record()
    try:
        yield
    finally:
        done.record()
        keep(begun, done)


def seconds_between(begun: Any, done: Any) -> float:
    """Return the seconds from one mark to the other, and wait until a GPU is there."""
    done.synchronize()
    return float(begun.elapsed_time(done)) / 1000


class _Busy:
    """Adds up the time between pairs of events."""

    def __init__(self) -> None:
        self._marks: deque[tuple[Any, Any]] = deque()
        self._seconds = 0.0
        self._lock = threading.Lock()

    def add(self, begun: Any, done: Any) -> None:
        with self._lock:
            self._marks.append((begun, done))
            self._read(_UNREAD)

    def seconds(self) -> float:
        with self._lock:
            self._read(0)
            return self._seconds

    def _read(self, left: int) -> None:
        while len(self._marks) > left:
            self._seconds += seconds_between(*self._marks.popleft())


_BUSY = _Busy()


@lru_cache(maxsize=1)
def _gpu_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="gpu", initializer=_begin_gpu_thread)


def _begin_gpu_thread() -> None:
    _THREAD.is_gpus = True
    torch.set_num_threads(1)  # as every thread that computes slices


def upload(array: Shaped[np.ndarray, ...], device: torch.device) -> Shaped[Tensor, ...]:
    """Return an array as a tensor on a device; to a GPU it travels from pinned memory."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # torch keeps and reuses these pages
    return tensor.to(device, non_blocking=True)


@dataclass(frozen=True)
class Download:
    """A tensor on its way to the host."""

    _here: Tensor
    _arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, tensor: Shaped[Tensor, ...]) -> Download:
        """Begin one copy into pinned memory; what lies on the host already stays where it is."""
        if tensor.device.type != "cuda":
            return cls(tensor, None)
        here = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        here.copy_(tensor, non_blocking=True)
        arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        arrived.record()
        return cls(here, arrived)

    def wait(self) -> Shaped[np.ndarray, ...]:
        """Return it once it is here; other threads go on meanwhile."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return np.asarray(self._here.numpy())


def repeat(action: Callable[[], None], times: int, device: torch.device) -> None:
    """Do the same several times; on a GPU from the third on as a CUDA graph.

    So many small operators as an optimiser takes cost more to hand over than to compute.

    Args:
        action: Changes tensors in place, and nothing else, reads nothing back, and does the same
            every time.
        times: How often.
        device: Where the tensors lie.
    """
    plain = min(times, _PLAIN) if device.type == "cuda" else times
    for _ in range(plain):
        action()
    if times > plain:
        _replay(action, times - plain)


def _replay(action: Callable[[], None], times: int) -> None:
    """Record an action and replay it; an action that cannot be recorded is done plainly."""
    graph, new_stream = torch.cuda.CUDAGraph(), torch.cuda.Stream
    stream = new_stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(stream):
            # Other threads may call CUDA meanwhile.
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                action()
            finally:
                graph.capture_end()
    except RuntimeError as error:
        _log.warning("no CUDA graph (%s): slower, with the same results", error)
        for _ in range(times):
            action()
        return
    torch.cuda.current_stream().wait_stream(stream)
    for _ in range(times):
        graph.replay()
    torch.cuda.current_stream().synchronize()  # the graph's memory goes with it


def compute_repeatably(*, tf32: bool = False) -> None:
    """Make the order of additions the same every time, in this process.

    cuDNN would else choose an algorithm by racing, or one whose additions come in any order.

    Args:
        tf32: Whether products of float32 keep ten bits of its fraction, as tensor cores do fast.
    """
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
