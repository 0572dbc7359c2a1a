"""The body in a raw frame of a cryomacrotome: warm colours in a block of blue gel.

Tissue reflects more red than blue, dark lung and liver too; gel, ice and black
surroundings do not. So the body is what warm pixels enclose. A paper label may be as
warm as fat, but it is even, straight-edged and open to gel or darkness on its sides.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.body import fill_holes, resize_mask
from medcolor.color import srgb_to_lab

Mask = Bool[np.ndarray, "row col"]

SEARCH_PX = 512
"""Long side of the copy in which things are found before their outline is refined."""

_DARKNESS = 12.0
"""Added to both channels: the noise of black pixels has no colour."""

_LEAST_RED = 45
"""Of skin and fat, 0..255: black surroundings are at times warm, but never as bright."""

_GEL_WARMTH = -0.12
"""Gel lies below: the palest frost measured is -0.2, black surroundings 0."""

_RIM_WARMTH = -0.08
"""Where the outline runs: half way between gel and skin, which blend over some pixels."""

_NEAR_PX = 12
"""Of the reduced copy: an ear lies nearer to its head."""

_LEAST_BESIDE = 0.25
"""Size of a part beside a large one against that of one that lies alone."""

_FLAT = 3.0
"""Change of colour (CIE Lab) a pixel up to which paper is even; ink and edges lie above."""

_ALIKE = 10.0
"""Distance in CIE Lab, lightness halved, from a label's own colour."""

_LIGHTNESS_COUNTS_HALF = np.array([0.5, 1, 1], np.float32)
"""A label is lit unevenly and shaded at a fold."""

_EVEN = 0.6
"""Share of a label that is alike: the rest is ink, a fold, an edge."""

_FILLED = 0.84
"""Share of its rectangle that a label fills at least; an ellipse fills 0.79."""

_LONGEST = 2.5
"""Long against short side of a label, at most."""

_LABEL_AREAS = (0.0015, 0.03)
"""Share of the frame that a paper label covers."""


def warmth(rgb: UInt8[np.ndarray, "row col 3"]) -> Float[np.ndarray, "row col"]:
    """Return (R - B) / (R + B), lightly smoothed: about -0.4 for gel, 0 for grey, 0.3 for fat."""
    smooth = cv2.GaussianBlur(rgb, (0, 0), 0.8)
    red, blue = smooth[..., 0].astype(np.float32), smooth[..., 2].astype(np.float32)
    return np.asarray((red - blue) / (red + blue + 2 * _DARKNESS))


def shrink(rgb: UInt8[np.ndarray, "row col 3"]) -> UInt8[np.ndarray, "row2 col2 3"]:
    """Return a copy whose long side is `SEARCH_PX` at most."""
    scale = SEARCH_PX / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def gel_around(rgb: UInt8[np.ndarray, "row col 3"], background: Mask) -> Mask:
    """Return the gel, which reaches the background or the border: cavities do not."""
    blue = warmth(rgb) < _GEL_WARMTH
    seeds = np.pad(background, 1, constant_values=True).astype(np.uint8)
    near = cv2.dilate(seeds, np.ones((5, 5), np.uint8))[1:-1, 1:-1] > 0
    return _touching(blue, near)


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
    warm = (warmth(small) >= least_warmth) & (small[..., 0] >= _LEAST_RED)
    out = labels(small, warm)
    if card is not None:
        out |= resize_mask(card, small.shape[:2])
    core = _parts(_close(warm & ~out), least_part)
    return _refine(rgb, core, out)


def _parts(warm: Mask, least_part: float) -> Mask:
    """Keep what is large enough once its holes are filled, and the small beside the large."""
    filled = fill_holes(warm)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(filled.astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA] / warm.size
    areas[0] = 0
    large = (areas >= least_part)[parts]
    near = cv2.dilate(large.astype(np.uint8), disc(_NEAR_PX)) > 0
    beside = np.zeros(count, bool)
    beside[np.unique(parts[near])] = True
    return np.asarray(large | (beside & (areas >= _LEAST_BESIDE * least_part))[parts])


