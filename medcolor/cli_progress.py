"""How the command shows progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medcolor.progress import ProgressReport


@contextmanager
def progress() -> Iterator[ProgressReport]:
    """Show bars on a terminal, JSON lines elsewhere."""
    from medcolor.progress import JsonLines, TerminalBar

    if sys.stderr.isatty():
        with TerminalBar() as bar:
            yield bar
    else:
        yield JsonLines()
