"""Training of the embedded network, from scratch, on synthetic anatomy only.

Two phases. *Dense*: features of two renderings of one slice, deformed against
each other, must agree where the anatomy agrees (InfoNCE, van den Oord et al.
2018, arXiv:1807.03748, at each of the five taps). *Descriptor*: with the taps
frozen, fc6 of two renderings of one slice must be nearer than that of any other
slice, among them other levels of the same body.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from medcolor.features.network import (
    DESCRIPTOR_INPUT_PX,
    LEVEL_NAMES,
    GrayVGG19,
    NetworkSpec,
    channels_last,
)
from medcolor.features.synthetic import (
    random_anatomy,
    random_warp,
    render_contrast,
    uniform,
    warp_labels,
)

Report = Callable[[dict[str, float]], None]
"""Receives step number, loss and accuracies now and then."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What decides the weights, beside the code and the seed."""

    seed: int = 0
    dense_steps: int = 9000
    dense_bodies: int = 4
    dense_size_px: int = 160
    points: int = 192
    temperature: float = 0.07
    dense_rate: float = 1e-3
    descriptor_steps: int = 1000
    descriptor_bodies: int = 6
    descriptor_levels: int = 4
    descriptor_rate: float = 1e-3
    gradient_norm: float = 1.0
    report_every: int = 100


def train(spec: NetworkSpec, settings: TrainingSettings, report: Report) -> GrayVGG19:
    """Train a network of `spec` from scratch; repeats exactly on one machine and thread count."""
    torch.manual_seed(settings.seed)
    network = channels_last(GrayVGG19(spec))
    generator = Generator().manual_seed(settings.seed)
    train_dense(network, settings, generator, report)
    train_descriptor(network, settings, generator, report)
    network.eval()
    return network


def train_dense(
    network: GrayVGG19, settings: TrainingSettings, generator: Generator, report: Report
) -> None:
    """Train the five taps on pairs of renderings."""
    weights = [p for name, p in network.named_parameters() if not name.startswith("fc6")]
    optimizer, schedule = _optimizer(weights, settings.dense_rate, settings.dense_steps)
    for step in range(settings.dense_steps):
        fixed, moving, warp, inside = dense_pair(generator, settings)
        taps = network(torch.cat([fixed, moving]).to(memory_format=torch.channels_last))
        losses, accuracies = [], {}
        for name, tap in zip(LEVEL_NAMES, taps, strict=True):
            fixed_tap, moving_tap = tap.chunk(2)
            points = sample_points(generator, inside, settings.points)
            loss, accuracy = dense_loss(
                fixed_tap, moving_tap, points, warp, temperature=settings.temperature
            )
            losses.append(loss)
            accuracies[name] = accuracy
        _step(optimizer, schedule, torch.stack(losses).sum(), weights, settings)
        if step % settings.report_every == 0 or step == settings.dense_steps - 1:
            total = float(torch.stack(losses).detach().sum())
            report({"step": step, "dense_loss": total, **accuracies, "time_s": time.monotonic()})


