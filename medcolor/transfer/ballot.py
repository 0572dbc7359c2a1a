"""What votes count for, and their sums of some slices.

Votes go astray, and a mean of right and wrong colours is paler than both. So votes are counted
again, each with a weight by its distance from a first model whose distance from the mean of the
neighbourhood is stretched: of two opinions the one that says more about this contrast is heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.domain import SliceVotes
from medcolor.transfer.lattice import Lattice, splat
from medcolor.transfer.model import ColorModel, fit_model
from medcolor.transfer.scan import ScanStatistics
from medcolor.transfer.settings import ModelSettings
from medcolor.transfer.vote_mean import vote_weights

_CPU = torch.device("cpu")
_LEAST_RELIABILITY = 0.03
"""Of a vote at a border, so that thin structures have some."""

_LEAST_WELSCH = 1e-6
_REACH_PX = 2


@dataclass(frozen=True)
class Ballot:
    """Sums of the votes of some slices that follow each other."""

    first_layer: int
    """Of the lattice along the body."""

    sums: Int[Tensor, "4 layer y x contrast"]
    """As of `lattice.splat`."""


def count_votes(
    votes: Iterable[SliceVotes],
    slices: range,
    lattice: Lattice,
    draft: ColorModel | None,
    settings: ModelSettings,
    device: torch.device = _CPU,
) -> Ballot:
    """Add up the votes of some slices that follow each other.

    Args:
        votes: Of those that show a body, in any order.
        slices: All of them.
        lattice: Where sums are kept.
        draft: A first model, on `device`, by which votes are weighted; without one all are believed
            alike.
        settings: Of the model.
        device: To compute on; the sums are equal on all, and come back to the CPU.
    """
    lowest = lattice.layer(slices[0])
    layers = lattice.layer(slices[-1]) - lowest + 1
    sums = torch.zeros(4, layers, *lattice.shape[1:], dtype=torch.int64, device=device)
    for one in votes:
        contrast = torch.from_numpy(one.contrast).to(device).float()
        lab = torch.from_numpy(one.lab).to(device).float()
        weight = _weights(one, contrast, settings)
        if draft is not None:
            weight = weight * _agreement(draft, one, contrast, lab, settings)
        sums[:, lattice.layer(one.z) - lowest] += splat(lattice, one.box, contrast, lab, weight)
    return Ballot(lowest, sums.cpu())


def join(ballots: Sequence[Ballot]) -> Ballot:
    """Return the sums of several; they are whole numbers, so that the order does not matter."""
    lowest = min(one.first_layer for one in ballots)
    layers = max(one.first_layer + one.sums.shape[1] for one in ballots) - lowest
    return Ballot(lowest, _sum(ballots, lowest, (layers, *ballots[0].sums.shape[2:])))


def add_up(ballots: Iterable[Ballot], lattice: Lattice) -> Int[Tensor, "4 z y x contrast"]:
    """Return the sums of all on the whole lattice."""
    return _sum(ballots, 0, lattice.shape)


def _sum(
    ballots: Iterable[Ballot], lowest: int, shape: tuple[int, ...]
) -> Int[Tensor, "4 layer y x contrast"]:
    """Add up sums on the layers from `lowest` on."""
    total = torch.zeros(4, *shape, dtype=torch.int64)
    for one in ballots:
        start = one.first_layer - lowest
        total[:, start : start + one.sums.shape[1]] += one.sums
    return total


def learn_colors(
    votes: Sequence[SliceVotes],
    lattice: Lattice,
    statistics: ScanStatistics,
    settings: ModelSettings,
) -> ColorModel:
    """Fit the model to votes that are all in memory, in the order of their slices."""
    model, slices = None, range(votes[-1].z + 1)
    for left in reversed(range(settings.rounds + 1)):
        ballot = count_votes(votes, slices, lattice, model, settings)
        total = add_up([ballot], lattice)
        model = fit_model(total, lattice, statistics, settings, is_draft=left > 0)
    assert model is not None
    return model


def learn_from_slice(
    votes: SliceVotes, statistics: ScanStatistics, settings: ModelSettings
) -> ColorModel:
    """Fit the model to the votes of one slice alone."""
    # Slices as far apart as pixels are at their shorter side.
    lattice = Lattice.over(votes.z + 1, (1.0, *statistics.pixel), statistics, settings)
    return learn_colors([votes], lattice, statistics, settings)


def _weights(
    votes: SliceVotes, contrast: Float[Tensor, "row col"], settings: ModelSettings
) -> Float[Tensor, "vote row col"]:
    """Return nearness sqrt(trust) times how reliable the place is.

    Matches at borders of the scan are a pixel or two beside them.
    """
    body = torch.from_numpy(votes.body).to(contrast.device)
    reliability = _reliability(contrast, body, settings.border_contrast)
    return torch.from_numpy(vote_weights(votes)).to(contrast.device) * reliability


def _reliability(
    contrast: Float[Tensor, "row col"], body: Tensor, tolerance: float
) -> Float[Tensor, "row col"]:
    """Return 0..1, less where the contrast changes within two pixels; 0 outside the body."""
    rim = F.max_pool2d((~body)[None].float(), 3, 1, 1)[0] > 0
    side = 2 * _REACH_PX + 1

    def highest(image: Float[Tensor, "row col"]) -> Float[Tensor, "row col"]:
        inside = image.masked_fill(rim, -2.0)
        return F.max_pool2d(inside[None], side, 1, _REACH_PX)[0]

    change = (highest(contrast) + highest(-contrast)).clamp(0, 2)
    return body * (_LEAST_RELIABILITY + torch.exp(-0.5 * (change / tolerance).square()))


def _agreement(
    draft: ColorModel,
    votes: SliceVotes,
    contrast: Float[Tensor, "row col"],
    lab: Float[Tensor, "vote 3 row col"],
    settings: ModelSettings,
) -> Float[Tensor, "vote row col"]:
    """Return Welsch's weights exp(-(d / tolerance)^2 / 2) (Holland and Welsch 1977)."""
    wanted = draft.read(votes.z, votes.box, contrast)
    squared = (lab - wanted).square().sum(1)
    return _LEAST_WELSCH + torch.exp(squared / (-2 * settings.tolerance**2))
