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
from torch.nn import functional as F

from medcolor.features.extract import FeaturePyramid
from medcolor.matching.search import Features

_KNOTS = 33
_SIGMA = 0.05
_FREEDOM = 8
"""About as many cells as the curve can follow one by one."""

_LEAST_MASS = 1e-9
_ANGLE = 3.0
"""Tones become points of a half circle; their product is then cos(3 * difference)."""


@dataclass(frozen=True)
class TonePair:
    """Tones of two images that can be compared."""

    own: Float[Tensor, "row col"]
    """What the scan's tones predict of the photograph's."""

    other: Float[Tensor, "row2 col2"]
    """The photograph's."""

    explained: Float[Tensor, ""]
    """Share of the variance of the photograph's tone that the scan's explains, 0..1."""


def teach_tone(
    target: FeaturePyramid,
    reference: FeaturePyramid,
    index: int,
    match: Int[Tensor, "2 half_row half_col"],
    confidence: Float[Tensor, "half_row half_col"],
) -> TonePair:
    """Return the tones of level `index` of both, as the level above teaches them.

    Args:
        target: The scan.
        reference: The photograph.
        index: The level, 0 is relu1_1.
        match: Position in the photograph for each cell of the next coarser level of the scan.
        confidence: How far each of these matches counts, 0..1.
    """
    own, other = cell_tone(target, index + 1), cell_tone(reference, index + 1)
    counted = confidence * target.masks[index + 1]
    matched = other[match[0], match[1]]
    curve, explained = tone_curve(own.flatten(), matched.flatten(), counted.flatten())
    predicted = read_curve(curve, cell_tone(target, index))
    return TonePair(predicted, cell_tone(reference, index), explained)


def append_tone(
    features: Features,
    tone: Float[Tensor, "row col"],
    mask: Bool[Tensor, "row col"],
    share: Float[Tensor, ""],
) -> Float[Tensor, "channel2 row col"]:
    """Return unit features with tone as two channels more, which make up `share` of a score."""
    circle = torch.stack([torch.cos(_ANGLE * tone), torch.sin(_ANGLE * tone)]) * mask
    return torch.cat([features * (1 - share).sqrt(), circle * share.sqrt()])


def cell_tone(pyramid: FeaturePyramid, index: int) -> Float[Tensor, "row col"]:
    """Return the mean luminance of the tissue in each cell of a level; 0 without tissue."""
    stride = 2**index
    tissue = pyramid.tissue[None].float()
    total = F.avg_pool2d(pyramid.luminance[None] * tissue, stride)[0]
    return total / F.avg_pool2d(tissue, stride)[0].clamp(min=1e-6)


def tone_curve(
    own: Float[Tensor, " cell"], other: Float[Tensor, " cell"], weight: Float[Tensor, " cell"]
) -> tuple[Float[Tensor, " knot"], Float[Tensor, ""]]:
    """Return E[other | own] at evenly spaced tones and the share of variance it explains.

    Kernel regression (Nadaraya 1964, Watson 1964), drawn to the mean where nothing is known.
    The share is 0 where nothing has weight, or where `other` is of one tone.
    """
    mass = weight.sum().clamp(min=_LEAST_MASS)
    mean = (weight * other).sum() / mass
    knots = torch.linspace(0, 1, _KNOTS)
    kernel = weight * torch.exp(-0.5 * ((knots[:, None] - own) / _SIGMA) ** 2)
    prior = 1e-3 * mass
    curve = ((kernel * other).sum(1) + prior * mean) / (kernel.sum(1) + prior)
    total = (weight * (other - mean) ** 2).sum()
    rest = (weight * (other - read_curve(curve, own)) ** 2).sum()
    spread = (weight * (read_curve(curve, own) - mean) ** 2).sum()
    gain = torch.sqrt(total / spread.clamp(min=_LEAST_MASS)).clamp(max=3)
    # Adjusted for what a curve explains of anything where cells are few (Theil 1961).
    few = mass / (mass - _FREEDOM).clamp(min=_LEAST_MASS)
    explained = (1 - few * rest / total.clamp(min=_LEAST_MASS)).clamp(min=0)
    return mean + (curve - mean) * gain, explained * (total > 1e-6 * mass)


def read_curve(curve: Float[Tensor, " knot"], tone: Float[Tensor, "*cell"]) -> Tensor:
    """Return the curve at tones 0..1, linear between its knots."""
    place = tone.clamp(0, 1) * (len(curve) - 1)
    below = place.floor().clamp(max=len(curve) - 2).long()
    part = place - below
    return curve[below] * (1 - part) + curve[below + 1] * part
