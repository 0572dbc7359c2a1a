"""Smoothing and pooling of votes, guided by the scan."""

from medcolor.filters.pooling import PoolingSettings, pool_votes, restore_spread
from medcolor.filters.smoothing import (
    PAPER_FIGURE_6,
    SmoothingSettings,
    make_smoother,
    smooth_weighted,
)

__all__ = [
    "PAPER_FIGURE_6",
    "PoolingSettings",
    "SmoothingSettings",
    "make_smoother",
    "pool_votes",
    "restore_spread",
    "smooth_weighted",
]
