"""One photograph of a cross-section: find the body, turn it like the scan, crop it.

The background may be white, black or blue gel: whatever colour the border of the
frame has and is reachable from it. A raw frame, a block of gel among other things,
is cut out as `raw_mask.py` says and balanced by `gray_card.py`. Cavities that were
painted or filled with gel are air, and give their colour to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.body import bounding_box, largest_parts
from medcolor.color import srgb_to_lab
from medcolor.domain import Box, ReferenceSlice
from medcolor.errors import EmptyFrameError
from medcolor.reference.background import background_of
from medcolor.reference.gray_card import (
    Card,
    apply_gains,
    find_card,
    gains_of_card,
    unclipped,
)
from medcolor.reference.orientation import (
    VIEW,
    check_frame_orientation,
    combined,
    from_view,
    to_view,
)
from medcolor.reference.raw_mask import gel_around, raw_body
from medcolor.reference.shapes import shrink
from medcolor.settings import Settings

_VISIBLE_HUMAN = "LAI"
_LEAST_BODY_SHARE = 0.002


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(Settings):
    """How photographs are read."""

    orientation: str = "auto"
    """Where columns, rows and numbers of the frames run to: one of L/R, one of P/A, one of S/I;
    the first two in either order. LAI is the Visible Human: rows run from posterior to anterior
    (flipped against CT), numbers from head to feet. LPS is a frame that already looks like a
    radiological image. auto: found from the scan; left and right as in LAI or LPS where the
    body is too symmetric to tell. Read as LAI where there is no stack to find it from."""

    background_tolerance: float = 14.0
    """Distance in CIE Lab from the border's colour up to which a pixel is background."""

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


@dataclass(frozen=True)
class CutOut:
    """A person cut out of a photograph, in the target's orientation, cropped."""

    rgb: UInt8[np.ndarray, "row col 3"]
    body: Bool[np.ndarray, "row col"]
    """With its cavities."""

    tissue: Bool[np.ndarray, "row col"]
    """Body, and not painted or filled air."""

    box: Box
    """Where it lay in the photograph as stored, with a margin."""

    is_raw: bool
    """Whether gel, card and surroundings had to be taken off."""

    gains: tuple[float, float, float] | None
    """White balance: what linear red, green and blue were multiplied by; None: untouched."""

    balance: str
    """Where the gains come from, or why there are none."""

    @property
    def air_share(self) -> float:
        """Share of the body that is painted or filled with gel."""
        return float(1 - self.tissue.sum() / self.body.sum())


def prepare_photograph(
    rgb: UInt8[np.ndarray, "row col 3"],
    reference_id: str,
    settings: ReferenceSettings,
    body: Bool[np.ndarray, "row col"] | None = None,
    turn: str = VIEW,
) -> ReferenceSlice:
    """Mask, orient and crop one frame, raw or clean.

    Args:
        rgb: As stored.
        reference_id: Its name.
        settings: How it is presumed to lie, and how to read it.
        body: Where the body is, if that is known.
        turn: How it was found to lie once read as presumed: one of `orientation.CODES`.

    Raises:
        EmptyFrameError: If nothing but background, gel or paint is found.
    """
    found = cut_out(rgb, reference_id, settings, body, turn)
    return ReferenceSlice(reference_id, found.rgb, found.tissue)


def cut_out(
    rgb: UInt8[np.ndarray, "row col 3"],
    reference_id: str,
    settings: ReferenceSettings,
    body: Bool[np.ndarray, "row col"] | None = None,
    turn: str = VIEW,
) -> CutOut:
    """Find the body, balance the colours of a raw frame, turn and crop.

    Raises:
        EmptyFrameError: If nothing but background, gel or paint is found.
    """
    code = combined(settings.presumed_orientation[:2], turn)
    gains, balance = None, "clean frame"
    is_raw = body is None and _is_raw(rgb, settings)
    if is_raw:
        rgb, body, gains, balance = _without_gel(rgb, settings)
    rgb = np.ascontiguousarray(to_view(rgb, code))
    if body is None:
        body = largest_parts(~background_of(_lab(rgb), settings.background_tolerance))
    else:
        body = np.ascontiguousarray(to_view(body, code))
    box = bounding_box(body)
    if box is None or (body.mean() < _LEAST_BODY_SHARE and not is_raw):
        what = "gel without a body" if is_raw else "one colour throughout"
        raise EmptyFrameError(
            reference_id,
            f"{what}, expected a cross-section on a plain background or in gel",
            "Take the frame out of the folder",
        )
    stored = _box_in_frame(box, body.shape, code)
    rgb, body = rgb[box.slices], body[box.slices]
    tissue = body & (_lab(rgb)[..., 2] > -settings.air_blueness)
    if not tissue.any():
        raise EmptyFrameError(reference_id, "no tissue, only gel or paint", "Take the frame out")
    return CutOut(rgb, body, tissue, stored, is_raw, gains, balance)


def _lab(rgb: UInt8[np.ndarray, "row col 3"]) -> Float[np.ndarray, "row col 3"]:
    return srgb_to_lab(rgb.astype(np.float32) / 255)


def _without_gel(
    rgb: UInt8[np.ndarray, "row col 3"], settings: ReferenceSettings
) -> tuple[
    UInt8[np.ndarray, "row col 3"],
    Bool[np.ndarray, "row col"],
    tuple[float, float, float] | None,
    str,
]:
    """Return a raw frame balanced and on white, its body, and its white balance."""
    card = find_card(rgb)
    body = raw_body(
        rgb,
        None if card is None else card.mask,
        least_warmth=settings.body_warmth,
        least_part=settings.smallest_part,
    )
    gains, balance = _gains(rgb, body, card, settings)
    on_white = np.where(body[..., None], apply_gains(rgb, gains), np.uint8(255))
    return on_white, body, gains, balance


def _is_raw(rgb: UInt8[np.ndarray, "row col 3"], settings: ReferenceSettings) -> bool:
    """Tell a frame with a block of gel in it from one on a plain background, gel or other."""
    small = shrink(rgb)
    background = background_of(_lab(small), settings.background_tolerance)
    gel = gel_around(small, background) & ~background
    return bool(gel.mean() >= settings.raw_gel_share)


def _gains(
    rgb: UInt8[np.ndarray, "row col 3"],
    body: Bool[np.ndarray, "row col"],
    card: Card | None,
    settings: ReferenceSettings,
) -> tuple[tuple[float, float, float] | None, str]:
    """Return the white balance and where it comes from, or None and why there is none."""
    if settings.white_balance == "none":
        return None, "switched off"
    if card is None:
        return None, "no gray scale card found"
    gains = gains_of_card(card, settings.card_white)
    return unclipped(gains, rgb[body]), "gray scale card"


def _box_in_frame(box: Box, shape: tuple[int, ...], code: str) -> Box:
    """Return where a box of the view lies in the frame as stored."""
    inside = np.zeros(shape, bool)
    inside[box.slices] = True
    rows, cols = (np.flatnonzero(from_view(inside, code).any(axis=axis)) for axis in (1, 0))
    return Box(int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1)
