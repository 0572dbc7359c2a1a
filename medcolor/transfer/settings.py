"""Settings of voting, agreement and equation 1."""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.settings import Settings


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
