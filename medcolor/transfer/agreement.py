"""Several references speak at once; who agrees with the scan is heard most.

A wrong match seldom has the right lightness. How grey levels of the scan go with lightness of
the photographs is learnt from the votes of the slice themselves, and a vote that misses this
prediction by more than is usual counts less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from medcolor.color import lightness
from medcolor.matching.tone import read_curve, tone_curve

_LEAST_WEIGHT = 1e-3
"""Of a vote that disagrees entirely: where all do, they still share the pixel."""


_LEVELS = 256

_PLAIN_IS_ENOUGH = 1.5
"""Times the error of the learnt curve that the scan's own lightness may have and be preferred."""


@dataclass(frozen=True)
class Vote:
    """What one reference says about a slice, on the slice's working grid."""

    lab: Float[np.ndarray, "row col 3"]
    """The slice reconstructed from the reference: T' of equation 1."""

    own: Float[np.ndarray, "row col 3"]
    """Colour of each pixel's own match, without its neighbours' votes."""

    trust: Float[np.ndarray, "row col"]
    """0..1, zero outside the body."""

    nearness: float = 1.0
    """Weight of the whole reference, > 0."""


def blend_votes(
    votes: Sequence[Vote], grey: Float[np.ndarray, "row col"], tolerance: float
) -> Vote:
    """Return the weighted mean of all votes.

    Weight = nearness sqrt(trust) exp(-(d / s)^2 / 2), d the distance of the vote's L* from what
    `grey` predicts, s the larger of `tolerance` and the standard deviation of d. The prediction
    is the L* of `grey` itself where that does about as well as a curve learnt from the votes.

    Args:
        votes: Of at least one reference.
        grey: Display grey of the scan, 0..1.
        tolerance: In L*; 0 weights no vote by agreement.
    """
    agreement = _agreement(votes, grey, tolerance)
    weights = [
        vote.nearness * np.sqrt(vote.trust) * agreed
        for vote, agreed in zip(votes, agreement, strict=True)
    ]
    total = np.sum(weights, axis=0)
    shares = [weight / np.maximum(total, 1e-9) for weight in weights]

    def mean(parts: Sequence[np.ndarray]) -> np.ndarray:
        blended = sum(
            share.reshape(share.shape + (1,) * (part.ndim - 2)) * part
            for share, part in zip(shares, parts, strict=True)
        )
        return np.asarray(blended, np.float32)

    return Vote(
        mean([vote.lab for vote in votes]),
        mean([vote.own for vote in votes]),
        mean([vote.trust * agreed for vote, agreed in zip(votes, agreement, strict=True)]),
    )


def _agreement(
    votes: Sequence[Vote], grey: Float[np.ndarray, "row col"], tolerance: float
) -> list[Float[np.ndarray, "row col"]]:
    """Return the weight, 0..1, that agreement with the scan gives each vote."""
    if tolerance == 0:
        return [np.ones_like(vote.trust) for vote in votes]
    voted = np.stack([vote.lab[..., 0] for vote in votes])
    trust = np.stack([vote.trust for vote in votes])
    predicted = _predicted_lightness(voted, trust, grey)

    def variance(missed: Float[np.ndarray, "vote row col"]) -> float:
        return float((trust * missed**2).sum() / max(float(trust.sum()), 1e-9))

    missed, plain = voted - predicted, voted - lightness(grey)
    # The curve knows the votes alone, their errors included: the plain one judges better.
    if variance(plain) < _PLAIN_IS_ENOUGH**2 * variance(missed):
        missed = plain
    spread = max(tolerance**2, variance(missed))
    return list(_LEAST_WEIGHT + np.exp(-(missed**2) / (2 * spread)).astype(np.float32))


def _predicted_lightness(
    voted: Float[np.ndarray, "vote row col"],
    trust: Float[np.ndarray, "vote row col"],
    grey: Float[np.ndarray, "row col"],
) -> Float[np.ndarray, "row col"]:
    """Return the L* that votes give each grey level of the scan."""
    level = np.rint(grey.clip(0, 1) * (_LEVELS - 1)).astype(np.int64)
    mass, total = (
        np.bincount(level.ravel(), weights=part.sum(axis=0).ravel(), minlength=_LEVELS)
        for part in (trust, trust * voted)
    )
    mean = total / np.maximum(mass, 1e-9) / 100
    own, other, weight = (
        torch.from_numpy(part.astype(np.float32))[None]
        for part in (np.linspace(0, 1, _LEVELS), mean, mass)
    )
    curve, _ = tone_curve(own, other, weight)
    return np.asarray(100 * read_curve(curve, own)[0].numpy()[level])
