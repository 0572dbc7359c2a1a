"""How far a run is: a bar on a terminal, JSON lines elsewhere, nothing in the library."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

_LINE_EVERY_S = 5.0


@runtime_checkable
class ProgressReport(Protocol):
    """Told how far the run is."""

    def begin(self, stage: str, total: int) -> None:
        """Start a stage of `total` slices, frames or photographs."""

    def advance(self, count: int) -> None:
        """Some more of the stage are done."""


class Silent:
    """Says nothing: the library's default."""

    def begin(self, stage: str, total: int) -> None:
        """Ignore."""

    def advance(self, count: int) -> None:
        """Ignore."""


class JsonLines:
    """One line on standard error when a stage begins and ends, and every few seconds between."""

    def __init__(self) -> None:
        """Start the clock."""
        self._begin = time.monotonic()
        self._last = 0.0
        self._stage, self._done, self._total = "", 0, 0

    def begin(self, stage: str, total: int) -> None:
        """Start a stage."""
        self._stage, self._done, self._total = stage, 0, total
        self._print()

    def advance(self, count: int) -> None:
        """Count, and say so unless the last line is young."""
        self._done += count
        if self._done >= self._total or time.monotonic() - self._last > _LINE_EVERY_S:
            self._print()

    def _print(self) -> None:
        self._last = time.monotonic()
        line = {
            "stage": self._stage,
            "done": self._done,
            "total": self._total,
            "elapsed_s": round(self._last - self._begin, 1),
        }
        print(json.dumps(line), file=sys.stderr, flush=True)


class TerminalBar:
    """A bar for each stage."""

    def __init__(self) -> None:
        """Draw on standard error, so that standard output stays for results."""
        self._bars = Progress(
            TextColumn("{task.description:>10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> TerminalBar:
        """Show."""
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the finished bars on the screen."""
        self._bars.stop()

    def begin(self, stage: str, total: int) -> None:
        """Start a stage."""
        self._task = self._bars.add_task(stage, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.advance(self._task, count)
