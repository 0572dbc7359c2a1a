"""Colours of a scan that is a photograph without its colours: its lightness judges the votes.

A wrong match seldom has the right lightness, and of a gray photograph the right lightness is known.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from medcolor.domain import SliceVotes
from medcolor.transfer.vote_mean import shares, vote_weights

_TOLERANCE = 8.0
"""In L*, at which the weight of a vote has fallen to 0.61."""

_LEAST_WEIGHT = 1e-3
"""Of a vote that disagrees entirely: where all do, they still share the pixel."""


def agreed_chroma(
    votes: SliceVotes, lightness: Float[np.ndarray, "row col"]
) -> Float[np.ndarray, "row col 2"]:
    """Return the mean a* and b* of votes, each weighted by how near its L* is to the scan's.

    Args:
        votes: Of a slice.
        lightness: L* of the scan, on the grid of the votes.
    """
    lab = votes.lab.astype(np.float32)
    missed = (lab[:, 0] - lightness) / _TOLERANCE
    weight = vote_weights(votes) * (_LEAST_WEIGHT + np.exp(-0.5 * missed**2))
    return np.moveaxis((shares(weight)[:, None] * lab[:, 1:]).sum(0), 0, -1)
