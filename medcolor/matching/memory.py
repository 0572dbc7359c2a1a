"""How much of a GPU's memory a pair takes while it is matched."""

from __future__ import annotations

from collections.abc import Sequence

from medcolor.matching.settings import MatchingSettings

_LEVELS = 5
_FIELD_BYTES = 2 * (2 * 4 + 4)
"""Of a cell: position and similarity in both directions."""

_VOTE_BYTES = (1 + 7) * 4
"""Of a pixel: confidence, and what is voted."""

_PROBLEMS = 16
"""What reconstructing holds of the level it changes: history of steps, points, gradients, and what
the network keeps for its way back."""


def pair_bytes(rows: int, cols: int, channels: Sequence[int], settings: MatchingSettings) -> int:
    """Return what a pair of images of `rows` by `cols` pixels takes, without their features.

    Args:
        rows: Of the larger image, in pixels.
        cols: Likewise.
        channels: Of the network's levels, fine to coarse.
        settings: Of the matching.
    """
    pixels = rows * cols
    total = pixels * (_VOTE_BYTES + _FIELD_BYTES)
    for index in range(settings.finest_index, _LEVELS):
        cells = pixels // 4**index
        total += cells * _FIELD_BYTES
        if settings.search[_LEVELS - 1 - index] == "global":
            total += 4 * cells**2
    if settings.deconvolution_evaluations:
        for index in range(settings.finest_index, _LEVELS - 1):
            bottom = max(0, index + 1 - settings.deconvolution_jump)
            cells, joined = pixels // 4**bottom, 2 * channels[index] * pixels // 4**index
            total = max(total, 4 * (_PROBLEMS * channels[bottom] * cells + 6 * joined))
    return total
