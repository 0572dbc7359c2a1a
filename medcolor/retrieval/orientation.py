"""How the photographs lie against the scan, found by their likeness.

Slices of the scan are shown to the network in all eight ways a photograph may lie; fc6 tells flips
and quarter turns apart by a wide margin. Left and right are nearly alike in a head and well apart
in a trunk: a mirror image is believed only where the slices agree on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medcolor.reference.orientation import CODES, VIEW, mirrored

SLICES_FOR_TURN = 12
SLICES_FOR_SIDES = 48

_PREFERRED = "LP", "LA", "PR", "AL"
"""Of each way to lie and its mirror image: as read, flipped as Visible Human frames are, or turned
by a quarter."""

_CERTAIN = 3.0
"""Standard errors by which one side must win over its mirror image to be certain."""


@dataclass(frozen=True)
class Turn:
    """How photographs lie, once read as they are said to lie."""

    code: str = VIEW
    """The view itself if they were read right."""

    sides_are_certain: bool = False
    """Whether left and right were told apart by what the slices show."""


def likely_codes(likeness: Float[np.ndarray, "slice code"]) -> tuple[str, str]:
    """Return the most likely way to lie and its mirror image, what is to be preferred first.

    Args:
        likeness: Highest cosine with any reference, of each slice shown in each of CODES.
    """
    mean = dict(zip(CODES, likeness.mean(axis=0), strict=True))
    best = max(_PREFERRED, key=lambda code: mean[code] + mean[mirrored(code)])
    return best, mirrored(best)


def decide_sides(codes: tuple[str, str], likeness: Float[np.ndarray, "slice 2"]) -> Turn:
    """Choose between a way to lie and its mirror image.

    Args:
        codes: The one to be preferred first.
        likeness: Of each slice with its best reference, shown in both ways.
    """
    if not len(likeness):
        return Turn(codes[0])
    gain = likeness[:, 0] - likeness[:, 1]
    error = gain.std() / np.sqrt(len(gain))
    advantage = float(gain.mean() / max(error, 1e-9))
    is_certain = abs(advantage) >= _CERTAIN
    return Turn(codes[1] if is_certain and advantage < 0 else codes[0], is_certain)
