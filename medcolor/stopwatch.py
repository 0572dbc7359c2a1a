"""Seconds by stage, added up over slices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the time spent in named stages; several threads may share one."""

    def __init__(self) -> None:
        """Start empty."""
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time spent in the `with` block to `stage`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - begin
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed
