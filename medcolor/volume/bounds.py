"""What a header may promise: checked before anything is allocated for it.

With these bounds a file of 10 MB takes no more than 1.5 GB to be read, whatever it says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import InputError

MOST_PIXELS = 1 << 26
"""Of one slice, or of a photograph: 8192 x 8192. More is a damaged header or a bomb."""

MOST_PART_BYTES = 6 * MOST_PIXELS
"""Of a slice or a photograph as it is stored, or a tile of it: colours of 16 bits."""

MOST_CHUNK_BYTES = 1 << 28
"""Of a chunk, which may be of many slices and is held twice while it is decoded."""

_MOST_SLICES = 1 << 16
_MOST_SPACING_MM = 1e4
_MOST_TIMES = 200
"""Slices shrink to a twentieth at best; a bomb to a thousandth."""

_SLACK_BYTES = 1 << 30
"""Drawn volumes, of few values, shrink to less; but they are small."""


def check_shape(place: object, shape: tuple[int, ...], item_bytes: int = 1) -> None:
    """Refuse volumes without voxels and of absurd size.

    Args:
        place: What the error names.
        shape: Voxels along three axes, in any order.
        item_bytes: Of a voxel as it is stored.

    Raises:
        InputError: A side below 1, or more than any scan has.
    """
    first, second, _ = sides = sorted((int(side) for side in shape), reverse=True)
    if min(sides) < 1:
        raise InputError(
            place, f"dimensions {_times(shape)}, expected at least 1", "Fetch the file again"
        )
    most = min(MOST_PIXELS, MOST_PART_BYTES // item_bytes)
    if first > _MOST_SLICES or first * second > most:
        raise InputError(
            place,
            f"dimensions {_times(shape)}, a slice may have {most} pixels, a side {_MOST_SLICES}",
            "Fetch the file again, or reduce it",
        )


def check_ratio(place: object, stored_bytes: int, promised_bytes: int) -> None:
    """Refuse to inflate what would be out of all proportion.

    Args:
        place: What the error names.
        stored_bytes: Of the compressed file, or of all files of an image.
        promised_bytes: That its header says it has.

    Raises:
        InputError: It would be.
    """
    if promised_bytes > _MOST_TIMES * stored_bytes + _SLACK_BYTES:
        raise InputError(
            place,
            f"{stored_bytes} bytes that would unpack to {promised_bytes}",
            "Fetch the file again; if you trust it, save it uncompressed",
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
