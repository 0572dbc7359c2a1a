"""Settings of the matching. configs/matching/ holds two sets: fast (the default) and paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.settings import Settings

Search = Literal["global", "window", "patchmatch"]

_LEVELS = 5
_GLOBAL_LEVELS = 3
"""Below relu3_1 a table of all pairs of cells would take gigabytes."""


@dataclass(frozen=True, kw_only=True)
class MatchingSettings(Settings):
    """Coarse-to-fine search. Lists run coarse to fine: relu5_1, relu4_1, .., relu1_1."""

    search: tuple[Search, ...] = ("global", "window", "window", "window", "window")
    """How each level is searched. global: all pairs, exact. window: all places within a
    radius of the upsampled match, exact. patchmatch: random, on CPUs alone."""

    patch_px: tuple[int, ...] = (7, 5, 3, 3, 3)
    """Side of the patches compared at each level, in cells of the level; odd."""

    radius_px: tuple[int, ...] = (3, 3, 2, 2)
    """Reach of the windows at relu4_1 .. relu1_1, in cells of the level; of the first
    random search of patchmatch there."""

    finest_level: Literal["relu1_1", "relu2_1", "relu3_1"] = "relu2_1"
    """The last level that is matched; its matches are enlarged to pixels. relu1_1 knows
    too little across modalities to gain by (LOG.md); photographs gain by it."""

    propagation: int = 0
    """Rounds in which, after a window search, cells try their neighbours' matches;
    on CPUs alone."""

    patchmatch_rounds: int = 10
    """Of propagation and random search, where a level is searched by patchmatch."""

    random_start: bool = False
    """Whether patchmatch at relu5_1 starts anywhere, or at the same place of the image."""

    position_prior: float = 4.0
    """Weight of the squared distance in body-normalised position (0..1 along each side
    of the body's box) against the mean cosine, in a global search of relu5_1."""

    leave_cost: float = 0.01
    """Taken from the mean cosine for each working pixel between a match and the
    upsampled match of the coarser level. Keeps the field smooth where the scan is flat;
    less where the scan's tone tells the photograph's (tone.py)."""

    tone_weight: float = 0.8
    """Share of tone in the score below relu5_1, where the scan's tone predicts the
    photograph's fully; less where it predicts less (tone.py)."""

    confidence_scale_px: float = 6.0
    """Way there and back, in working pixels, at which confidence has fallen to 0.61."""

    deconvolution_evaluations: int = 0
    """Evaluations of the network by which A' and B are reconstructed below each level
    (Liao et al. 2017); 0 matches the images' own features alone."""

    deconvolution_jump: Literal[1, 2] = 2
    """Levels that a reconstruction inverts at once: 1 as in the paper, 2 as in its code."""

    own_share: tuple[float, ...] = (0.8, 0.7, 0.6, 0.1)
    """Weight of an image's own features against the reconstruction at relu4_1 .. relu1_1,
    where its response is high (the code's blend weight 2)."""

    response: Literal["step", "sigmoid"] = "step"
    """How that weight falls where the response is low: at once (the code) or smoothly
    (the paper)."""

    response_threshold: float = 0.05
    """Response, 0..1, at which it falls."""

    response_slope: float = 300.0
    """Steepness of the sigmoid."""

    @property
    def finest_index(self) -> int:
        """Index of the last level that is matched; 0 is relu1_1."""
        return int(self.finest_level[4]) - 1

    @property
    def finest_features(self) -> int:
        """Index of the finest level whose features are read, by a reconstruction if not matched."""
        if self.deconvolution_evaluations == 0:
            return self.finest_index
        return max(0, min(self.finest_index, self.finest_index + 1 - self.deconvolution_jump))

    @property
    def needs_cpu(self) -> str | None:
        """What of this runs on CPUs alone; None if nothing does."""
        if "patchmatch" in self.search[: _LEVELS - self.finest_index]:
            return "search=patchmatch"
        return "propagation" if self.propagation else None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if len(self.search) != _LEVELS or self.search[0] == "window":
            raise ValueError("search needs five entries, global or patchmatch for relu5_1")
        if "global" in self.search[_GLOBAL_LEVELS:]:
            raise ValueError("search: global is for relu5_1 .. relu3_1; use window below")
        if len(self.patch_px) != _LEVELS or any(n < 1 or n % 2 == 0 for n in self.patch_px):
            raise ValueError("patch_px needs five odd sides, relu5_1 first")
        if len(self.radius_px) != _LEVELS - 1 or any(radius < 0 for radius in self.radius_px):
            raise ValueError("radius_px needs four reaches >= 0, relu4_1 first")
        if len(self.own_share) != _LEVELS - 1 or not all(0 <= part <= 1 for part in self.own_share):
            raise ValueError("own_share needs four weights in 0..1, relu4_1 first")
        if min(self.propagation, self.patchmatch_rounds, self.deconvolution_evaluations) < 0:
            raise ValueError("propagation, patchmatch_rounds, deconvolution_evaluations >= 0")
        if self.position_prior < 0 or self.leave_cost < 0 or self.confidence_scale_px <= 0:
            raise ValueError("weights must be >= 0 and confidence_scale_px > 0")
        if not 0 <= self.tone_weight < 1:
            raise ValueError("tone_weight must lie in 0..1 (not 1)")
