"""Training of the embedded network, from scratch, on synthetic anatomy only.

Two phases. *Dense*: features of two renderings of one slice, deformed against
each other, must agree where the anatomy agrees (InfoNCE, van den Oord et al.
2018, arXiv:1807.03748, at relu2_1..relu5_1). *Descriptor*: fc6 is then solved for
(descriptor.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from medcolor.features.descriptor import DescriptorSettings, fit_descriptor
from medcolor.features.network import (
    LEVEL_NAMES,
    GrayVGG19,
    NetworkSpec,
    channels_last,
)
from medcolor.features.synthetic.bodies import BodySettings, random_bodies
from medcolor.features.synthetic.contrast import remap_tones, render_contrast, set_background
from medcolor.features.synthetic.deform import random_warp, warp_image, warp_labels
from medcolor.features.synthetic.noise import uniform

_LOUDNESS = (0.0, 0.7, 1.0, 1.4, 2.0)
"""Of derivatives by their order, rows and columns together."""

_BRIGHTNESS = 0.005
_FLOOR = 0.01
"""In input values 0..1."""

Report = Callable[[dict[str, float]], None]
"""Receives step number, loss and accuracies now and then."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What decides the weights, beside the code and the seed."""

    seed: int = 0
    dense_steps: int = 8000
    dense_sizes: tuple[tuple[int, int], ...] = ((128, 6), (176, 3), (256, 2))
    """(side in px, bodies) of the batches, in turn: near and far surroundings of a point
    must both be enough, and images of the product's working size must be among them."""

    bodies: BodySettings = field(
        default_factory=lambda: BodySettings(individuality=0.15, build=0.0)
    )
    """The second image shows a person of the same frame whose insides differ a little: what
    is found in another must not hang on every detail."""

    same_rendering: float = 0.3
    """Share of bodies whose second image is the first with other tones, instead of another
    person in another rendering: texture and fine detail are then worth knowing."""

    points: tuple[int, ...] = (512, 512, 256, 96)
    """Points compared with each other in each image, relu2_1 first."""

    cluster: int = 8
    """Points drawn near each other at relu2_1 and relu3_1, where the product searches
    windows."""

    cluster_radius: float = 5.0
    """In cells of the level."""

    patch: int = 3
    """Side of the patches compared, in cells: those of the product's matching."""

    temperature: float = 0.07
    dense_rate: float = 1e-3
    descriptor: DescriptorSettings = field(default_factory=DescriptorSettings)
    gradient_norm: float = 1.0
    report_every: int = 100


def train(
    spec: NetworkSpec,
    settings: TrainingSettings,
    report: Report,
    device: torch.device | None = None,
    workers: int = 0,
) -> GrayVGG19:
    """Train a network of `spec` from scratch; repeats exactly on one CPU and thread count.

    Args:
        spec: Topology.
        settings: Everything else that decides the weights.
        report: Receives losses and accuracies.
        device: Where the network is trained; the CPU by default. Batches are drawn on CPUs.
        workers: Processes that draw batches ahead; 0 draws them in this one. Their number changes
            nothing, since every step has its own seed.
    """
    torch.manual_seed(settings.seed)
    network = channels_last(GrayVGG19(spec))
    set_derivatives(network)
    network.to(device or torch.device("cpu"))
    train_dense(network, settings, report, workers)
    fit_descriptor(network, settings.descriptor, settings.seed, report)
    network.requires_grad_(False).eval()
    return network


def set_derivatives(network: GrayVGG19) -> None:
    """Set conv1_1 to the eight derivatives of a 3 x 3 neighbourhood and their negatives.

    They are the cosine basis without its mean, higher ones louder. A bias near the noise keeps
    cells without a derivative from counting as much as edges once features have unit length
    (all channels then carry it, as an extra constant one would), and a little of the mean tells
    flat tissues apart. Weights were chosen by relu1_1's misses against raw patches; training on
    random contrasts makes relu1_1 worse at finding fine detail than this (LOG.md).
    """
    cosines = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    cosines = cosines / cosines.norm(dim=1, keepdim=True)
    basis = torch.einsum("ir,jc->ijrc", cosines, cosines).flatten(0, 1)[:, None]
    order = torch.tensor([0, 1, 2]) + torch.tensor([0, 1, 2])[:, None]
    derivatives = basis[1:] * torch.tensor(_LOUDNESS)[order.flatten()[1:], None, None, None]
    bank = torch.cat([derivatives, -derivatives]) + _BRIGHTNESS * basis[:1]
    count = network.spec.channels()[0]
    filters = bank.repeat(math.ceil(count / len(bank)), 1, 1, 1)[:count]
    with torch.no_grad():
        network.get_parameter("conv1_1.weight").copy_(filters)
        network.get_parameter("conv1_1.bias").fill_(_FLOOR)


