"""Slices take the colours of photographs: the method, on one page.

Devkota and Pattanaik, "Reference Based Color Transfer for Medical Volume
Rendering": match deep features coarse to fine (section 4.1), vote the reference's
colours through the field, keep the scan's structure with equation 1, between gamma
1/2 and 2 if asked for (section 5.1). Ours are several references, heard by their
agreement with the scan, and the pooling of votes by place and grey level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from medcolor.domain import ColorSlice, Reconstruction, TargetSlice
from medcolor.features.network import PlacedNetwork
from medcolor.features.settings import FeatureSettings
from medcolor.filters.pooling import pool_votes
from medcolor.filters.settings import PoolingSettings, SmoothingSettings
from medcolor.filters.spread import match_spread
from medcolor.matching.settings import MatchingSettings
from medcolor.pair_limit import PairLimit
from medcolor.prepared import PreparedReference, crop_slice
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.agreement import blend_votes
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.opacity import opacity
from medcolor.transfer.settings import OpacitySettings, TransferSettings
from medcolor.votes import gather_votes

_WIDER = 1.0, 1.6
"""What averaging narrowed is widened: each mean of a right and a wrong match is paler than both."""


@runtime_checkable
class SliceSettings(Protocol):
    """What colouring a slice asks of the settings of a run."""

    @property
    def features(self) -> FeatureSettings:
        """What the network sees."""

    @property
    def matching(self) -> MatchingSettings:
        """How places are found."""

    @property
    def transfer(self) -> TransferSettings:
        """How votes become colours."""

    @property
    def pooling(self) -> PoolingSettings:
        """How votes are averaged."""

    @property
    def smoothing(self) -> SmoothingSettings:
        """The filter of equation 1."""

    @property
    def opacity(self) -> OpacitySettings:
        """Alpha."""


def colorize_slice(
    target: TargetSlice,
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
) -> ColorSlice:
    """Give one slice the colours of references and keep its structure.

    Args:
        target: The slice; without a body it stays empty.
        references: Each with its weight, > 0.
        network: For matching.
        settings: Of every stage.
        stopwatch: Told what each stage takes.
    """
    made = list(reconstruct_slices([target], [references], network, settings, stopwatch))
    with stopwatch("transfer"):
        return color_slice(target, made[0] if made else None, settings, network.device)


def reconstruct_slices(
    targets: Sequence[TargetSlice],
    references: Sequence[Sequence[tuple[PreparedReference, float]]],
    network: PlacedNetwork,
    settings: SliceSettings,
    stopwatch: Stopwatch,
    limit: PairLimit | None = None,
) -> Iterator[Reconstruction]:
    """Yield T' of every slice that shows a body.

    Args:
        targets: Slices.
        references: Of each slice, with weights > 0.
        network: For matching.
        settings: Of every stage.
        stopwatch: Told what each stage takes.
        limit: Of pairs of a slice and a reference matched at once; by default what suits a device.
    """
    cut = [crop_slice(target, settings.features) for target in targets]
    shown = [(crop, heard) for crop, heard in zip(cut, references, strict=True) if crop is not None]
    crops, heard = [crop for crop, _ in shown], [some for _, some in shown]
    votes = gather_votes(crops, heard, network, settings, stopwatch, limit)
    for crop, said in zip(crops, votes, strict=True):
        with stopwatch("agreement"):
            vote = blend_votes(said, crop.grey, settings.transfer.agreement_tolerance)
        with stopwatch("pooling"):
            trust = vote.trust * crop.body
            lab = pool_votes(vote.lab, crop.matched, trust, settings.pooling)
            lab = match_spread(lab, vote.own, trust, settings.pooling.spread, _WIDER)
            lab[..., 2] = np.maximum(lab[..., 2], settings.transfer.least_b)
        yield Reconstruction(crop.z, crop.box, crop.grey, lab, vote.trust)


def color_slice(
    target: TargetSlice,
    made: Reconstruction | None,
    settings: SliceSettings,
    device: torch.device | None = None,
) -> ColorSlice:
    """Put reconstructed colours on a slice's own structure; without any it stays empty."""
    rgba = np.zeros((*target.luminance.shape, 4), np.uint8)
    if made is not None:
        where = made.box.slices
        scan, body = target.luminance[where], target.body[where]
        rgb = equation_1(
            scan, body, made.lab, made.trust, settings.transfer, settings.smoothing, device
        )
        rgba[where][..., :3] = np.rint(255 * rgb)
        rgba[where][..., 3] = np.rint(255 * opacity(scan, body, settings.opacity))
        rgba[~target.body] = 0
    return ColorSlice(rgba, target.z)
