"""What tests of the phantom share."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def digest(volume: NDArray[np.generic]) -> str:
    """First 16 digits of the SHA-256 of an array's bytes, little-endian."""
    little = volume.astype(volume.dtype.newbyteorder("<"))
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()[:16]
