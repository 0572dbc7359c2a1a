"""The coarse level from which is seen what depends on the whole volume."""

from __future__ import annotations

import numpy as np

from medcolor.render.tissue import Overview
from medcolor.storage import Place
from medcolor.volume.levels import Level
from medcolor.volume.store import read_slices

_LONGEST_SIDE = 160


def read_overview(volume: Place, levels: tuple[Level, ...], drawn: Level) -> Overview:
    """Read the finest level that is coarse enough, but no finer than the drawn one."""
    fit = [one for one in levels if max(one.shape) <= _LONGEST_SIDE]
    coarse = max([*fit[:1], drawn] if fit else levels[-1:], key=lambda one: one.index)
    z, y, x = (
        there - here
        for there, here in zip(coarse.translation_mm, drawn.translation_mm, strict=True)
    )
    rgba = read_slices(volume, coarse.index, range(coarse.shape[0]))
    stride = -(-max(coarse.shape) // _LONGEST_SIDE)
    rgba = np.ascontiguousarray(rgba[::stride, ::stride, ::stride])
    z_mm, y_mm, x_mm = (stride * side for side in coarse.spacing_mm)
    offset = (z, y, x)
    return Overview(rgba, (z_mm, y_mm, x_mm), drawn.shape, drawn.spacing_mm, offset)
