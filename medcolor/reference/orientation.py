"""How a frame lies: where its columns and rows run to in the body.

A code names the patient's side that columns run to and that rows run to, e.g. LP, the
radiological view, in which everything is shown. Eight codes are all flips and quarter turns.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Shaped

VIEW = "LP"
"""Columns to the patient's left, rows to posterior."""

CODES = tuple(side + depth for side, depth in (*product("LR", "PA"), *product("PA", "LR")))
"""All eight, the view first; then each beside its mirror image."""

_MIRRORED = str.maketrans("LR", "RL")


def check_frame_orientation(code: str) -> None:
    """Raise ValueError unless `code` is `auto`, or one of CODES and S or I."""
    if code != "auto" and not (len(code) == 3 and code[:2] in CODES and code[2] in "SI"):
        raise ValueError(
            f"orientation {code!r} must be auto, or say where columns, rows and numbers run to: "
            "one of L/R and one of P/A in either order, then S or I, e.g. LAI"
        )


def mirrored(code: str) -> str:
    """Return the code of what lies like `code` with left and right exchanged."""
    return code.translate(_MIRRORED)


def to_view(
    image: Shaped[np.ndarray, "row col *channel"], code: str
) -> Shaped[np.ndarray, "row2 col2 *channel"]:
    """Turn a frame that lies as `code` says into the radiological view."""
    if code[0] in "PA":
        image, code = image.swapaxes(0, 1), code[::-1]
    return image[_flip(code[1] == "A"), _flip(code[0] == "R")]


def from_view(
    image: Shaped[np.ndarray, "row col *channel"], code: str
) -> Shaped[np.ndarray, "row2 col2 *channel"]:
    """Turn an image in the radiological view so that it lies as `code` says."""
    is_turned = code[0] in "PA"
    upright = code[::-1] if is_turned else code
    image = image[_flip(upright[1] == "A"), _flip(upright[0] == "R")]
    return image.swapaxes(0, 1) if is_turned else image


def combined(first: str, second: str) -> str:
    """Return the code that does in one what `to_view` with one and then the other does."""
    probe = np.arange(6).reshape(2, 3)
    wanted = to_view(to_view(probe, first), second)
    (code,) = [code for code in CODES if np.array_equal(to_view(probe, code), wanted)]
    return code


def _flip(is_flipped: bool) -> slice:
    return slice(None, None, -1 if is_flipped else 1)
