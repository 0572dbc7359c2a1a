"""Slices take the colours of photographs: the method, on one page.

Devkota and Pattanaik, "Reference Based Color Transfer for Medical Volume
Rendering": match deep features coarse to fine (section 4.1), vote the reference's
colours through the field, keep the scan's structure with equation 1. Ours is what
lies between the last two: the votes of all photographs for all slices become one
model of the whole body, colour as a function of place and of what the scan
measures there. The look `paper` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from medcolor.body import resize
from medcolor.domain import ColorSlice, SliceVotes, TargetSlice
from medcolor.features.network import PlacedNetwork
from medcolor.features.settings import FeatureSettings
from medcolor.matching.settings import MatchingSettings
from medcolor.pair_limit import PairLimit
from medcolor.prepared import PreparedReference, crop_slice
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.ballot import learn_from_slice
from medcolor.transfer.looks import LookSettings, color_slice, needs_votes
from medcolor.transfer.scan import ScanStatistics, describe_scan, known
from medcolor.votes import gather_votes


@runtime_checkable
class SliceSettings(LookSettings, Protocol):
    """What colouring a slice asks of the settings of a run."""

    @property
    def features(self) -> FeatureSettings:
        """What the network sees."""

    @property
    def matching(self) -> MatchingSettings:
        """How places are found."""


def colorize_slice(
    target: TargetSlice,
    references: Sequence[tuple[PreparedReference, float]],
    network: PlacedNetwork,
    settings: SliceSettings,
    statistics: ScanStatistics,
    stopwatch: Stopwatch,
) -> ColorSlice:
    """Give one slice, as if it were a whole scan, the colours of references.

    Args:
        target: The slice; without a body it stays empty.
        references: Each with its weight, > 0.
        network: For matching.
        settings: Of every stage.
        statistics: Of the scan.
        stopwatch: Told what each stage takes.
    """
    most = max(weight for _, weight in references)
    relative = [(one, weight / most) for one, weight in references]
    given = [target], [relative], network, settings, statistics, stopwatch
    found = list(vote_on_slices(*given))
    votes = found[0] if found else None
    with stopwatch("model"):
        model = None
        if votes is not None and settings.transfer.look != "paper":
            model = learn_from_slice(votes, statistics, settings.model).to(network.device)
    with stopwatch("transfer"):
        own = votes if needs_votes(model, settings) else None
        return color_slice(target, model, own, settings, statistics, network.device)


def vote_on_slices(
    targets: Sequence[TargetSlice],
    references: Sequence[Sequence[tuple[PreparedReference, float]]],
    network: PlacedNetwork,
    settings: SliceSettings,
    statistics: ScanStatistics,
    stopwatch: Stopwatch,
    limit: PairLimit | None = None,
) -> Iterator[SliceVotes]:
    """Yield what photographs say of every slice that shows a body.

    Args:
        targets: Slices.
        references: Of each slice, with weights > 0.
        network: For matching.
        settings: Of every stage.
        statistics: Of the scan.
        stopwatch: Told what each stage takes.
        limit: Of pairs of a slice and a reference matched at once; by default what suits a device.
    """
    cut = [crop_slice(target, settings.features) for target in targets]
    shown = [
        (target, crop, heard)
        for target, crop, heard in zip(targets, cut, references, strict=True)
        if crop is not None
    ]
    crops, heard = [crop for _, crop, _ in shown], [some for *_, some in shown]
    votes = gather_votes(crops, heard, network, settings, stopwatch, limit)
    for (target, crop, some), said in zip(shown, votes, strict=True):
        with stopwatch("describing"):
            values = torch.from_numpy(known(target.values[crop.box.slices]))
            contrast = resize(describe_scan(values, statistics).numpy(), crop.body.shape)
        yield SliceVotes(
            z=crop.z,
            box=crop.box,
            body=crop.body,
            contrast=contrast.astype(np.float16),
            lab=np.stack([one.lab for one in said]).astype(np.float16),
            trust=(np.stack([one.trust for one in said]) * crop.body).astype(np.float16),
            nearness=tuple(weight for _, weight in some),
        )
