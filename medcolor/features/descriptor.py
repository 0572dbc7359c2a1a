"""fc6 of the embedded network, solved for instead of descended to.

What differs between two persons cut at one level and shown in two contrasts is nuisance; all
else tells levels apart. Whitening by the scatter of the nuisance is what linear discriminant
analysis does first (Fisher 1936; Hatch et al. 2006 call it within-class covariance
normalisation); the directions in which whitened slices vary most are kept. Gradient descent on
the same pairs, from many starts, found worse weights (LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from medcolor.body import HALF_SIDE
from medcolor.features.network import DESCRIPTOR_INPUT_PX, GrayVGG19
from medcolor.features.synthetic.bodies import BodySettings, random_bodies
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

    bodies: BodySettings = field(
        default_factory=lambda: BodySettings(
            human_share=0.8, scale=(0.75, 0.95), build=2.0, whole=True
        )
    )

    half_side: float = HALF_SIDE
    """What is shown around a body, in its standard deviations: as `body_square` does."""

    ridge: float = 1.0
    """Added to the scatter of the nuisance, against its mean variance."""

    workers: int = 2
    """Threads that draw batches."""


def fit_descriptor(
    network: GrayVGG19,
    settings: DescriptorSettings,
    seed: int,
    report: Callable[[dict[str, float]], None],
) -> None:
    """Set fc6 from pairs of slices; `report` gets how often one finds its partner in a batch.

    A tenth of the batches is kept aside for that. Each has its own seed and they are drawn side
    by side on `settings.workers` threads, so their number changes nothing.
    """

    def draw(number: int) -> list[Tensor]:
        return draw_batch(network, settings, Generator().manual_seed((seed << 32) + number))

    with ThreadPoolExecutor(settings.workers) as pool:
        batches = list(pool.map(draw, range(settings.batches)))
    held = max(1, settings.batches // 10)
    for number, matrix in enumerate(network.matrices()):
        pairs = torch.cat([batch[number] for batch in batches[held:]], 1)
        weight, bias = discriminant(pairs, matrix.out_features, settings.ridge)
        with torch.no_grad():
            matrix.weight.copy_(weight)
            matrix.bias.copy_(bias)
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
    kind = pairs.dtype
    pairs = pairs.double()  # in many directions the nuisance is next to nothing
    mean = pairs.mean((0, 1))
    half = (pairs[0] - pairs[1]) / 2
    variance, axes = torch.linalg.eigh(2 * half.T @ half / half.shape[0])
    variance = variance.clamp(min=0)
    whiten = axes * (variance + ridge * variance.mean()).rsqrt()
    white = (pairs.flatten(0, 1) - mean) @ whiten
    _, directions = torch.linalg.eigh(white.T @ white / len(white))
    weight = (whiten @ directions[:, -size:]).T
    return weight.to(kind).contiguous(), (-weight @ mean).to(kind)


@torch.no_grad()
def draw_batch(
    network: GrayVGG19, settings: DescriptorSettings, generator: Generator
) -> list[Float[Tensor, "2 pair _value"]]:
    """Return what each matrix of fc6 reads of a batch of pairs."""
    drawn = descriptor_pair(generator, settings)
    images = drawn.to(network.device, memory_format=torch.channels_last)
    return [torch.stack(read.chunk(2)) for read in network.descriptor_input(images)]


@torch.no_grad()
def _accuracy(network: GrayVGG19, batch: list[Float[Tensor, "2 pair _value"]]) -> float:
    parts = zip(network.matrices(), batch, strict=True)
    first, second = torch.cat([F.normalize(matrix(read), dim=-1) for matrix, read in parts], -1)
    nearest = (first @ second.T).argmax(1)
    return float((nearest == torch.arange(len(nearest), device=nearest.device)).float().mean())


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
    half = random_bodies(generator, both.clamp(0, 1), DESCRIPTOR_INPUT_PX // 2, settings.bodies)
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
