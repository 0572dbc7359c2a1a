"""What photographs say about slices: pairs are matched, and the colours that matches carry voted.

On a GPU as many pairs of several slices and their photographs are matched at once as its memory
holds, in any order; on a CPU one after another. What a pair says depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from medcolor.domain import Box, ReferenceSlice
from medcolor.errors import RunError
from medcolor.features.extract import extract_pyramids
from medcolor.features.network import GrayVGG19, PlacedNetwork
from medcolor.features.pyramid import FeaturePyramid
from medcolor.gpu import Download, on_device
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import Correspondence
from medcolor.matching.vote import vote
from medcolor.pair_limit import GPU_PAIRS, PairLimit
from medcolor.prepared import Crop, MatchedSettings, PreparedReference, prepare_reference
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.settings import TransferSettings


@runtime_checkable
class VoteSettings(MatchedSettings, Protocol):
    """What decides how photographs vote."""

    @property
    def transfer(self) -> TransferSettings:
        """How votes become colours."""


@dataclass(frozen=True)
class Pair:
    """A slice and one of its photographs."""

    target: FeaturePyramid
    reference: PreparedReference


@dataclass(frozen=True)
class Vote:
    """What a photograph says of a slice, on its working grid, padded or not."""

    lab: Float[np.ndarray, "3 row col"]
    """T'_Lab, the slice reconstructed from the reference by the votes of overlapping patches."""

    trust: Float[np.ndarray, "row col"]
    """0..1."""

    def inside(self, crop: Crop) -> Vote:
        """Return both without the padding of a slice."""
        rows, cols = crop.body.shape
        return Vote(self.lab[:, :rows, :cols], self.trust[:rows, :cols])


def warm_up(network: GrayVGG19, settings: VoteSettings, shape: tuple[int, int] = (48, 32)) -> None:
    """Have everything compiled and planned that a GPU needs, by matching a pair of images.

    Args:
        network: For matching.
        settings: Of matching and voting.
        shape: Rows and columns that slices of the run have: libraries plan for each shape anew.
    """
    source = np.random.default_rng(0)
    grey, everywhere = source.random(shape, np.float32), np.ones(shape, bool)
    rgb = (255 * source.random((*shape[::-1], 3))).astype(np.uint8)
    photograph = ReferenceSlice("", rgb, everywhere.T)
    reference = prepare_reference(photograph, network, settings)
    crop = Crop(0, Box(0, shape[0], 0, shape[1]), grey, grey, everywhere)
    heard = [[(reference, 1.0)]]
    gather_votes([crop], heard, network, settings, Stopwatch(), PairLimit(1))


def gather_votes(
    crops: Sequence[Crop],
    references: Sequence[Sequence[tuple[PreparedReference, float]]],
    network: PlacedNetwork,
    settings: VoteSettings,
    stopwatch: Stopwatch,
    limit: PairLimit | None = None,
) -> list[list[Vote]]:
    """Return for each slice what each of its photographs says.

    Args:
        crops: Of slices.
        references: The photographs of each slice, with weights > 0.
        network: For matching.
        settings: Of matching and voting.
        stopwatch: Told what each stage takes.
        limit: Of pairs matched at once; learns. By default one on a CPU, else GPU_PAIRS.

    Raises:
        RunError: A GPU's memory does not hold a single pair.
    """
    device = network.device
    limit = limit or PairLimit(1 if device.type == "cpu" else GPU_PAIRS)

    def extract() -> list[FeaturePyramid]:
        pictures = [crop.picture for crop in crops]
        with stopwatch("features", device):
            return extract_pyramids(network, pictures, settings.matching.finest_features)

    pyramids = on_device(device, extract)
    pairs = [
        Pair(pyramid, reference)
        for pyramid, heard in zip(pyramids, references, strict=True)
        for reference, _ in heard
    ]
    said: list[Vote] = []
    while len(said) < len(pairs):
        some = pairs[len(said) : len(said) + limit.pairs]
        heard = _hear(some, network, settings, stopwatch)
        if heard is None:
            if len(some) == 1:
                raise RunError(
                    "GPU memory",
                    "it does not hold a single slice and photograph",
                    "Lower features.working_size_px, or use a GPU with more memory",
                )
            limit.halve(len(some))
        else:
            said += heard
    answers = iter(said)
    return [
        [next(answers).inside(crop) for _ in heard]
        for crop, heard in zip(crops, references, strict=True)
    ]


def _hear(
    pairs: Sequence[Pair], network: PlacedNetwork, settings: VoteSettings, stopwatch: Stopwatch
) -> list[Vote] | None:
    """Match pairs at once and fetch their votes; None if there is no memory for that."""
    device = network.device

    def match() -> Votes:
        with stopwatch("matching", device):
            targets = [pair.target for pair in pairs]
            references = [pair.reference.pyramid for pair in pairs]
            found = match_coarse_to_fine(targets, references, settings.matching, network)
        with stopwatch("voting", device):
            return vote_colors(found, pairs, settings.transfer)

    try:
        return on_device(device, match).opened()
    except torch.OutOfMemoryError:
        pass  # what was tried still holds its memory, until the exception is gone
    torch.cuda.empty_cache()
    return None


class Votes:
    """What pairs say, perhaps still on its way from a GPU."""

    def __init__(self, said: Sequence[Vote] | Download) -> None:
        """Take what is here, or will be: four planes for each pair."""
        self._said = said

    def opened(self) -> list[Vote]:
        """Return what each pair says, on the padded grid of its slice or a larger one."""
        if not isinstance(self._said, Download):
            return list(self._said)
        return [Vote(one[:3], one[3]) for one in self._said.wait()]


@torch.no_grad()
def vote_colors(found: Correspondence, pairs: Sequence[Pair], settings: TransferSettings) -> Votes:
    """Let the photograph of every pair vote for the colours of its slice.

    Args:
        found: Their matches, in the same order.
        pairs: Slices and photographs.
        settings: Of voting.
    """
    if found.confidence.device.type == "cpu":
        return Votes([_vote(found[at : at + 1], pair, settings) for at, pair in enumerate(pairs)])
    return _vote_together(found, pairs, settings)


def _vote_together(
    found: Correspondence, pairs: Sequence[Pair], settings: TransferSettings
) -> Votes:
    """Let all photographs vote at once, on a GPU."""
    from medcolor.matching.finish_triton import vote_at_once  # CPUs need no Triton
    from medcolor.matching.searches import Searches

    searches = Searches.of([(pair.target, pair.reference.pyramid) for pair in pairs])
    planes = vote_at_once(
        searches,
        found,
        [pair.reference.lab for pair in pairs],
        patch_px=settings.vote_patch_px,
        least_confidence=settings.least_confidence,
    )
    return Votes(Download.of(planes))


def _vote(found: Correspondence, pair: Pair, settings: TransferSettings) -> Vote:
    """Let one photograph vote, on a CPU."""
    rows, cols = pair.target.tissue.shape[1:]
    position = found.target_to_reference.position[..., :rows, :cols]
    sure = found.confidence[..., :rows, :cols].clamp(min=settings.least_confidence)
    lab, trust = vote(
        position,
        pair.target.tissue * sure,
        pair.reference.lab,
        pair.reference.pyramid.tissue,
        patch_px=settings.vote_patch_px,
    )
    return Vote(lab[0].numpy(), trust[0].numpy())