def dense_pair(
    generator: Generator, settings: TrainingSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw two renderings of the same slices, the second deformed.

    Returns:
        The two images, the warp (pixel of the second -> place in the first) and a
        mask of the second's pixels that show body in both.
    """
    size_px = settings.dense_size_px
    levels = uniform(generator, (settings.dense_bodies, 1))
    labels = random_anatomy(generator, settings.dense_bodies, levels, size_px)
    warp = random_warp(generator, settings.dense_bodies, size_px)
    moved = warp_labels(labels, warp)
    return render_contrast(generator, labels), render_contrast(generator, moved), warp, moved > 0


def sample_points(generator: Generator, inside: Tensor, count: int) -> Float[Tensor, "batch p 2"]:
    """Draw (col, row) in -1..1 of `count` pixels of each mask; all pixels if a mask is empty."""
    size_px = inside.shape[-1]
    weights = inside.flatten(1).float() + 1e-6
    index = torch.multinomial(weights, count, replacement=True, generator=generator)
    row, col = index // size_px, index % size_px
    return torch.stack([(2 * col + 1) / size_px - 1, (2 * row + 1) / size_px - 1], dim=-1)


def dense_loss(
    fixed: Float[Tensor, "batch channel row col"],
    moving: Float[Tensor, "batch channel row col"],
    points: Float[Tensor, "batch p 2"],
    warp: Float[Tensor, "batch h w 2"],
    *,
    temperature: float,
) -> tuple[Tensor, float]:
    """Return symmetric InfoNCE over the points of each image, and its top-1 accuracy.

    Points nearer than one cell of the level are near duplicates: neither positive nor negative.
    """
    partner = F.grid_sample(
        warp.permute(0, 3, 1, 2), points[:, :, None], mode="bilinear", align_corners=False
    )[..., 0].transpose(1, 2)

    def gather(features: Tensor, at: Tensor) -> Tensor:
        sampled = F.grid_sample(
            features, at[:, :, None], mode="bilinear", padding_mode="border", align_corners=False
        )[..., 0]
        return F.normalize(sampled.transpose(1, 2), dim=-1, eps=1e-6)

    similarity = gather(moving, points) @ gather(fixed, partner).transpose(1, 2)
    distance = torch.cdist(points, points)
    cell = 2 / moving.shape[-1]
    duplicate = (distance < cell) & ~torch.eye(points.shape[1], dtype=torch.bool)
    logits = (similarity / temperature).masked_fill(duplicate, -1e4)
    truth = torch.arange(points.shape[1]).expand(len(points), -1)
    loss = 0.5 * (
        F.cross_entropy(logits.flatten(0, 1), truth.flatten())
        + F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), truth.flatten())
    )
    accuracy = (logits.argmax(-1) == truth).float().mean()
    return loss, float(accuracy)


def train_descriptor(
    network: GrayVGG19, settings: TrainingSettings, generator: Generator, report: Report
) -> None:
    """Train conv5_2..fc6 on frozen taps."""
    weights = [p for module in network.head() for p in module.parameters()]
    optimizer, schedule = _optimizer(weights, settings.descriptor_rate, settings.descriptor_steps)
    bodies, levels = settings.descriptor_bodies, settings.descriptor_levels
    truth = torch.arange(bodies * levels)
    for step in range(settings.descriptor_steps):
        at = _spread_levels(generator, bodies, levels)
        # The product crops to the body: bodies fill the image here.
        labels = random_anatomy(generator, bodies, at, DESCRIPTOR_INPUT_PX, scale=(0.85, 1.05))
        warp = random_warp(generator, len(labels), DESCRIPTOR_INPUT_PX, rotation_deg=10.0)
        images = torch.cat(
            [
                render_contrast(generator, labels),
                render_contrast(generator, warp_labels(labels, warp)),
            ]
        )
        with torch.no_grad():
            relu5_1 = network(images.to(memory_format=torch.channels_last))[-1]
        first, second = network.describe_from_relu5_1(relu5_1).chunk(2)
        logits = first @ second.T / settings.temperature
        loss = 0.5 * (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth))
        _step(optimizer, schedule, loss, weights, settings)
        if step % settings.report_every == 0 or step == settings.descriptor_steps - 1:
            accuracy = (logits.argmax(1) == truth).float().mean()
            report(
                {
                    "step": step,
                    "descriptor_loss": float(loss.detach()),
                    "fc6": float(accuracy),
                    "time_s": time.monotonic(),
                }
            )


def _spread_levels(generator: Generator, bodies: int, levels: int) -> Float[Tensor, "body level"]:
    """Draw levels 0..1 of each body, one in each of `levels` equal parts."""
    jitter = uniform(generator, (bodies, levels), 0.1, 0.9)
    return (torch.arange(levels) + jitter) / levels


def _optimizer(
    weights: list[torch.nn.Parameter], rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW with linear warm-up and cosine decay."""
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-4)
    warm_up = max(1, min(300, steps // 10))

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _step(
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    loss: Tensor,
    weights: list[torch.nn.Parameter],
    settings: TrainingSettings,
) -> None:
    """Take one step down the gradient, its norm clipped."""
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(weights, settings.gradient_norm)
    optimizer.step()
    schedule.step()
