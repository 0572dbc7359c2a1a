"""Smooth noise, cut at the levels of bodies that share a plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F


def uniform(
    generator: Generator, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Draw from [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def smooth_noise(
    generator: Generator, batch: int, channels: int, size_px: int, cell_px: float
) -> Float[Tensor, "batch channel row col"]:
    """Draw noise of unit variance that varies over about `cell_px` pixels."""
    side = max(2, math.ceil(size_px / cell_px) + 1)
    coarse = torch.randn(batch, channels, side, side, generator=generator)
    return F.interpolate(coarse, size=(size_px, size_px), mode="bicubic", align_corners=True)


@dataclass(frozen=True)
class Draw:
    """Draws what a batch of slices is made of.

    Slices are numbered plan by plan, person by person, level by level. Persons of one plan
    share what is drawn per plan; the rest is their own.
    """

    generator: Generator
    levels: Float[Tensor, "plan person level"]
    """Where each slice lies along its body, 0..1."""

    size_px: int
    individuality: float
    """Share of a field that is a person's own, 0 (persons are copies) .. 1."""

    build: float
    """How much the sizes and places of persons differ: multiplies the spread of `own`."""

    def per_plan(self, low: float, high: float) -> Float[Tensor, "slice 1 1"]:
        """Draw one number a plan."""
        plans = self.levels.shape[0]
        return self._spread(uniform(self.generator, (plans, 1, 1), low, high))

    def per_person(self, low: float, high: float) -> Float[Tensor, "slice 1 1"]:
        """Draw one number a person; with `build` 0 persons share it."""
        if self.build == 0:
            return self.per_plan(low, high)
        plans, persons, _ = self.levels.shape
        return self._spread(uniform(self.generator, (plans, persons, 1), low, high))

    def own(self, spread: float) -> Float[Tensor, "slice 1 1"]:
        """Draw a person's factor of a size, exp(-spread * build) .. exp(spread * build)."""
        return torch.exp(self.build * self.per_person(-spread, spread))

    def chance(self, probability: float) -> Float[Tensor, "slice 1 1"]:
        """Draw 1 with `probability`, else 0, for each plan."""
        return (self.per_plan(0.0, 1.0) < probability).float()

    def curve(self, knots: int = 7) -> Float[Tensor, "slice 1 1"]:
        """Draw a smooth curve along the body, of unit variance, and read it at the levels."""
        plans, persons, _ = self.levels.shape
        shared = torch.randn(plans, 1, knots, generator=self.generator)
        own = torch.randn(plans, persons, knots, generator=self.generator)
        share = self.individuality
        curves = (math.sqrt(1 - share**2) * shared + share * own).flatten(0, 1)
        level = 2 * self.levels.flatten(0, 1) - 1
        place = torch.stack([level, torch.zeros_like(level)], -1)[:, None]
        read = F.grid_sample(curves[:, None, None], place, mode="bicubic", align_corners=True)
        return read.reshape(-1, 1, 1)

    def level(self) -> Float[Tensor, "slice 1 1"]:
        """Return the level of each slice."""
        return self._spread(self.levels)

    def field(
        self, channels: int, cell_px: float, *, symmetric: Tensor | None = None
    ) -> Float[Tensor, "slice channel row col"]:
        """Draw noise in three dimensions, of unit variance, and cut it at the levels.

        Args:
            channels: How many fields.
            cell_px: Pixels over which they vary; along the body alike.
            symmetric: (slice, 1, 1), 1 where left and right mirror each other.
        """
        side = max(2, math.ceil(self.size_px / cell_px) + 1)
        depth = max(3, side)
        plans, persons, _ = self.levels.shape
        shape = channels, depth, side, side
        coarse = torch.randn(plans, 1, *shape, generator=self.generator)
        if persons > 1:
            own = torch.randn(plans, persons, *shape, generator=self.generator)
            share = self.individuality
            coarse = math.sqrt(1 - share**2) * coarse + share * own
        position = self.levels.flatten(0, 1) * (depth - 1)
        below = position.floor().clamp(max=depth - 2).long()
        part = (position - below)[:, :, None, None, None]
        body = torch.arange(plans * persons)[:, None].expand_as(below)
        volume = coarse.flatten(0, 1).transpose(1, 2)
        cut = volume[body, below] * (1 - part) + volume[body, below + 1] * part
        # Keep the variance of a cut independent of where it falls between two planes.
        cut = (cut / torch.sqrt(part**2 + (1 - part) ** 2)).flatten(0, 1)
        if symmetric is not None:
            mirrored = (cut + cut.flip(-1)) / math.sqrt(2)
            cut = torch.where(symmetric[..., None] > 0, mirrored, cut)
        size = self.size_px, self.size_px
        return F.interpolate(cut, size=size, mode="bicubic", align_corners=True)

    def _spread(self, values: Tensor) -> Float[Tensor, "slice 1 1"]:
        return values.expand_as(self.levels).reshape(-1, 1, 1)
