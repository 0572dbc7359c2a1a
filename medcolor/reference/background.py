"""The plain background of a clean photograph: of the border's colour and reachable from it.

A photograph may be a part of a cross-section that its border cuts. Then the border's commonest
colour is that of tissue, and no background: this is plain, and has a colour that no tissue has
unless most of the border lies in it.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medcolor.body import border_of, parts_at_border

_MOST = 0.5
"""Share of the border that a background has."""

_NEARLY_ALL = 0.9
"""Share that one has whose colour tissue may have, too."""

_LEAST = 0.03
"""Share of the border that a plain background has, beside tissue that the border cuts."""

_PLAIN = 2.0
"""Standard deviation of lightness over 5 x 5 pixels of what is plain."""

_STEP = 8.0
"""Of CIE Lab, in which the commonest colour is counted."""

_LEAST_CHROMA = 10.0
_TISSUE_LIGHTNESS = 4.0, 90.0


def background_of(
    lab: Float[np.ndarray, "row col 3"], tolerance: float
) -> Bool[np.ndarray, "row col"]:
    """Return the pixels of the background's colour that are connected to the border.

    Args:
        lab: The photograph, CIE Lab.
        tolerance: Distance up to which a colour is the background's; half of it where the
            background has the smaller part of the border.
    """
    color = np.median(border_of(lab), axis=0)
    share = (_distance(border_of(lab), color) < tolerance).mean()
    if share < (_NEARLY_ALL if _may_be_tissue(color) else _MOST):
        plain = _plain_color(lab)
        if plain is None:
            return np.zeros(lab.shape[:2], bool)
        color, tolerance = plain, tolerance / 2
    return parts_at_border(_distance(lab, color) < tolerance)


def _plain_color(lab: Float[np.ndarray, "row col 3"]) -> Float[np.ndarray, " 3"] | None:
    """Return the commonest colour of what is plain at the border and no tissue, if there is one."""
    lightness = np.ascontiguousarray(lab[..., 0], np.float32)
    variance = cv2.blur(lightness**2, (5, 5)) - cv2.blur(lightness, (5, 5)) ** 2
    border, is_plain = border_of(lab), border_of(variance < _PLAIN**2)
    plain = border[is_plain & ~_may_be_tissue(border)]
    if len(plain) < _LEAST * len(border):
        return None
    cells = np.floor(plain / _STEP).astype(int)
    _, number, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    common = plain[number.ravel() == counts.argmax()]
    return np.median(common, axis=0) if len(common) >= _LEAST * len(border) else None


def _may_be_tissue(lab: Float[np.ndarray, "*pixel 3"]) -> Bool[np.ndarray, "*pixel"]:
    """Tell which colours are warm, and neither black nor white."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    is_warm = (b > -a) & (np.hypot(a, b) > _LEAST_CHROMA)
    return np.asarray(
        is_warm & (lightness > _TISSUE_LIGHTNESS[0]) & (lightness < _TISSUE_LIGHTNESS[1])
    )


def _distance(
    lab: Float[np.ndarray, "... 3"], color: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, ...]:
    return np.asarray(np.linalg.norm(lab - color, axis=-1))