class _DenseBatches(Dataset["DenseBatch"]):
    """The batch of every step, each with its own seed."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings

    def __len__(self) -> int:
        return self._settings.dense_steps

    def __getitem__(self, step: int) -> DenseBatch:
        if step >= len(self):
            raise IndexError(step)
        generator = Generator().manual_seed((self._settings.seed << 32) + step)
        return dense_batch(generator, self._settings, step)


def draw_batches(settings: TrainingSettings, workers: int) -> Iterable[DenseBatch]:
    """Return the batches of all steps in their order, drawn ahead by `workers` processes."""
    context = "spawn" if workers else None  # CUDA does not survive a fork
    return DataLoader(
        _DenseBatches(settings),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=context,
    )


def train_dense(
    network: GrayVGG19, settings: TrainingSettings, report: Report, workers: int = 0
) -> None:
    """Train the taps relu2_1..relu5_1 on pairs of images; relu1_1 stays as it is."""
    weights = [
        parameter
        for name, parameter in network.named_parameters()
        if not name.startswith(("fc6", "conv1_1"))
    ]
    optimizer, schedule = _optimizer(weights, settings.dense_rate, settings.dense_steps)
    means = _Means(settings.report_every, settings.dense_steps, report)
    network.get_submodule("conv1_1").requires_grad_(False)
    for drawn in draw_batches(settings, workers):
        batch = drawn.to(network.device)
        taps = network(batch.images.to(memory_format=torch.channels_last))
        losses, figures = [], {}
        for name, tap, points in zip(LEVEL_NAMES[1:], taps[1:], batch.points, strict=True):
            fixed, moving = tap.chunk(2)
            loss, figures[name] = dense_loss(
                fixed,
                moving,
                points,
                batch.warp,
                temperature=settings.temperature,
                patch=settings.patch,
            )
            losses.append(loss)
        total = torch.stack(losses).sum()
        _step(optimizer, schedule, total, weights, settings)
        means.add({"dense_loss": total.detach(), **figures})


@dataclass(frozen=True)
class DenseBatch:
    """Two images of each body, and where their features are compared."""

    images: Float[Tensor, "image 1 row col"]
    """First all fixed images, then all moving ones."""

    warp: Float[Tensor, "body row col 2"]
    """Pixel of the moving image -> place in the fixed one."""

    points: tuple[Float[Tensor, "body _p 2"], ...]
    """(col, row) in the moving image, -1..1, for each level from relu2_1."""

    def to(self, device: torch.device) -> DenseBatch:
        """Return the batch on a device."""
        points = tuple(one.to(device) for one in self.points)
        return DenseBatch(self.images.to(device), self.warp.to(device), points)


def dense_batch(generator: Generator, settings: TrainingSettings, step: int) -> DenseBatch:
    """Draw the batch of one step."""
    size_px, bodies = settings.dense_sizes[step % len(settings.dense_sizes)]
    fixed, moving, warp, inside = dense_pair(generator, settings, size_px, bodies)
    points = tuple(
        sample_points(
            generator,
            inside,
            count,
            cluster=settings.cluster,
            radius=settings.cluster_radius * 2 ** (level + 1) / size_px if level < 3 else 0.0,
        )
        for level, count in enumerate(settings.points, 1)
    )
    return DenseBatch(torch.cat([fixed, moving]), warp, points)


class _Means:
    """Averages figures over steps and reports them now and then."""

    def __init__(self, every: int, steps: int, report: Report) -> None:
        self._every, self._steps, self._report = every, steps, report
        self._step, self._count = 0, 0
        self._sums: dict[str, Tensor] = {}

    def add(self, figures: dict[str, Tensor]) -> None:
        """Count one step; values are read back from the device when they are reported."""
        self._step, self._count = self._step + 1, self._count + 1
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        if self._count == self._every or self._step == self._steps:
            means = {name: float(value) / self._count for name, value in self._sums.items()}
            self._report({"step": self._step, **means})
            self._sums, self._count = {}, 0


def dense_pair(
    generator: Generator, settings: TrainingSettings, size_px: int, bodies: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw two images of the same slices, the second deformed.

    Returns:
        The two images, the warp (pixel of the second -> place in the first) and a
        mask of the second's pixels that show the same tissue in both.
    """
    levels = uniform(generator, (bodies, 1, 1)).expand(bodies, 2, 1)
    labels, other = (
        random_bodies(generator, levels, size_px, settings.bodies)
        .view(bodies, 2, size_px, size_px)
        .unbind(1)
    )
    same = torch.rand(bodies, 1, 1, generator=generator) < settings.same_rendering
    other = torch.where(same, labels, other)
    warp = random_warp(generator, bodies, size_px)
    partner, moved = warp_labels(labels, warp), warp_labels(other, warp)
    fixed = render_contrast(generator, labels)
    moving = torch.where(
        same[:, None],
        remap_tones(generator, warp_image(fixed, warp)),
        render_contrast(generator, moved),
    )
    fixed, shown = set_background(generator, fixed, labels > 0)
    moving, inside = set_background(generator, moving, moved > 0)
    both = inside & (warp_labels(shown.long(), warp) > 0) & (partner == moved)
    return fixed, moving, warp, both


