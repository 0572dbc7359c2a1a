"""Prepared photographs that several slices share, within a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from medcolor.colorize import PreparedReference
from medcolor.reference.library import ReferenceRecord


class ReferenceCache:
    """Keeps the references used last; threads share it."""

    def __init__(
        self, prepare: Callable[[ReferenceRecord], PreparedReference], budget_mb: int
    ) -> None:
        """Start empty.

        Args:
            prepare: Makes a reference of its record.
            budget_mb: Memory to keep; the newest is kept whatever it takes.
        """
        self._prepare, self._budget = prepare, budget_mb * 2**20
        self._kept: OrderedDict[str, PreparedReference] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, record: ReferenceRecord) -> PreparedReference:
        """Return a reference ready to match."""
        name = record.reference_id
        with self._lock:  # threads that want the same one wait instead of making it twice
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
            prepared = self._kept[name] = self._prepare(record)
            while len(self._kept) > 1 and sum(r.nbytes for r in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)
            return prepared
