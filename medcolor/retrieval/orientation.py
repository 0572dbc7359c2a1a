"""How the photographs lie against the scan, found by their likeness.

Slices of the scan are shown to the network in all eight ways a photograph may lie; fc6 tells flips
and quarter turns apart by a wide margin, unless the photographs show another part of the body.
Left and right are nearly alike in a head or a pelvis and well apart in a chest: a mirror image is
believed only where enough of the body, seen in enough photographs, is clearly lopsided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medcolor.reference.orientation import CODES, VIEW, mirrored
from medcolor.retrieval.assignment import cosine_similarity

_SLICES_FOR_TURN = 12
_SLICES_FOR_SIDES = 96

_PREFERRED = "LP", "LA", "PR", "AL"
"""Of each way to lie and its mirror image: as read, flipped as Visible Human frames are, or turned
by a quarter."""

_WITNESS_MM = 15.0
"""Of the body, along the stack, that is one witness: neighbouring slices show the same organs."""

_LEAST_GAIN = 0.12
"""From which on a witness has a say: what likeness one side has over the other, against what it
drops by between the right way to lie and the usual one. Faces and pelves are a little askew, for
decimetres; lungs, heart and liver are plainly lopsided."""

_LEAST_WITNESSES = 5
_CERTAIN = 1.7
"""Standard errors of the sum of witnesses, by which one side must win if either were as likely."""

_LEAST_LEAD = 0.035, 0.05
"""Likeness by which the best way must exceed the next for the photographs to show this part of the
body; where the best is a quarter turn, which is seldom, the second."""

_CHANCE_LEAD = 0.02
"""Up to which a lead is chance: then photographs are taken to lie upright."""

Describe = Callable[[Sequence[int], tuple[str, ...]], Float[np.ndarray, "_slice _code _descriptor"]]
"""Describes slices, each shown in the given ways to lie; zero where there is no body."""

Similarity = Float[np.ndarray, "slice code reference"]


@dataclass(frozen=True)
class Likeness:
    """How like the photographs some slices are in each way to lie, mirror images counted as one."""

    by_code: dict[str, float]
    """Mean over the slices of the highest cosine with any photograph, by one of each two codes."""

    def best(self, among: Sequence[str] = _PREFERRED) -> str:
        """Return the most likely of some codes."""
        return max(among, key=lambda code: self.by_code[code])

    def lead(self, code: str) -> float:
        """Return by how much a code exceeds all others."""
        return self.by_code[code] - max(self.by_code[o] for o in _PREFERRED if o != code)

    def tells(self, code: str) -> bool:
        """Tell whether a code stands out as the right way does among photographs of this part."""
        is_upright = code in _PREFERRED[:2]
        return self.lead(code) >= _LEAST_LEAD[not is_upright]

    @property
    def drop(self) -> float:
        """By how much the mean of all codes is below the best."""
        return max(self.by_code.values()) - float(np.mean(list(self.by_code.values())))


@dataclass(frozen=True)
class Sides:
    """What slices say of left and right."""

    votes: tuple[int, int] = (0, 0)
    """Stretches of the body, each seen in photographs of its own, for the first of two codes and
    for its mirror image; those that look alike from both sides have no say."""

    standard_errors: float = 0.0
    """By which the first wins; negative if its mirror image does."""

    @property
    def are_certain(self) -> bool:
        """Whether one side has won."""
        return sum(self.votes) >= _LEAST_WITNESSES and abs(self.standard_errors) >= _CERTAIN


@dataclass(frozen=True)
class Turn:
    """How photographs lie, once read as they are said to lie."""

    code: str = VIEW
    """The view itself if they were read right."""

    sides: Sides = Sides()
    """What is known of left and right; the code follows it where that is certain."""

    likeness: Likeness | None = None
    """None if no slice shows a body."""

    @property
    def pair(self) -> str:
        """The code, or its mirror image: that which is preferred."""
        return self.code if self.code in _PREFERRED else mirrored(self.code)

    @property
    def is_told(self) -> bool:
        """Whether the slices look like these photographs in this way and in no other.

        Otherwise they are likely to show another part of the body.
        """
        return self.likeness is None or self.likeness.tells(self.pair)


def find_turn(
    describe: Describe,
    depth: int,
    slice_step_mm: float,
    references: Float[np.ndarray, "reference descriptor"],
) -> Turn:
    """Find how photographs lie from slices spread over a stack.

    Args:
        describe: Of the stack.
        depth: Its slices.
        slice_step_mm: From one to the next, > 0.
        references: Descriptors of the photographs as they were read.
    """
    coarse, _ = _similarity(describe, depth, references, _SLICES_FOR_TURN, CODES)
    if not len(coarse):
        return Turn()
    likeness = likeness_of(coarse)
    best = likeness.best()
    if likeness.lead(best) < _CHANCE_LEAD:
        best = likeness.best(_PREFERRED[:2])
    codes = best, mirrored(best)
    fine, slices = _similarity(describe, depth, references, _SLICES_FOR_SIDES, codes)
    sides = decide_sides(fine, slices * slice_step_mm, likeness.drop)
    is_mirrored = sides.are_certain and sides.standard_errors < 0
    return Turn(codes[is_mirrored], sides, likeness)


def _similarity(
    describe: Describe,
    depth: int,
    references: Float[np.ndarray, "reference descriptor"],
    count: int,
    codes: tuple[str, ...],
) -> tuple[Similarity, Float[np.ndarray, " slice"]]:
    """Return cosines of slices spread over the stack, and their numbers; empty ones left out."""
    slices = np.unique(np.linspace(0, depth - 1, count + 2).round().astype(int)[1:-1])
    shown = describe([int(z) for z in slices], codes)
    is_seen = shown.any(axis=(1, 2))
    shown = shown[is_seen]
    similarity = cosine_similarity(shown.reshape(-1, references.shape[1]), references)
    return similarity.reshape(len(shown), len(codes), len(references)), slices[is_seen].astype(
        float
    )


def likeness_of(similarity: Similarity) -> Likeness:
    """Return the likeness in each way to lie.

    Args:
        similarity: Of slices shown in each of CODES; at least one.
    """
    mean = dict(zip(CODES, similarity.max(axis=2).mean(axis=0).tolist(), strict=True))
    return Likeness({code: (mean[code] + mean[mirrored(code)]) / 2 for code in _PREFERRED})


def decide_sides(
    similarity: Similarity, place_mm: Float[np.ndarray, " slice"], drop: float
) -> Sides:
    """Decide between a way to lie and its mirror image.

    Witnesses are stretches of the body that are seen in photographs of their own, however many
    slices show them: a few photographs, or a short stack, are never certain.

    Args:
        similarity: Of slices shown in both ways; may be none.
        place_mm: Of the slices along the stack.
        drop: What likeness drops by from the right way to lie to the usual one.
    """
    if not len(similarity) or drop <= 0:
        return Sides()
    gain = similarity[:, 0].max(axis=1) - similarity[:, 1].max(axis=1)
    seen_in = similarity.max(axis=1).argmax(axis=1)
    clear = np.array(
        [gain[is_of].mean() / drop for is_of in _stretches(seen_in, place_mm)], dtype=float
    )
    clear = clear[np.abs(clear) >= _LEAST_GAIN]
    if not len(clear):
        return Sides()
    votes = int((clear > 0).sum()), int((clear < 0).sum())
    return Sides(votes, float(clear.sum() / np.sqrt((clear**2).sum())))


def _stretches(seen_in: np.ndarray, place_mm: Float[np.ndarray, " slice"]) -> list[np.ndarray]:
    """Return the slices of each witness, as masks.

    The photographs, by where in the stack they are seen; those nearer than `_WITNESS_MM` to the
    first of a stretch are of it.
    """
    photographs = np.unique(seen_in)
    centers = np.array([place_mm[seen_in == one].mean() for one in photographs])
    stretches: list[list[int]] = []
    begin = -np.inf
    for place, photograph in sorted(zip(centers.tolist(), photographs.tolist(), strict=True)):
        if place - begin >= _WITNESS_MM:
            stretches.append([])
            begin = place
        stretches[-1].append(photograph)
    return [np.isin(seen_in, stretch) for stretch in stretches]