def sample_points(
    generator: Generator, inside: Tensor, count: int, *, cluster: int, radius: float
) -> Float[Tensor, "batch p 2"]:
    """Draw (col, row) in -1..1 of `count` pixels of each mask; any pixels if a mask is empty.

    With a `radius` above 0 they come in clusters of `cluster` points.
    """
    size_px = inside.shape[-1]
    weights = inside.flatten(1).float() + 1e-6
    index = torch.multinomial(weights, count, replacement=True, generator=generator)
    row, col = index // size_px, index % size_px
    spread = torch.stack([(2 * col + 1) / size_px - 1, (2 * row + 1) / size_px - 1], dim=-1)
    if radius == 0:
        return spread
    centres = spread[:, ::cluster].repeat_interleave(cluster, 1)[:, :count]
    near = centres + uniform(generator, tuple(centres.shape), -radius, radius)
    kept = F.grid_sample(inside[:, None].float(), near[:, :, None], align_corners=False)
    return torch.where(kept[:, 0] > 0.5, near, centres)


def dense_loss(
    fixed: Float[Tensor, "batch channel row col"],
    moving: Float[Tensor, "batch channel row col"],
    points: Float[Tensor, "batch p 2"],
    warp: Float[Tensor, "batch h w 2"],
    *,
    temperature: float,
    patch: int,
) -> tuple[Tensor, Tensor]:
    """Return symmetric InfoNCE over the points of each image, and its top-1 accuracy, 0..1.

    Points nearer than one cell of the level are near duplicates: neither positive nor negative.
    """
    partner = F.grid_sample(
        warp.permute(0, 3, 1, 2), points[:, :, None], mode="bilinear", align_corners=False
    )[..., 0].transpose(1, 2)
    cell = 2 / moving.shape[-1]
    device = points.device
    reach = cell * (torch.arange(patch, device=device) - patch // 2)
    offsets = torch.cartesian_prod(reach, reach)

    def gather(features: Tensor, at: Tensor) -> Tensor:
        """Return patches of unit cells, (batch, p, channel * offset), of unit length."""
        sampled = F.grid_sample(
            features,
            at[:, :, None] + offsets,
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        cells = F.normalize(sampled, dim=1, eps=1e-6) / patch
        return cells.transpose(1, 2).flatten(2)

    similarity = gather(moving, points) @ gather(fixed, partner).transpose(1, 2)
    itself = torch.eye(points.shape[1], dtype=torch.bool, device=device)
    duplicate = (torch.cdist(points, points) < cell) & ~itself
    logits = (similarity / temperature).masked_fill(duplicate, -1e4)
    truth = torch.arange(points.shape[1], device=device).expand(len(points), -1)
    loss = 0.5 * (
        F.cross_entropy(logits.flatten(0, 1), truth.flatten())
        + F.cross_entropy(logits.transpose(1, 2).flatten(0, 1), truth.flatten())
    )
    accuracy = (logits.argmax(-1) == truth).float().mean()
    return loss, accuracy


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
