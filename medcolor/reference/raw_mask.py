"""The body in a raw frame of a cryomacrotome: warm colours in a block of blue gel.

Tissue reflects more red than blue, dark lung and liver too; gel, ice and black
surroundings do not. So the body is what warm pixels enclose, but for paper labels.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.body import disc, fill_holes, resize_mask, touching
from medcolor.reference.paper_label import find_labels
from medcolor.reference.shapes import SEARCH_PX, Mask, shrink

_DARKNESS = 12.0
"""Added to both channels: the noise of black pixels has no colour."""

_LEAST_RED = 45
"""Of skin and fat, 0..255: black surroundings are at times warm, but never as bright."""

_GEL_WARMTH = -0.12
"""Gel lies below: the palest frost measured is -0.2, black surroundings 0."""

_RIM_WARMTH = -0.08
"""Where the outline runs: half way between gel and skin, which blend over some pixels."""

_RING_PX = 4
"""Width, in the reduced copy, of the surroundings of a part that must show gel."""

_LEAST_GEL = 0.2
"""Share of a part's surroundings that is gel: the card's coloured discs have none."""

_NEAR_PX = 12
"""Of the reduced copy: an ear lies nearer to its head."""

_LEAST_BESIDE = 0.25
"""Size of a part beside a large one against that of one that lies alone."""


def warmth(rgb: UInt8[np.ndarray, "row col 3"]) -> Float[np.ndarray, "row col"]:
    """Return (R - B) / (R + B), lightly smoothed: about -0.4 for gel, 0 for grey, 0.3 for fat."""
    smooth = cv2.GaussianBlur(rgb, (0, 0), 0.8)
    red, blue = smooth[..., 0].astype(np.float32), smooth[..., 2].astype(np.float32)
    return np.asarray((red - blue) / (red + blue + 2 * _DARKNESS))


def gel_around(rgb: UInt8[np.ndarray, "row col 3"], background: Mask) -> Mask:
    """Return the gel, which reaches the background or the border: cavities do not."""
    blue = warmth(rgb) < _GEL_WARMTH
    seeds = np.pad(background, 1, constant_values=True).astype(np.uint8)
    near = cv2.dilate(seeds, np.ones((5, 5), np.uint8))[1:-1, 1:-1] > 0
    return touching(blue, near)


def raw_body(
    rgb: UInt8[np.ndarray, "row col 3"],
    card: Mask | None,
    *,
    least_warmth: float,
    least_part: float,
) -> Mask:
    """Return the body with its cavities; label, card, gel and surroundings are out.

    Args:
        rgb: The frame.
        card: Where the gray scale card lies, or None.
        least_warmth: Of tissue, see `warmth`.
        least_part: Share of the frame from which a part of the body is kept.
    """
    small = shrink(rgb)
    tone = warmth(small)
    warm = (tone >= least_warmth) & (small[..., 0] >= _LEAST_RED)
    out = find_labels(small, warm)
    if card is not None:
        out |= resize_mask(card, small.shape[:2])
    core = _parts(_close(warm & ~out), tone < _GEL_WARMTH, least_part)
    return _refine(rgb, core, out)


def _parts(warm: Mask, gel: Mask, least_part: float) -> Mask:
    """Keep what lies in gel and is large enough with its holes, and the small beside the large."""
    filled = fill_holes(warm).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(filled, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA] / warm.size
    grown = np.asarray(cv2.dilate(parts.astype(np.float32), disc(_RING_PX)), np.intp)
    ring = (parts == 0) & (grown > 0)
    size = np.bincount(grown[ring], minlength=count)
    blue = np.bincount(grown[ring & gel], minlength=count)
    is_body = (blue >= _LEAST_GEL * size) & (np.arange(count) > 0)
    large = (is_body & (areas >= least_part))[parts]
    near = cv2.dilate(large.astype(np.uint8), disc(_NEAR_PX)) > 0
    beside = np.isin(np.arange(count), parts[near])
    return np.asarray(large | (is_body & beside & (areas >= _LEAST_BESIDE * least_part))[parts])


def _refine(
    rgb: UInt8[np.ndarray, "row col 3"],
    core: Bool[np.ndarray, "small_row small_col"],
    out: Bool[np.ndarray, "small_row small_col"],
) -> Mask:
    """Draw the outline anew at full resolution, within a few pixels of the coarse one."""
    shape = rgb.shape[:2]
    inner = resize_mask(cv2.erode(core.astype(np.uint8), disc(2)) > 0, shape)
    outer = resize_mask((cv2.dilate(core.astype(np.uint8), disc(2)) > 0) & ~out, shape)
    body = fill_holes(inner | (outer & (warmth(rgb) >= _RIM_WARMTH)))
    reach = max(1, round(max(shape) / SEARCH_PX))
    smooth = cv2.morphologyEx(body.astype(np.uint8), cv2.MORPH_OPEN, disc(reach))
    return touching(smooth > 0, resize_mask(core, shape))


def _close(mask: Mask) -> Mask:
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc(1)) > 0)
