"""fc6 of the embedded network, solved for instead of descended to.

What differs between two persons cut at one level and shown in two contrasts is nuisance; all
else tells levels apart. Whitening by the scatter of the nuisance is what linear discriminant
analysis does first (Fisher 1936; Hatch et al. 2006 call it within-class covariance
normalisation); the directions in which whitened slices vary most are kept. Gradient descent on
the same pairs, from many starts, found worse weights (LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from medcolor.features.network import DESCRIPTOR_INPUT_PX, GrayVGG19
from medcolor.features.synthetic.anatomy import random_anatomy
from medcolor.features.synthetic.contrast import render_contrast, set_background
from medcolor.features.synthetic.deform import centre_on_body, random_warp, warp_labels
from medcolor.features.synthetic.noise import uniform


@dataclass(frozen=True, kw_only=True)
class DescriptorSettings:
    """What decides fc6, beside the taps, the code and the seed."""

    batches: int = 400
    plans: int = 3
    """Bodies in a batch, each as two persons."""

    levels: int = 8
    """Cuts through each; levels of one body are the hard ones to tell apart."""

    jitter: float = 0.015
    """Standard deviation of the levels at which two persons are cut as one, in body lengths."""

    half_side: float = 2.1
    """What is shown around a body, in its standard deviations: as `body_square` does."""

    ridge: float = 0.5
    """Added to the scatter of the nuisance, against its mean variance."""


def fit_descriptor(
    network: GrayVGG19,
    settings: DescriptorSettings,
    generator: Generator,
    report: Callable[[dict[str, float]], None],
) -> None:
    """Set fc6 from pairs of slices; `report` gets how often one finds its partner in a batch.

    A tenth of the batches is kept aside for that.
    """
    batches = [draw_batch(network, settings, generator) for _ in range(settings.batches)]
    held = max(1, settings.batches // 10)
    weight, bias = discriminant(
        torch.cat(batches[held:], 1), network.spec.descriptor_size, settings.ridge
    )
    with torch.no_grad():
        network.fc6.weight.copy_(weight)
        network.fc6.bias.copy_(bias)
        found = [_accuracy(network, batch) for batch in batches[:held]]
    report({"step": settings.batches, "fc6": sum(found) / held})


def discriminant(
    pairs: Float[Tensor, "2 pair value"], size: int, ridge: float
) -> tuple[Float[Tensor, "{size} value"], Float[Tensor, " {size}"]]:
    """Return weight and bias of the linear map under which partners are near.

    Args:
        pairs: What fc6 reads of two views of the same things.
        size: Directions to keep, at most the count of values.
        ridge: Share of the mean variance added to every direction of the nuisance.
    """
    mean = pairs.mean((0, 1))
    half = (pairs[0] - pairs[1]) / 2
    variance, axes = torch.linalg.eigh(2 * half.T @ half / half.shape[0])
    variance = variance.clamp(min=0)
    whiten = axes * (variance + ridge * variance.mean()).rsqrt()
    white = (pairs.flatten(0, 1) - mean) @ whiten
    _, directions = torch.linalg.eigh(white.T @ white / len(white))
    weight = (whiten @ directions[:, -size:]).T.contiguous()
    return weight, -weight @ mean


@torch.no_grad()
def draw_batch(
    network: GrayVGG19, settings: DescriptorSettings, generator: Generator
) -> Float[Tensor, "2 pair value"]:
    """Return what fc6 reads of a batch of pairs."""
    images = descriptor_pair(generator, settings).to(memory_format=torch.channels_last)
    return torch.stack(network.descriptor_input(images).chunk(2))


def _accuracy(network: GrayVGG19, batch: Float[Tensor, "2 pair value"]) -> float:
    first, second = F.normalize(network.fc6(batch), dim=-1)
    nearest = (first @ second.T).argmax(1)
    return float((nearest == torch.arange(len(nearest))).float().mean())


def descriptor_pair(
    generator: Generator, settings: DescriptorSettings
) -> Float[Tensor, "image 1 row col"]:
    """Draw slices of two persons of each plan at about the same levels: first all of one.

    The levels of a plan are far apart or near each other, so that both must be told apart.
    """
    plans, count = settings.plans, settings.levels
    span = uniform(generator, (plans, 1), 0.4, 1.0)
    start = uniform(generator, (plans, 1)) * (1 - span)
    place = uniform(generator, (plans, count), 0.2, 0.8)
    levels = start + span * (torch.arange(count) + place) / count
    both = levels[:, None] + settings.jitter * torch.randn(plans, 2, count, generator=generator)
    half = random_anatomy(
        generator, both.clamp(0, 1), DESCRIPTOR_INPUT_PX // 2, scale=(0.75, 0.95), whole=True
    )
    labels = half.repeat_interleave(2, -1).repeat_interleave(2, -2)  # a quarter of the time
    warp = random_warp(
        generator, len(labels), DESCRIPTOR_INPUT_PX, rotation_deg=8.0, zoom=1.05, shift=0.02
    )
    labels = warp_labels(labels, warp)
    # The product shows bodies alone, centred.
    labels = warp_labels(labels, centre_on_body(labels, settings.half_side))
    rendered = render_contrast(generator, labels)
    _, shown = set_background(generator, rendered, labels > 0)
    images = torch.where(shown[:, None], rendered, 0.0)
    by_plan = images.view(plans, 2, count, 1, DESCRIPTOR_INPUT_PX, DESCRIPTOR_INPUT_PX)
    return by_plan.transpose(0, 1).flatten(0, 2)
