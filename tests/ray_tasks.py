"""Workers for the runner tests; a module of their own, so that actors can import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from medcolor.errors import InputError


class Squares:
    """Squares numbers, and misbehaves as the task says."""

    def __init__(self, scratch: Path) -> None:
        if not scratch.is_dir():
            raise InputError("weights", "not here", "Put them there")
        self.scratch = scratch

    def __call__(self, task: tuple[int, str]) -> int:
        number, mood = task
        tried = self.scratch / f"{number}"
        first = not tried.exists()
        tried.touch()
        if mood == "always fails" or (mood == "fails once" and first):
            raise ValueError(f"task {number}")
        if mood == "always dies" or (mood == "dies once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if mood == "never ends":
            time.sleep(1000)
        if mood == "bad input":
            raise InputError("scan", "found nothing", "Give something")
        return number * number


class ProcessNumber:
    """Tells which process it works in; fails at its second task."""

    def __init__(self) -> None:
        self.tasks = 0

    def __call__(self, task: str) -> int:
        self.tasks += 1
        if self.tasks > 1:
            raise ValueError(f"{task}: a worker of an earlier stage")
        return os.getpid()