def _refine(rgb: UInt8[np.ndarray, "row col 3"], core: Mask, out: Mask) -> Mask:
    """Draw the outline anew at full resolution, within a few pixels of the coarse one."""
    shape = rgb.shape[:2]
    inner = resize_mask(cv2.erode(core.astype(np.uint8), disc(2)) > 0, shape)
    outer = resize_mask((cv2.dilate(core.astype(np.uint8), disc(2)) > 0) & ~out, shape)
    body = fill_holes(inner | (outer & (warmth(rgb) >= _RIM_WARMTH)))
    reach = max(1, round(max(shape) / SEARCH_PX))
    smooth = cv2.morphologyEx(body.astype(np.uint8), cv2.MORPH_OPEN, disc(reach))
    return _touching(smooth > 0, resize_mask(core, shape))


def labels(small: UInt8[np.ndarray, "row col 3"], warm: Mask) -> Mask:
    """Return the paper labels: even, straight-edged, open to gel or darkness on most sides."""
    lab = srgb_to_lab(cv2.GaussianBlur(small, (0, 0), 0.7).astype(np.float32) / 255)
    steps = [cv2.Sobel(lab, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1))]
    change = np.sqrt(sum((step**2).sum(axis=-1) for step in steps))
    count, parts = cv2.connectedComponents((warm & (change < _FLAT)).astype(np.uint8))
    areas = np.bincount(parts.ravel())
    found = np.zeros(warm.shape, bool)
    for number in range(1, count):
        if areas[number] >= _LABEL_AREAS[0] / 8 * warm.size:
            found |= _label(lab, warm, parts == number)
    return found


def _label(lab: Float[np.ndarray, "row col 3"], warm: Mask, seed: Mask) -> Mask:
    """Return the rectangle of the seed's colour around it, or nothing if there is none."""
    apart = (lab - np.median(lab[seed], axis=0)) * _LIGHTNESS_COUNTS_HALF
    alike = np.sqrt((apart**2).sum(axis=-1)) < _ALIKE
    part = _touching(warm, seed)
    even = alike[part].mean() >= _EVEN
    # Alone, it is a warm part of its own; beside tissue, what has its colour. Ink parts it.
    for paper in ([part] if even else []) + [_touching(alike, seed)]:
        whole = cv2.morphologyEx(paper.astype(np.uint8), cv2.MORPH_CLOSE, disc(4))
        rectangle = _rectangle_of(fill_holes(whole > 0), warm)
        if rectangle is not None:
            return rectangle
    return np.zeros_like(warm)


def _rectangle_of(paper: Mask, warm: Mask) -> Mask | None:
    """Return the rectangle that paper fills; None if it is no label or tissue encloses it."""
    low, high = (share * warm.size for share in _LABEL_AREAS)
    if not low <= paper.sum() <= high:
        return None
    rect = cv2.minAreaRect(np.argwhere(paper)[:, ::-1].astype(np.float32))
    short, long = sorted(side + 1 for side in rect[1])
    if paper.sum() < _FILLED * short * long or long > _LONGEST * short:
        return None
    ring = draw_rectangle(rect, 8, warm.shape) & ~draw_rectangle(rect, 4, warm.shape)
    return draw_rectangle(rect, 3, warm.shape) if warm[ring].mean() < 0.5 else None


def draw_rectangle(rect: tuple, grown_px: int, shape: tuple[int, int]) -> Mask:
    """Draw a turned rectangle (middle, size, angle) that is some pixels larger."""
    sides = (rect[1][0] + grown_px, rect[1][1] + grown_px)
    drawn = np.zeros(shape, np.uint8)
    corners = np.round(cv2.boxPoints((rect[0], sides, rect[2]))).astype(np.int32)
    cv2.fillPoly(drawn, [corners], 1)
    return drawn > 0


def _close(mask: Mask) -> Mask:
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc(1)) > 0)


def _touching(mask: Mask, seeds: Mask) -> Mask:
    """Return the parts of `mask` that hold a seed."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    kept[np.unique(parts[seeds & mask])] = True
    return np.asarray(kept[parts] & mask)


def disc(radius: int) -> UInt8[np.ndarray, "row col"]:
    size = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
