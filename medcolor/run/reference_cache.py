"""Prepared photographs that several slices share, within a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from medcolor.prepared import PreparedReference
from medcolor.reference.library import ReferenceRecord


class ReferenceCache:
    """Keeps the references used last; threads share it."""

    def __init__(
        self,
        prepare: Callable[[Sequence[ReferenceRecord]], list[PreparedReference]],
        budget_mb: int,
    ) -> None:
        """Start empty.

        Args:
            prepare: Makes references of their records.
            budget_mb: Memory to keep; what was asked for last is kept whatever it takes.
        """
        self._prepare, self._budget = prepare, budget_mb * 2**20
        self._kept: OrderedDict[str, Future[PreparedReference]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, records: Sequence[ReferenceRecord]) -> list[PreparedReference]:
        """Return references ready to match.

        Those that nobody has asked for yet are made here, together; for those that another thread
        is making, this one waits.
        """
        missing: dict[str, ReferenceRecord] = {}
        with self._lock:
            for record in records:
                name = record.reference_id
                if name not in self._kept:
                    self._kept[name], missing[name] = Future(), record
                self._kept.move_to_end(name)
            wanted = {record.reference_id: self._kept[record.reference_id] for record in records}
        if missing:
            self._make(missing, wanted)
        prepared = [wanted[record.reference_id].result() for record in records]
        self._make_room(len(wanted))
        return prepared

    def _make(
        self, missing: dict[str, ReferenceRecord], promised: dict[str, Future[PreparedReference]]
    ) -> None:
        """Make references; if that fails, those who wait learn why, and others may try again."""
        try:
            made = self._prepare(list(missing.values()))
        except BaseException as error:
            with self._lock:
                for name in missing:
                    del self._kept[name]  # nobody else has: it was not there yet
            for name in missing:
                promised[name].set_exception(error)
            raise
        for name, reference in zip(missing, made, strict=True):
            promised[name].set_result(reference)

    def _make_room(self, newest: int) -> None:
        """Forget what was used longest ago, but for the newest."""
        with self._lock:
            taken = {name: one.result().nbytes for name, one in self._kept.items() if one.done()}
            for name in list(self._kept)[:-newest]:
                if name in taken and sum(taken.values()) > self._budget:
                    del self._kept[name], taken[name]
