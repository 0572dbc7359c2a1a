"""Which grey level is how opaque: the paper's rule and 3D Slicer's presets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from medcolor.domain import GreyLevels
from medcolor.errors import InputError

Points = tuple[tuple[float, float], ...]
"""Pairs of level and opacity of a millimetre, rising in level; in between it is linear."""

TISSUES = ("skin", "muscle", "organs", "bone")
"""Presets that look at colour and depth too; see `tissue.py`."""

_GREY: dict[str, Points] = {
    "luminance": ((0.0, 0.0), (1.0, 1.0)),
    "ramp": ((0.0, 0.0), (0.1, 0.0), (0.45, 0.6), (1.0, 0.6)),
}

# Levels in stored values (HU for CT): presets.xml of 3D Slicer's volume rendering module.
_SLICER: dict[str, Points] = {
    "CT-AAA": ((143.6, 0.0), (166.2, 0.686), (214.4, 0.696), (419.7, 0.833), (3071.0, 0.804)),
    "CT-Bone": ((-16.4, 0.0), (641.4, 0.716), (3071.0, 0.706)),
    "CT-Bones": ((152.2, 0.0), (278.9, 0.19), (952.0, 0.2)),
    "CT-Cardiac": ((-77.7, 0.0), (95.0, 0.286), (179.1, 0.554), (260.4, 0.848), (3071.0, 0.875)),
    "CT-Chest-Contrast-Enhanced": ((67.0, 0.0), (251.1, 0.446), (439.3, 0.625), (3071.0, 0.616)),
    "CT-Chest-Vessels": ((-1278.4, 0.0), (22.8, 0.429), (439.3, 0.625), (3071.0, 0.616)),
    "CT-Fat": ((-100.0, 0.0), (-99.0, 0.15), (-60.0, 0.15), (-59.0, 0.0)),
    "CT-Lung": ((-600.0, 0.0), (-599.0, 0.15), (-400.0, 0.15), (-399.0, 0.0)),
    "CT-Muscle": ((-155.4, 0.0), (217.6, 0.676), (419.7, 0.833), (3071.0, 0.804)),
    "CT-Soft-Tissue": ((-167.0, 0.0), (-160.0, 1.0), (240.0, 1.0), (3661.0, 1.0)),
    "MR-Angio": ((151.4, 0.0), (158.3, 0.438), (190.1, 0.58), (200.9, 0.732), (3661.0, 0.741)),
    "MR-Default": ((20.0, 0.0), (40.0, 0.15), (120.0, 0.3), (220.0, 0.375), (1024.0, 0.5)),
    "MR-T2-Brain": ((36.1, 0.0), (218.3, 0.171), (412.4, 1.0), (641.0, 1.0)),
}

PRESETS = (*TISSUES, *_GREY, *_SLICER)

_MOST_OPAQUE = 0.999


def points_of(name: str, levels: GreyLevels | None, place: str) -> Points:
    """Return a preset's points over grey levels 0..1.

    Args:
        name: Of a preset that looks at grey levels alone.
        levels: Of the volume.
        place: What an error names.

    Raises:
        InputError: The preset is of stored values, and the volume does not say which its grey
            levels are, or its window holds none that the preset shows.
    """
    if name in _GREY:
        return _GREY[name]
    if levels is None or not levels.is_alpha:
        raise InputError(
            place,
            f"opacity {name} is for stored values, and alpha does not tell them",
            "Colour with opacity.base=luminance and this version, or choose another opacity",
        )
    black, width = levels.black, levels.white - levels.black
    stored = _SLICER[name]
    scaled = [((value - black) / width, opacity) for value, opacity in stored]
    inside = [opacity for grey, opacity in scaled if 0 < grey < 1]
    if not any(inside) and not (scaled[0][0] < 1 and stored[-1][1] > 0):
        raise InputError(
            place,
            f"opacity {name} shows {stored[0][0]:g}..{stored[-1][0]:g}, and the window of the "
            f"volume is {levels.black:g}..{levels.white:g}",
            "Colour through a window that holds them (volume.window), or choose another opacity",
        )
    return within_greys(scaled)


def within_greys(points: Sequence[tuple[float, float]]) -> Points:
    """Return points over 0..1 alone, nothing visible at 0: that is air, and what was cleared."""

    def at(grey: float) -> float:
        if grey <= points[0][0]:
            return points[0][1]
        for (low, first), (high, second) in pairwise(points):
            if grey <= high:
                return first + (second - first) * (grey - low) / (high - low)
        return points[-1][1]

    kept = [(grey, opacity) for grey, opacity in points if 0 < grey < 1]
    start = [] if kept and kept[0][0] < 1 / 255 else [(1 / 255, at(1 / 255))]
    return ((0.0, 0.0), *start, *kept, (1.0, at(1.0)))


def thinned(points: Points, density: float) -> Points:
    """Return points with all opacities multiplied, below 1."""
    return tuple((grey, min(_MOST_OPAQUE, density * opacity)) for grey, opacity in points)
