"""What a grey level of the scan tells about the grey level of the photograph.

Features that ignore contrast find the place and not the tissue: of two neighbours with like
borders they may take either. Where one tone predicts the other (always between photographs, in
part between scan and photograph) that settles it. How tones go together is learnt from each
pair itself, from its coarse matches, as its look-up table; nothing is assumed about modality.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medcolor.features.pyramid import FeaturePyramid
from medcolor.matching.field import take
from medcolor.matching.search import Features

_KNOTS = 33
SIGMA = 0.05
FREEDOM = 8
"""About as many cells as the curve can follow one by one."""

LEAST_MASS = 1e-9
LEAST_LEAVE = 0.1
"""Share of the cost of leaving that stays where tone explains all: it is learnt, not exact."""

_ANGLE = 3.0
"""Tones become points of a half circle; their product is then cos(3 * difference)."""


@dataclass(frozen=True)
class TonePair:
    """Tones of two images that can be compared."""

    own: Float[Tensor, "pair row col"]
    """What the scan's tones predict of the photograph's."""

    other: Float[Tensor, "pair row2 col2"]
    """The photograph's."""

    explained: Float[Tensor, " pair"]
    """Share of the variance of the photograph's tone that the scan's explains, 0..1."""


def teach_tone(
    target: FeaturePyramid,
    reference: FeaturePyramid,
    index: int,
    match: Int[Tensor, "pair 2 half_row half_col"],
    confidence: Float[Tensor, "pair half_row half_col"],
) -> TonePair:
    """Return the tones of level `index` of both, as the level above teaches them.

    Args:
        target: The scan.
        reference: The photograph.
        index: The level, 0 is relu1_1.
        match: Position in the photograph for each cell of the next coarser level of the scan.
        confidence: How far each of these matches counts, 0..1.
    """
    own, other = target.tones[index + 1], reference.tones[index + 1]
    counted = confidence * target.masks[index + 1]
    matched = take(other[:, None], match)
    curve, explained = tone_curve(own.flatten(1), matched.flatten(1), counted.flatten(1))
    return TonePair(read_curve(curve, target.tones[index]), reference.tones[index], explained)


def append_tone(
    features: Features,
    tone: Float[Tensor, "pair row col"],
    mask: Bool[Tensor, "pair row col"],
    share: Float[Tensor, " pair"],
) -> Float[Tensor, "pair channel2 row col"]:
    """Return unit features with tone as two channels more, which make up `share` of a score."""
    circle = torch.stack([torch.cos(_ANGLE * tone), torch.sin(_ANGLE * tone)], 1) * mask[:, None]
    part = share[:, None, None, None]
    return torch.cat([features * (1 - part).sqrt(), circle * part.sqrt()], 1)


def tone_curve(
    own: Float[Tensor, "pair cell"],
    other: Float[Tensor, "pair cell"],
    weight: Float[Tensor, "pair cell"],
) -> tuple[Float[Tensor, "pair knot"], Float[Tensor, " pair"]]:
    """Return E[other | own] at evenly spaced tones and the share of variance it explains.

    Kernel regression (Nadaraya 1964, Watson 1964), drawn to the mean where nothing is known.
    The share is 0 where nothing has weight, or where `other` is of one tone.
    """
    mass = weight.sum(1, keepdim=True).clamp(min=LEAST_MASS)
    mean = (weight * other).sum(1, keepdim=True) / mass
    knots = torch.linspace(0, 1, _KNOTS, device=own.device)
    kernel = weight[:, None] * torch.exp(-0.5 * ((knots[:, None] - own[:, None]) / SIGMA) ** 2)
    prior = 1e-3 * mass
    curve = ((kernel * other[:, None]).sum(2) + prior * mean) / (kernel.sum(2) + prior)
    read = read_curve(curve, own)
    total = (weight * (other - mean) ** 2).sum(1, keepdim=True)
    rest = (weight * (other - read) ** 2).sum(1, keepdim=True)
    spread = (weight * (read - mean) ** 2).sum(1, keepdim=True)
    gain = torch.sqrt(total / spread.clamp(min=LEAST_MASS)).clamp(max=3)
    # Adjusted for what a curve explains of anything where cells are few (Theil 1961).
    few = mass / (mass - FREEDOM).clamp(min=LEAST_MASS)
    explained = (1 - few * rest / total.clamp(min=LEAST_MASS)).clamp(min=0)
    return mean + (curve - mean) * gain, (explained * (total > 1e-6 * mass))[:, 0]


def read_curve(curve: Float[Tensor, "pair knot"], tone: Float[Tensor, "pair ..."]) -> Tensor:
    """Return the curves at tones 0..1, linear between their knots."""
    place = tone.flatten(1).clamp(0, 1) * (curve.shape[1] - 1)
    below = place.floor().clamp(max=curve.shape[1] - 2).long()
    part = place - below
    value = curve.gather(1, below) * (1 - part) + curve.gather(1, below + 1) * part
    return value.view(tone.shape)
