"""What the command says beside its results: plain lines on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from medcolor.errors import printable

_FIELDS = ("run", "volume", "stage", "slab")
"""Of a record, where it has them: what it is about."""


class _JsonLine(logging.Formatter):
    """One JSON object a line, as log collectors take it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in _FIELDS if hasattr(record, name)},
        }
        return json.dumps(line)


class _PlainLine(logging.Formatter):
    """A line to be read on a terminal, which nothing in it steers."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(f"{record.levelname}: {record.getMessage()}")


class _ToStandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is by then."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        is_seen = self.stream.isatty()
        self.setFormatter(_PlainLine() if is_seen else _JsonLine())
        super().emit(record)


def log_to_standard_error() -> None:
    """Show warnings and errors of this package; doing so again changes nothing."""
    logger = logging.getLogger("medcolor")
    if not any(isinstance(one, _ToStandardError) for one in logger.handlers):
        logger.addHandler(_ToStandardError())
