"""Edge-preserving smoothing guided by the scan."""

from medcolor.filters.fast_global_smoother import SmoothingSettings, smooth_weighted

__all__ = ["SmoothingSettings", "smooth_weighted"]
