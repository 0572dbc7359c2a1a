"""Which nodes of a cluster do which work, and how many workers they hold; imports no Ray.

A node does all work, unless its label says which: `ray start --labels medcolor/work=light-render`.
So GPUs need not wait while pyramids are written, and pictures are drawn where drawing is cheap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import get_args

from medcolor.errors import InputError
from medcolor.run.tasks import Work

LABEL = "medcolor/work"
KINDS: tuple[Work, ...] = get_args(Work)
VALUES = tuple(
    "-".join(some) for count in range(1, len(KINDS) + 1) for some in combinations(KINDS, count)
)
"""What the label may say: one kind of work, or several joined in this order."""

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Node:
    """A machine, or a part of one, that has CPUs or GPUs to give."""

    name: str
    cpus: int
    gpus: int = 0
    label: str = ""
    """Value of LABEL; empty without one."""

    def does(self, work: Work) -> bool:
        """Tell whether it does this kind of work."""
        return not self.label or work in self.label.split("-")

    def places(self, gpu_share: float) -> int:
        """Return how many workers its GPUs hold; none is spread over two of them."""
        return self.gpus * math.floor(1 / gpu_share + _ROUNDING)


@dataclass(frozen=True)
class Crew:
    """The workers of a kind of work."""

    size: int
    work: Work
    """Names the nodes they may live on."""

    gpu_share: float = 0.0
    """Of a GPU, for each; 0 for none."""

    @property
    def selector(self) -> dict[str, str]:
        """Which nodes they may live on, as Ray's schedulers read it.

        It says what the label must not be, as a node without one does all work.
        """
        others = [value for value in VALUES if self.work not in value.split("-")]
        return {LABEL: f"!in({','.join(others)})"}


def refuse_unknown_labels(nodes: Sequence[Node]) -> None:
    """Raise InputError where a label says what no node does: it would do everything."""
    for node in nodes:
        if node.label and node.label not in VALUES:
            raise InputError(
                f"node {node.name}",
                f"its label {LABEL}={node.label} names no work",
                f"Use one of {', '.join(VALUES)}, or no label for all work",
            )


def crews_of(
    nodes: Sequence[Node], workers: int | None, gpu_share: float, *, uses_gpus: bool
) -> dict[Work, Crew]:
    """Return who does each kind of work; one crew does several where that costs nothing.

    Args:
        nodes: That are there by now; of a cluster that grows on demand perhaps none.
        workers: That colour; None for as many as the nodes hold.
        gpu_share: Of a GPU, for each worker that holds one, in (0, 1].
        uses_gpus: Whether those that colour hold GPUs.
    """
    held = [
        (node.places(gpu_share) if uses_gpus else node.cpus) if node.does("color") else 0
        for node in nodes
    ]
    color = Crew(workers or max(1, sum(held)), "color", gpu_share if uses_gpus else 0.0)

    def crew(work: Work) -> Crew:
        mine = [node for node in nodes if node.does(work)]
        alike = bool(nodes) and all(node.does(work) == node.does("color") for node in nodes)
        draws_on_gpu = work == "render" and uses_gpus
        draws_on_gpu = draws_on_gpu and (not mine or any(node.gpus for node in mine))
        if alike and (draws_on_gpu or not uses_gpus):
            return color
        if draws_on_gpu:
            places = sum(one.places(gpu_share) for one in mine)
            return Crew(workers or max(1, places), work, gpu_share)
        spare = sum(
            max(0, node.cpus - min(taken, color.size))
            for node, taken in zip(nodes, held, strict=True)
            if node.does(work)
        )
        if not spare and mine and all(one.does(work) for one in nodes if one.does("color")):
            return color  # who is idle would hold the CPU that another waits for
        return Crew(spare or workers or 1, work)

    return {"color": color, "light": crew("light"), "render": crew("render")}


def threads_of(nodes: Sequence[Node], workers: int, gpu_share: float) -> int:
    """Return how many of a node's CPUs each worker with a GPU may use, wherever it comes to live.

    Args:
        nodes: That are there by now; without GPUs among them it is 1.
        workers: That colour.
        gpu_share: Of a GPU, for each.
    """
    shares = [
        node.cpus // min(workers, node.places(gpu_share))
        for node in nodes
        if node.gpus and node.does("color")
    ]
    return max(1, min(shares, default=1))
