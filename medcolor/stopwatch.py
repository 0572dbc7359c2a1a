"""Seconds by stage, added up over slices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from medcolor.gpu import events_around, seconds_between


class Stopwatch:
    """Adds up the time spent in named stages; several threads may share one."""

    def __init__(self) -> None:
        """Start empty."""
        self._seconds: dict[str, float] = {}
        self._marks: list[tuple[str, Any, Any]] = []
        # Of a stage on a GPU: events at both ends.
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str, device: torch.device | None = None) -> Iterator[None]:
        """Add the time spent in the `with` block to `stage`.

        Args:
            stage: Any name.
            device: Where the block's work is done, if not here: of a GPU, to which work is only
                handed in the block, the time between both ends is measured there.
        """
        if device is not None and device.type == "cuda":
            with events_around(partial(self._mark, stage)):
                yield
            return
        begin = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - begin
            with self._lock:
                self._add(stage, elapsed)

    def _mark(self, stage: str, begun: Any, done: Any) -> None:
        with self._lock:
            self._marks.append((stage, begun, done))

    @property
    def seconds(self) -> dict[str, float]:
        """By stage; waits for what a GPU has not done yet."""
        with self._lock:
            while self._marks:
                stage, begun, done = self._marks.pop(0)
                self._add(stage, seconds_between(begun, done))
            return dict(self._seconds)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what another has measured, by stage."""
        with self._lock:
            for stage, value in seconds.items():
                self._add(stage, value)

    def _add(self, stage: str, seconds: float) -> None:
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
