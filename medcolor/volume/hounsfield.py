"""Whether values are Hounsfield units, told by their distribution.

CT of a body has marks that other scans do not have, wherever their values are shifted to: fat
about -100 and soft tissue about 40 HU, close together; hardly anything between lungs and fat;
air about -1000, with borders on the way from it to the skin; a tail of bone.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_AIR = -1100.0, -600.0
"""Air, and lungs where the frame shows nothing else that is dark."""

_EVEN_AIR = -1100.0, -900.0
_BORDERS = -899.0, -200.0
"""Partial volumes of air and skin; lungs as well."""

_EMPTIER = -500.0, -250.0
"""Between lungs and fat."""

_TISSUE = -150.0, 150.0
_BODY_ABOVE = -300.0
_LOWEST = -1100.0
"""Nothing is emptier than air: below is hardly a voxel."""

_HIGHEST = 4100.0
"""Hardly a voxel beyond: metal."""

_FAT = -150.0, -20.0
_BONE = 300.0
_FAT_REACHES = -80.0
_PEAKS = (-130.0, -60.0), (0.0, 90.0)
"""Of fat and of soft tissue."""

_LEAST_AIR = 0.01
_LEAST_BORDERS = 0.003
_LEAST_BODY = 0.005
_LEAST_TISSUE = 0.5
"""Contrast media lift much above the range of tissue."""

_LEAST_FAT = 0.02
_MOST_BELOW = 0.01
_MOST_BETWEEN = 0.3
"""Density of values between lungs and fat, against that of tissue."""

_LEAST_BONE = 0.005
_MOST_LOWEST = 0.03
"""Share of the body in the lowest range of `_FLOOR` HU: scans that are not CT begin with air."""

_FLOOR = 30.0
_BIN = 10.0


def are_hounsfield(values: Float[np.ndarray, " sample"]) -> bool:
    """Tell whether the values of a scan are distributed as Hounsfield units of a body are.

    Two ways lead there, both with most of the body in the narrow range of tissue: air with borders
    to the skin; or, where a frame or a mask shows none, a peak where tissue has it, bone, and fat
    that thins out toward the lowest values.

    Args:
        values: Sampled from all of it, padding left out. None: they are not.
    """
    body = values[values > _BODY_ABOVE]
    if len(body) < _LEAST_BODY * len(values) or not len(body):
        return False
    is_as_tissue = (
        _share(body, _TISSUE) >= _LEAST_TISSUE
        and _share(body, _FAT) >= _LEAST_FAT
        and float(np.percentile(body, 99)) <= _HIGHEST
        and (values < _LOWEST).mean() <= _MOST_BELOW
        and _density(values, _EMPTIER) <= _MOST_BETWEEN * _density(values, _TISSUE)
    )
    # A drawn body has no partial volumes, but air that is said so.
    is_masked = _share(values, _EVEN_AIR) < _LEAST_AIR
    return bool(is_as_tissue and (_has_air(values) or _has_fat_and_bone(body, thins_out=is_masked)))


def _has_air(values: Float[np.ndarray, " sample"]) -> bool:
    """Tell air from a constant fill: there are borders between air and skin."""
    lit = values[values > _BORDERS[0]]
    return _share(values, _AIR) >= _LEAST_AIR and _share(lit, _BORDERS) >= _LEAST_BORDERS


def _has_fat_and_bone(body: Float[np.ndarray, " sample"], *, thins_out: bool) -> bool:
    """Tell tissue without any air around; `thins_out`: toward the lowest values it must."""
    lowest, low = (float(one) for one in np.percentile(body, [0.05, 0.5]))
    counts, edges = np.histogram(body, np.arange(_BODY_ABOVE, _BONE + _BIN, _BIN))
    peak = float(edges[np.convolve(counts, np.ones(3), "same").argmax()]) + _BIN / 2
    return bool(
        any(start <= peak <= stop for start, stop in _PEAKS)
        and low <= _FAT_REACHES
        and (not thins_out or (body <= lowest + _FLOOR).mean() <= _MOST_LOWEST)
        and (body > _BONE).mean() >= _LEAST_BONE
    )


def _share(values: Float[np.ndarray, " sample"], between: tuple[float, float]) -> float:
    """Return the share of values in a range; 0 of none."""
    inside = (values >= between[0]) & (values <= between[1])
    return float(inside.mean()) if len(values) else 0.0


def _density(values: Float[np.ndarray, " sample"], between: tuple[float, float]) -> float:
    """Return the share of values in a range by its width."""
    return _share(values, between) / (between[1] - between[0])
