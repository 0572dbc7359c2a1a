"""Settings of choosing references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RetrievalSettings(Settings):
    """How references are chosen."""

    along_stack: bool = True
    """Choose for the whole stack at once. Off: the most similar reference of each slice
    on its own, as the paper does."""

    order: Literal["auto", "names", "looks", "none"] = "auto"
    """What tells the photographs' places along the body. names: the numbers in their names, in mm.
    looks: what changes least from one to the next; their distance is found. none: nothing, they
    are a mere collection. auto: the names if neighbours by them look alike, else looks."""

    direction: Literal["auto", "stated", "reversed"] = "auto"
    """Whether the slices run along the body as scan and photographs state, or the other way. auto:
    whichever agrees better; as stated where a record or `reference.orientation` says how the
    photographs lie and the scan's file says how it does."""

    references: int = 3
    """How many references a slice takes its colours from: the one assigned to it and the
    next on either side, or the most similar where places are unknown. The paper: 1."""

    apart_mm: float = 4.0
    """Least distance of two of them along the body: nearer ones tell the same. Also the distance
    from the slice's place at which a reference has a quarter of its weight."""

    stretch: tuple[float, float] = (0.5, 1.75)
    """How much slower and faster than the slices the references may advance: bodies differ
    in size."""

    advance_cost: float = 0.1
    """Similarity, per millimetre of stack, given up for each millimetre by which the
    references advance more or less than the slices. Does not depend on slice distance."""

    cost_per_switch: float = 0.05
    """Similarity given up for taking another reference than the neighbouring slice,
    where the references' places are unknown."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.references < 1 or self.apart_mm <= 0:
            raise ValueError("references must be >= 1, apart_mm > 0")
        if self.advance_cost < 0 or self.cost_per_switch < 0:
            raise ValueError("costs must be >= 0")
        if not 0 <= self.stretch[0] <= 1 <= self.stretch[1]:
            raise ValueError("stretch must be (at most 1, at least 1), both >= 0")
