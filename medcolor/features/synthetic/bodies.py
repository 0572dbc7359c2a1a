"""Bodies to train on: stylised humans, and bodies that exist nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from medcolor.features.synthetic.human import random_human
from medcolor.features.synthetic.invented import random_invented
from medcolor.features.synthetic.noise import Draw


@dataclass(frozen=True, kw_only=True)
class BodySettings:
    """What bodies are drawn and how much their persons differ."""

    human_share: float = 0.5
    """Share of plans that are human; the rest is invented, so that nothing but what is shown
    can be relied on."""

    scale: tuple[float, float] = (0.75, 1.5)
    """Size of a body against the image; above 1 the image shows a part of it."""

    individuality: float = 0.35
    """How much the insides of persons of one plan differ, 0..1."""

    build: float = 1.0
    """How much their girth, limbs, layers and organs differ in size and place; 0: not at all."""

    whole: bool = False
    """Whether outlines of invented bodies change along the body and may close at its ends;
    those of human ones always do."""


def random_bodies(
    generator: Generator,
    levels: Float[Tensor, "plan person level"],
    size_px: int,
    settings: BodySettings,
) -> Int[Tensor, "slice row col"]:
    """Draw bodies and cut each at its levels, 0..1 along what is shown of the body.

    Returns:
        Tissue labels 0 (background) .. TISSUE_COUNT - 1, slices in the order of `levels`.
    """
    is_human = torch.rand(len(levels), generator=generator) < settings.human_share
    labels = torch.zeros(*levels.shape, size_px, size_px, dtype=torch.long)
    invented = partial(random_invented, whole=settings.whole)
    for chosen, draw_labels in ((is_human, random_human), (~is_human, invented)):
        if chosen.any():
            draw = Draw(generator, levels[chosen], size_px, settings.individuality, settings.build)
            drawn = draw_labels(draw, settings.scale)
            labels[chosen] = drawn.view(-1, *levels.shape[1:], size_px, size_px)
    return labels.flatten(0, 2)
