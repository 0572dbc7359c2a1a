"""What a finished slab tells, and the clock that measures it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field

import torch

from medcolor.config import RunSettings
from medcolor.gpu import busy_seconds
from medcolor.run.hardware import gpu_limit_bytes
from medcolor.run.plan import SlabTask
from medcolor.stopwatch import Stopwatch


@dataclass(frozen=True)
class SlabReport:
    """What a finished slab tells."""

    slices: int
    seconds: dict[str, float]
    """By stage, added up over slices."""

    voxel_bytes: int = 0
    """Written, uncompressed."""

    gpu_bytes: int = 0
    """Most GPU memory that the worker's tensors have taken; 0 without a GPU."""

    halvings: int = 0
    """How often GPU memory did not hold the pairs that were to be matched at once."""

    gpu_busy_s: float = 0.0
    """Seconds from the first to the last kernel of what a GPU was given, added up."""

    gpu_starved_s: float = 0.0
    """Seconds of the slab in which the GPU had nothing to do; 0 without one."""

    gpu_limit_bytes: int = 0
    """GPU memory that the worker's tensors may take; 0 without a GPU."""

    node: str = field(default_factory=socket.gethostname)


class Clock:
    """Of a slab: begun as it is."""

    def __init__(self, settings: RunSettings) -> None:
        """Begin."""
        self._settings = settings
        self._on_gpu = settings.compute.device == "cuda"
        self._busy_before = busy_seconds() if self._on_gpu else 0.0
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since it was begun."""
        return time.perf_counter() - self._begin

    def report(self, task: SlabTask, stopwatch: Stopwatch, voxel_bytes: int = 0) -> SlabReport:
        """Return what the slab took."""
        slices, seconds = len(task.slices), stopwatch.seconds
        if not self._on_gpu:
            return SlabReport(slices, seconds, voxel_bytes)
        busy = busy_seconds() - self._busy_before
        return SlabReport(
            slices,
            seconds,
            voxel_bytes,
            gpu_bytes=int(torch.cuda.max_memory_allocated()),
            gpu_busy_s=busy,
            gpu_starved_s=max(0.0, self.seconds - busy),
            gpu_limit_bytes=gpu_limit_bytes(self._settings),
        )
