"""How the photographs lie against the scan, found by their likeness.

Slices of the scan are shown to the network in all eight ways a photograph may lie; fc6 tells flips
and quarter turns apart by a wide margin. Left and right are nearly alike in a head and well apart
in a trunk: a mirror image is believed only where the slices agree on it.
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

_CERTAIN = 3.0
"""Standard errors by which one side must win over its mirror image to be certain."""

_LEAST_GAIN = 0.05
"""And share by which it must win of what likeness drops between the right way and the usual one:
faces are a little askew, and neighbouring slices agree on that, too."""

Describe = Callable[[Sequence[int], tuple[str, ...]], Float[np.ndarray, "_slice _code _descriptor"]]
"""Describes slices, each shown in the given ways to lie; zero where there is no body."""


@dataclass(frozen=True)
class Turn:
    """How photographs lie, once read as they are said to lie."""

    code: str = VIEW
    """The view itself if they were read right."""

    sides_are_certain: bool = False
    """Whether left and right were told apart by what the slices show."""


def find_turn(
    describe: Describe, depth: int, references: Float[np.ndarray, "reference descriptor"]
) -> Turn:
    """Find how photographs lie from slices spread over a stack.

    Args:
        describe: Of the stack.
        depth: Its slices.
        references: Descriptors of the photographs as they were read.
    """

    def likeness(count: int, codes: tuple[str, ...]) -> Float[np.ndarray, "slice code"]:
        slices = np.unique(np.linspace(0, depth - 1, count + 2).round().astype(int)[1:-1])
        shown = describe([int(z) for z in slices], codes)
        shown = shown[shown.any(axis=(1, 2))]
        similarity = cosine_similarity(shown.reshape(-1, references.shape[1]), references)
        return np.asarray(similarity.max(axis=1).reshape(-1, len(codes)))

    coarse = likeness(_SLICES_FOR_TURN, CODES)
    if not len(coarse):
        return Turn()
    codes = likely_codes(coarse)
    right = coarse[:, [CODES.index(code) for code in codes]].mean()
    least_gain = _LEAST_GAIN * float(right - coarse.mean())
    return decide_sides(codes, likeness(_SLICES_FOR_SIDES, codes), least_gain)


def likely_codes(likeness: Float[np.ndarray, "slice code"]) -> tuple[str, str]:
    """Return the most likely way to lie and its mirror image, what is to be preferred first.

    Args:
        likeness: Highest cosine with any reference, of each slice shown in each of CODES.
    """
    mean = dict(zip(CODES, likeness.mean(axis=0), strict=True))
    best = max(_PREFERRED, key=lambda code: mean[code] + mean[mirrored(code)])
    return best, mirrored(best)


def decide_sides(
    codes: tuple[str, str], likeness: Float[np.ndarray, "slice 2"], least_gain: float
) -> Turn:
    """Choose between a way to lie and its mirror image.

    Args:
        codes: The one to be preferred first.
        likeness: Of each slice with its best reference, shown in both ways.
        least_gain: Mean difference of likeness from which one is certain.
    """
    if not len(likeness):
        return Turn(codes[0])
    gain = likeness[:, 0] - likeness[:, 1]
    mean, error = float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))
    is_certain = abs(mean) >= max(_CERTAIN * error, least_gain, 1e-9)
    return Turn(codes[1] if is_certain and mean < 0 else codes[0], is_certain)
