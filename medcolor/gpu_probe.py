"""Whether a GPU computes what the CPU does: a small pair, matched and voted on by both."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from jaxtyping import Float

from medcolor.domain import Box, ReferenceSlice
from medcolor.features.network import GrayVGG19
from medcolor.features.settings import FeatureSettings
from medcolor.features.store import load_network
from medcolor.gpu import compute_repeatably
from medcolor.matching.settings import MatchingSettings
from medcolor.prepared import Crop, prepare_reference
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.settings import TransferSettings
from medcolor.votes import Vote, gather_votes

_SIZE = 96
_LIKENESS = 0.02
"""Share of pixels whose colour may differ by more than a little: float16 decides ties otherwise."""

_A_LITTLE = 1.0
"""In L*, a* or b*."""


@dataclass(frozen=True)
class _Settings:
    """The defaults of what decides a vote."""

    features: FeatureSettings = field(
        default_factory=lambda: FeatureSettings(working_size_px=_SIZE)
    )
    matching: MatchingSettings = field(default_factory=MatchingSettings)
    transfer: TransferSettings = field(default_factory=TransferSettings)


@dataclass(frozen=True)
class Comparison:
    """How far a device agrees with the CPU."""

    differing: float
    """Share of pixels whose colours differ by more than a little."""

    @property
    def agrees(self) -> bool:
        """Whether that is what rounding does."""
        return self.differing <= _LIKENESS


def compare_with_cpu(device: torch.device) -> Comparison:
    """Match a small pair and vote on it, here and on a device, in float32."""
    compute_repeatably()
    network = load_network().module
    expected = _vote(network).lab
    found = _vote(network.to(device)).lab
    return Comparison(float((np.abs(expected - found) > _A_LITTLE).any(axis=0).mean()))


def _vote(network: GrayVGG19) -> Vote:
    """Return what a picture says about itself, moved a little."""
    settings, picture = _Settings(), _texture(_SIZE, _SIZE)
    body = np.ones(picture.shape[:2], bool)
    photograph = ReferenceSlice("", np.rint(255 * picture).astype(np.uint8), body)
    grey = np.roll(picture[..., 0], (5, 3), axis=(0, 1))
    crop = Crop(0, Box(0, _SIZE, 0, _SIZE), grey, grey, body)
    references = [[(prepare_reference(photograph, network, settings), 1.0)]]
    ((vote,),) = gather_votes([crop], references, network, settings, Stopwatch())
    return vote


def _texture(rows: int, cols: int) -> Float[np.ndarray, "row col 3"]:
    """Return a cloudy picture, 0..1, without two places alike."""
    noise = np.random.default_rng(0).random((rows, cols, 3), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3) + 0.2 * cv2.GaussianBlur(noise, (0, 0), 1)
    span = smooth.max() - smooth.min()
    return np.asarray((smooth - smooth.min()) / span, np.float32)
