"""Settings of voting, agreement, coherence along z, equation 1 and opacity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from medcolor.settings import Settings

_REACH = 2.0
"""Of the filter, in standard deviations: beyond lies a twentieth of its weight."""


@dataclass(frozen=True, kw_only=True)
class TransferSettings(Settings):
    """From correspondence to colour."""

    vote_patch_px: int = 5
    """Side of the patches that vote for a pixel's colour, in working pixels; odd."""

    least_confidence: float = 0.05
    """Weight of a match that forward-backward agreement rejects, against 1 for one it confirms."""

    agreement_tolerance: float = 5.0
    """L* by which a vote may miss the photographs' lightness as the scan's grey level predicts
    it before its weight falls to 0.61. Where grey levels predict less, as across modalities, the
    usual error of the prediction takes its place. 0 (the paper) weights no vote by it."""

    black_below: float = 0.0
    """Display grey, 0..1, below which the scan fades to black and keeps it: air in sinuses and
    bowel then takes no colour from the tissue around it, but neither do lungs and compact bone.
    Alpha, which is the luminance, hides both from rendering. 0 (the paper) colours them."""

    least_b: float = 0.0
    """Least b* that tissue may take. Bluer is gel, paint or table that went astray, and becomes
    neutral on that axis; -128 (the paper) lets everything pass."""

    gamma: float = 1.0
    """Scan and reconstruction are raised to this before equation 1, the result to its
    inverse after it (the paper: 1/2 and 2, equation 3). 1 leaves them alone: luminance then
    keeps more of the scan's structure, and colours come out as voted."""

    reference_luminance: float = 1.0
    """How far the smooth part of the luminance (`smoothing.luminance_sigma`) moves to the
    reference's: 1 is equation 1 as printed, 0 keeps the scan's."""

    contrast: float = 0.5
    """How far the standard deviation of the scan's lightness over a slice moves to the
    reference's, at most twice or half: 0 (the paper: not) .. 1 (fully)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.vote_patch_px < 1 or self.vote_patch_px % 2 == 0:
            raise ValueError("vote_patch_px must be odd")
        if not 0 < self.least_confidence <= 1 or not 0 <= self.reference_luminance <= 1:
            raise ValueError(
                "least_confidence must lie in 0..1 (not 0), reference_luminance in 0..1"
            )
        if self.gamma <= 0:
            raise ValueError("gamma must be > 0")
        if not 0 <= self.contrast <= 1 or not 0 <= self.black_below <= 1:
            raise ValueError("contrast and black_below must lie in 0..1")
        if self.agreement_tolerance < 0:
            raise ValueError("agreement_tolerance must be >= 0")


@dataclass(frozen=True, kw_only=True)
class CoherenceSettings(Settings):
    """Holding colours together along the stack."""

    reach_mm: float = 12.0
    """Standard deviation along z over which colours are averaged; 0 (the paper) leaves every slice
    on its own."""

    grey_tolerance: float = 0.04
    """Change of the scan's display grey, 0..1, anywhere on the way to a neighbour at which its
    weight has fallen to 0.61."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.reach_mm < 0 or self.grey_tolerance <= 0:
            raise ValueError("reach_mm must be >= 0, grey_tolerance > 0")

    def halo(self, slice_step_mm: float) -> int:
        """Return how many slices on either side a slice depends on."""
        return math.floor(_REACH * self.reach_mm / slice_step_mm)


@dataclass(frozen=True, kw_only=True)
class OpacitySettings(Settings):
    """Alpha, as a product of rules."""

    base: Literal["luminance", "body"] = "luminance"
    """luminance: the scan's display grey (the paper). body: 1 in the body."""

    window: tuple[float, float] = (0.0, 0.0)
    """Display grey, 0..1, at which a tissue begins to show and shows fully: (0.4, 0.6) leaves
    what is darker than 0.4 transparent. Equal values switch the rule off."""

    gradient: float = 0.0
    """How far alpha is that of borders between tissues alone: 0 (not) .. 1 (the inside of an
    even tissue is transparent). Levoy 1988 (doi:10.1109/38.511)."""

    full_gradient: float = 0.1
    """Change of display grey from pixel to pixel that counts as a border."""

    @property
    def is_luminance(self) -> bool:
        """Whether alpha is the scan's display grey alone."""
        return self.base == "luminance" and self.window[0] == self.window[1] and not self.gradient

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        low, high = self.window
        if not 0 <= low <= high <= 1:
            raise ValueError("window must be two display greys, 0 <= low <= high <= 1")
        if not 0 <= self.gradient <= 1 or self.full_gradient <= 0:
            raise ValueError("gradient must lie in 0..1, full_gradient be > 0")
