"""Which slab a free worker takes next: the one beside its last, whose photographs it holds.

The tasks are cut into as many runs of neighbours as there are workers. Who is through with the own
run takes the far half of the longest that is left, so nobody waits for a slow one. What failed is
tried again last, by another worker if there is one: it holds nobody up.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise


class Placement:
    """Hands out the numbers of tasks, each once, and again if it is put back."""

    def __init__(self, tasks: int, workers: int) -> None:
        """Cut 0..tasks into runs of neighbours."""
        borders = [tasks * number // workers for number in range(workers + 1)]
        self._runs = [deque(range(begin, end)) for begin, end in pairwise(borders)]
        self._again: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        """Return how many are left to hand out."""
        return sum(map(len, self._runs)) + len(self._again)

    def take(self, worker: int, *, is_alone: bool = False) -> int | None:
        """Return the next task of a worker; None if there is nothing, or nothing for this one.

        Args:
            worker: Who asks.
            is_alone: Whether no other works: then it may have what it failed with.
        """
        own = self._runs[worker]
        if not own:
            longest = max(self._runs, key=len)
            for _ in range((len(longest) + 1) // 2):
                own.appendleft(longest.pop())
        if own:
            return own.popleft()
        if not self._again:
            return None
        for _ in range(len(self._again)):
            number, failed_with = self._again.popleft()
            if failed_with != worker:
                return number
            self._again.append((number, failed_with))
        return self._again.popleft()[0] if is_alone else None

    def peek(self, worker: int) -> int | None:
        """Return what a worker will take next, if no other is through before; None if unknown."""
        own = self._runs[worker]
        return own[0] if own else None

    def put_back(self, number: int, worker: int) -> None:
        """Take back a task that failed with a worker."""
        self._again.append((number, worker))
