"""Settings of preparing photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcolor.reference.orientation import check_frame_orientation
from medcolor.settings import Settings

_VISIBLE_HUMAN = "LAI"


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(Settings):
    """How photographs are read."""

    orientation: str = "auto"
    """Where columns, rows and numbers of the frames run to: one of L/R, one of P/A, one of S/I;
    the first two in either order. LAI is the Visible Human: rows run from posterior to anterior
    (flipped against CT), numbers from head to feet. LPS is a frame that already looks like a
    radiological image. auto: as the record of their preparation says, else found from the scan;
    left and right as in LAI or LPS where the body is too symmetric, or the photographs too few, to
    tell. Read as LAI where there is no stack to find it from."""

    background_tolerance: float = 14.0
    """Distance in CIE Lab from the background's colour up to which a pixel is background; half of
    it where tissue has more of the frame's border."""

    air_blueness: float = 4.0
    """A pixel whose b* lies below minus this is gel or paint, not tissue."""

    raw_gel_share: float = 0.05
    """Share of a frame that gel covers, beside its background, from which the frame is raw:
    gel, card, label and surroundings are then taken off."""

    body_warmth: float = 0.07
    """Of raw frames: (R - B) / (R + B) of a pixel from which it is body. Gel is about -0.4,
    paper and frost about 0, skin and fat 0.15 to 0.3."""

    smallest_part: float = 0.0006
    """Of raw frames: share of the frame from which a separate part of the body is kept."""

    white_balance: Literal["card", "none"] = "card"
    """Of raw frames: card makes the patches of a gray scale card neutral where one is found."""

    card_white: float = 0.95
    """Display brightness, 0..1, that the card's white patch is given; less where tissue would
    be clipped. 0.95 is what its white reflects, 89 percent."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        check_frame_orientation(self.orientation)
        if self.background_tolerance <= 0:
            raise ValueError("background_tolerance must be > 0")
        if not (0 < self.raw_gel_share < 1 and 0 < self.smallest_part < 1):
            raise ValueError("raw_gel_share and smallest_part must lie between 0 and 1")
        if not (0 < self.card_white <= 1 and 0 < self.body_warmth < 1):
            raise ValueError("card_white and body_warmth must lie between 0 and 1")

    @property
    def presumed_orientation(self) -> str:
        """Three letters: those given, or of the Visible Human."""
        return _VISIBLE_HUMAN if self.orientation == "auto" else self.orientation
