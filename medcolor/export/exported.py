"""What a format's module is given to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from medcolor.volume.levels import Level


@dataclass(frozen=True)
class Exported:
    """One level of a volume."""

    level: Level
    affine: Float[np.ndarray, "4 4"]
    """Voxel index (x, y, z, 1) to mm in RAS."""

    channels: Literal[3, 4]
    """RGB, or RGB and alpha."""

    slices: Callable[[], Iterator[UInt8[np.ndarray, "row col channels"]]]
    """From the feet up."""

    @property
    def affine_lps(self) -> Float[np.ndarray, "4 4"]:
        """The same to mm in LPS."""
        return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine)
