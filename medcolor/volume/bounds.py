"""What a header may promise: checked before anything is allocated for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import InputError

MOST_PIXELS = 1 << 28
"""Of one slice: 16384 x 16384. More is a damaged header or a bomb."""

_MOST_SLICES = 1 << 20
_MOST_SPACING_MM = 1e4


def check_shape(place: object, shape: tuple[int, ...]) -> None:
    """Refuse volumes without voxels and of absurd size.

    Args:
        place: What the error names.
        shape: Voxels along three axes, in any order.

    Raises:
        InputError: A side below 1, or more than any scan has.
    """
    first, second, _ = sides = sorted((int(side) for side in shape), reverse=True)
    if min(sides) < 1:
        raise InputError(
            place, f"dimensions {_times(shape)}, expected at least 1", "Fetch the file again"
        )
    if first > _MOST_SLICES or first * second > MOST_PIXELS:
        raise InputError(
            place,
            f"dimensions {_times(shape)}, a slice may have {MOST_PIXELS} pixels",
            "Fetch the file again, or reduce it",
        )


def check_affine(place: object, affine: NDArray[np.float64]) -> None:
    """Refuse voxels without a place in space.

    Args:
        place: What the error names.
        affine: 4 x 4, in mm.

    Raises:
        InputError: Not finite, singular, or spacings that no scan has.
    """
    with np.errstate(all="ignore"):
        spacing = np.sqrt((np.asarray(affine, float)[:3, :3] ** 2).sum(axis=0))
        unit = affine[:3, :3] / spacing
        volume = abs(np.linalg.det(unit)) if np.isfinite(unit).all() else 0.0
    is_fine = (
        np.isfinite(affine).all() and (spacing > 1e-6).all() and (spacing < _MOST_SPACING_MM).all()
    )
    if not is_fine or volume < 1e-3:
        raise InputError(
            place,
            "its voxels have no place in space (spacing "
            + " x ".join(f"{side:g}" for side in spacing)
            + " mm, or axes that coincide)",
            "Mend its geometry",
        )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
