"""Smoothing and pooling of votes, guided by the scan."""

from medcolor.filters.fast_global_smoother import SmoothingSettings, smooth_weighted
from medcolor.filters.pooling import PoolingSettings, pool_votes, restore_spread

__all__ = [
    "PoolingSettings",
    "SmoothingSettings",
    "pool_votes",
    "restore_spread",
    "smooth_weighted",
]
