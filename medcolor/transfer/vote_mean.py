"""What votes of several photographs count for, and their mean."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from medcolor.domain import SliceVotes

_LEAST = 1e-9


def vote_weights(votes: SliceVotes) -> Float[np.ndarray, "vote row col"]:
    """Return nearness sqrt(trust) of every vote."""
    nearness = np.array(votes.nearness, np.float32)[:, None, None]
    return np.asarray(nearness * np.sqrt(votes.trust.astype(np.float32)))


def shares(weight: Float[np.ndarray, "vote row col"]) -> Float[np.ndarray, "vote row col"]:
    """Return the share of each vote in a pixel; zero where none has weight."""
    return np.asarray(weight / np.maximum(weight.sum(0), _LEAST))


def mean_vote(
    votes: SliceVotes,
) -> tuple[Float[np.ndarray, "row col 3"], Float[np.ndarray, "row col"]]:
    """Return T' of several photographs, Lab, and how far it is to be trusted, 0..1."""
    share = shares(vote_weights(votes))
    lab = (share[:, None] * votes.lab.astype(np.float32)).sum(0)
    return np.moveaxis(lab, 0, -1), (share * votes.trust.astype(np.float32)).sum(0)
