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
        self.gpu_is_lost = False

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
        if self.gpu_is_lost or (mood == "loses its GPU" and first):
            self.gpu_is_lost = True  # CUDA answers so from then on, whatever is asked
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return number * number


class DiesWhileItIsMade(Squares):
    """As files in its folder say; the first who sees one that says `once` deletes it."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        for name, misfortune in (
            ("dies once", lambda: os.kill(os.getpid(), signal.SIGKILL)),
            ("hangs once", lambda: time.sleep(1000)),
        ):
            if (scratch / name).exists():
                (scratch / name).unlink()
                misfortune()
        if (scratch / "always fails").exists():
            raise ValueError("no kernel")


class WhichGpu:
    """Tells which GPUs its process may use, once as many as are wanted have begun."""

    def __init__(self, scratch: Path, wanted: int) -> None:
        self.scratch, self.wanted = scratch, wanted

    def __call__(self, _task: int) -> str:
        (self.scratch / str(os.getpid())).touch()
        deadline = time.monotonic() + 120
        while len(list(self.scratch.iterdir())) < self.wanted:
            if time.monotonic() > deadline:
                raise TimeoutError("the others have not begun")
            time.sleep(0.1)
        return os.environ.get("CUDA_VISIBLE_DEVICES", "")


class ProcessNumber:
    """Tells which process it works in; fails at its second task."""

    def __init__(self) -> None:
        self.tasks = 0

    def __call__(self, task: str) -> int:
        self.tasks += 1
        if self.tasks > 1:
            raise ValueError(f"{task}: a worker of an earlier stage")
        return os.getpid()


class Foresees:
    """Tells what it was told will follow its task."""

    def __init__(self) -> None:
        self.following = None

    def expect(self, task: int) -> None:
        self.following = task

    def __call__(self, _task: int) -> int | None:
        following, self.following = self.following, None
        return following


class WhichNode:
    """Tells what the label of its node says."""

    def __call__(self, _task: int) -> str:
        return self.label()

    @staticmethod
    def label() -> str:
        import ray

        return ray.get_runtime_context().get_node_labels()["medcolor/work"]
