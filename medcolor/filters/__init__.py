"""Smoothing and pooling of votes, guided by the scan."""

from medcolor.filters.pooling import PoolingSettings, pool_votes
from medcolor.filters.smoothing import (
    PAPER_FIGURE_6,
    SmoothingSettings,
    make_smoother,
    smooth_weighted,
)
from medcolor.filters.spread import match_spread

__all__ = [
    "PAPER_FIGURE_6",
    "PoolingSettings",
    "SmoothingSettings",
    "make_smoother",
    "match_spread",
    "pool_votes",
    "smooth_weighted",
]
