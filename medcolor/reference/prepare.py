"""One photograph of a cross-section: find the body, turn it like the scan, crop it.

The background may be white, black or blue gel: what is plain at the border of the
frame and reachable from it (`background.py`); tissue that the frame cuts is none. A raw
frame, a block of gel among other things, is cut out as `raw_mask.py` says and balanced by
`gray_card.py`. Cavities that were painted or filled with gel are air, and give their
colour to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    combined,
    from_view,
    to_view,
)
from medcolor.reference.raw_mask import gel_around, raw_body
from medcolor.reference.settings import ReferenceSettings
from medcolor.reference.shapes import shrink

_LEAST_BODY_SHARE = 0.002


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
