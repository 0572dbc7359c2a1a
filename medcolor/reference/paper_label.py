"""Paper labels in a frame, which may be as warm as fat and lie beside the body.

Paper is even, straight-edged, and open to gel or darkness on most of its sides.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from medcolor.body import disc, fill_holes, touching
from medcolor.color import srgb_to_lab
from medcolor.reference.shapes import Mask, draw_rectangle, rectangle_around

_FLAT = 3.0
"""Change of colour (CIE Lab) a pixel up to which paper is even; ink and edges lie above."""

_ALIKE = 10.0
"""Distance in CIE Lab from a label's own colour."""

_LIGHTNESS_COUNTS = 0.5
"""Of that distance: a label is lit unevenly and shaded at a fold."""

_EVEN = 0.6
"""Share of a label that is alike: the rest is ink, a fold, an edge."""

_FILLED = 0.84
"""Share of its rectangle that a label fills at least; an ellipse fills 0.79."""

_LONGEST = 2.5
"""Long against short side of a label, at most."""

_LABEL_AREAS = (0.0015, 0.03)
"""Share of the frame that a paper label covers."""


def find_labels(small: UInt8[np.ndarray, "row col 3"], warm: Mask) -> Mask:
    """Return the paper labels: even, straight-edged, open to gel or darkness on most sides."""
    smooth = cv2.GaussianBlur(small, (0, 0), 0.7).astype(np.float32) / 255
    lab = np.ascontiguousarray(np.moveaxis(srgb_to_lab(smooth), -1, 0))
    steps = [
        cv2.Sobel(plane, cv2.CV_32F, *axes, scale=1 / 8)
        for plane in lab
        for axes in ((1, 0), (0, 1))
    ]
    is_flat = np.sum(np.square(steps), axis=0) < _FLAT**2
    count, parts = cv2.connectedComponents((warm & is_flat).astype(np.uint8))
    areas = np.bincount(parts.ravel())
    found = np.zeros(warm.shape, bool)
    for number in range(1, count):
        if areas[number] >= _LABEL_AREAS[0] / 8 * warm.size:
            found |= _label(lab, warm, parts == number)
    return found


def _label(lab: Float[np.ndarray, "3 row col"], warm: Mask, seed: Mask) -> Mask:
    """Return the rectangle of the seed's colour around it, or nothing if there is none."""
    apart = lab - np.median(lab[:, seed], axis=1)[:, None, None]
    apart[0] *= _LIGHTNESS_COUNTS
    alike = np.square(apart).sum(axis=0) < _ALIKE**2
    part = touching(warm, seed)
    even = alike[part].mean() >= _EVEN
    # Alone, it is a warm part of its own; beside tissue, what has its colour. Ink parts it.
    for paper in ([part] if even else []) + [touching(alike, seed)]:
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
    rect = rectangle_around(paper)
    short, long = sorted(rect[1])
    if paper.sum() < _FILLED * short * long or long > _LONGEST * short:
        return None
    ring = draw_rectangle(rect, 8, warm.shape) & ~draw_rectangle(rect, 4, warm.shape)
    return draw_rectangle(rect, 3, warm.shape) if warm[ring].mean() < 0.5 else None
