"""Settings of voting, looks, the colour model and opacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class TransferSettings(Settings):
    """From correspondence to colour."""

    look: Literal["photograph", "scan", "paper"] = "photograph"
    """photograph: hue, chroma and lightness of the photographs, by a model of the whole body, on
    the scan's structure. scan: the same hue and chroma, the scan's own lightness, for those who
    read grey levels. paper: equation 1 as printed, every slice on its own."""

    vote_patch_px: int = 5
    """Side of the patches that vote for a pixel's colour, in working pixels; odd."""

    least_confidence: float = 0.05
    """Weight of a match that forward-backward agreement rejects, against 1 for one it confirms."""

    structure_radius_px: float = 7.5
    """Half side, in working pixels, of the windows in which the model's colours become linear
    functions of the scan, so that they show no structure of their own."""

    detail_radius_px: float = 12.0
    """The same in which the scan's structure is compared with that of the colours."""

    detail_gain: float = 0.62
    """How much is added of the scan's structure that the colours do not show."""

    detail_limit: float = 13.0
    """Most that it changes L*."""

    gamma: float = 0.5
    """Of the look `paper`: scan and reconstruction are raised to this before equation 1, the
    result to its inverse after it (equation 3; 1/2 in the paper)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.vote_patch_px < 1 or self.vote_patch_px % 2 == 0:
            raise ValueError("vote_patch_px must be odd")
        if not 0 < self.least_confidence <= 1:
            raise ValueError("least_confidence must lie in 0..1 (not 0)")
        if min(self.structure_radius_px, self.detail_radius_px) <= 0:
            raise ValueError("structure_radius_px and detail_radius_px must be > 0")
        if self.detail_gain < 0 or self.detail_limit <= 0:
            raise ValueError("detail_gain must be >= 0, detail_limit > 0")
        if self.gamma <= 0:
            raise ValueError("gamma must be > 0")


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """Colour as a function of place and of what the scan measures there, for the whole body."""

    cell_px: float = 6.5
    """Distance of nodes along rows and columns, in working pixels (those of a body of median
    size)."""

    cell_depth_px: float = 4.5
    """The same along the body; one slice at least."""

    contrast_levels: int = 24
    """Nodes along the axis of the scan's contrast."""

    contrast_blur: float = 0.7
    """Standard deviation, in such nodes, over which curves are smooth."""

    widths_cells: tuple[tuple[float, float, float], ...] = ((6.0, 10.0, 10.0), (1.5, 3.0, 3.0))
    """Standard deviations of the wide neighbourhoods, in cells along z, rows and columns."""

    narrow_cells: tuple[float, float, float] = (0.7, 0.7, 0.7)
    """The same of the narrowest, in which colours are linear in a few functions of contrast."""

    wide_doubt: float = 1e-3
    """Share of votes that a wide neighbourhood must have at a contrast to be believed half."""

    mean_doubt: float = 0.05
    """The same for its mean colour."""

    narrow_doubt: float = 7e-4
    """The same for corrections in the narrowest."""

    rounds: int = 1
    """How often votes are weighted anew by the model."""

    stretch: float = 2.5
    """How far the contrast of colours in wide neighbourhoods is stretched before votes are
    compared with the model: 1 believes means of right and wrong votes."""

    tolerance: float = 11.0
    """Distance in Lab at which the weight of a vote has fallen to 0.61."""

    photographic_below: float = 8.0
    """Distance in L* between the model and the scan as displayed, over the whole body, below which
    the scan counts as a gray photograph: lightness is then the scan's, and hue and chroma come
    from the votes that have this lightness. 0 takes no scan for one."""

    border_contrast: float = 0.3
    """Range of contrast within two pixels at which a vote's weight has fallen to 0.61: matches at
    borders are a pixel or two beside them."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if min(self.cell_px, self.cell_depth_px, self.tolerance, self.border_contrast) <= 0:
            raise ValueError("cell_px, cell_depth_px, tolerance and border_contrast must be > 0")
        if self.contrast_levels < 2 or min(self.rounds, self.photographic_below) < 0:
            raise ValueError("contrast_levels must be >= 2, rounds and photographic_below >= 0")
        if min(self.wide_doubt, self.mean_doubt, self.narrow_doubt) <= 0:
            raise ValueError("wide_doubt, mean_doubt and narrow_doubt must be > 0")
        if not all(len(one) == 3 and min(one) >= 0 for one in self.widths_cells):
            raise ValueError("widths_cells needs three widths >= 0 for each neighbourhood")


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
