"""Names for the arrays and tables that the phantom is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
"""A number at each voxel of a window, axes (z, y, x); float32 unless said otherwise."""
Profile = NDArray[np.floating[Any]]
"""A number for each slice, or each place along an axis; float64."""
Number = int | float
"""What stands in tables; the checks at run time do not take an int for a float."""
Row = Sequence[Number]
"""One row of a table: a point (x, y, z), a node (x, y, z, radius), a section (z, ...)."""
Table = Sequence[Row]
