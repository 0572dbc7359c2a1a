"""How much of a GPU's memory a pair takes while it is matched."""

from __future__ import annotations

from medcolor.matching.settings import MatchingSettings

_LEVELS = 5
_FIELD_BYTES = 2 * (2 * 4 + 4)
"""Of a cell: position and similarity in both directions."""

_VOTE_BYTES = (1 + 4) * 4
"""Of a pixel: confidence, and what is voted."""


def pair_bytes(rows: int, cols: int, settings: MatchingSettings) -> int:
    """Return what a pair of images of `rows` by `cols` pixels takes, without their features.

    Reconstructions come beside it: of as many pairs as are reconstructed together, however many
    are matched.

    Args:
        rows: Of the larger image, in pixels.
        cols: Likewise.
        settings: Of the matching.
    """
    pixels = rows * cols
    total = pixels * (_VOTE_BYTES + _FIELD_BYTES)
    for index in range(settings.finest_index, _LEVELS):
        cells = pixels // 4**index
        total += cells * _FIELD_BYTES
        if settings.search[_LEVELS - 1 - index] == "global":
            total += 4 * cells**2
    return total
