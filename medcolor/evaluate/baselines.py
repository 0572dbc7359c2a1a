"""What a result is measured against: no colours, and colours by grey level alone."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

_BINS = 256


class GreyTransfer:
    """A one-dimensional transfer function, grey 0..1 to CIE Lab, fitted as the mean of each level.

    Fitted to a reference photograph it is the look-up of Welsh et al. without
    neighbourhoods; fitted to the truth it is the best transfer function anyone could
    have drawn, known only with hindsight.
    """

    def __init__(self) -> None:
        """Start without samples."""
        self._sum = np.zeros((_BINS, 3))
        self._count = np.zeros(_BINS)

    def fit(self, grey: Float[np.ndarray, " sample"], lab: Float[np.ndarray, "sample 3"]) -> None:
        """Add samples."""
        level = _level(grey)
        self._count += np.bincount(level, minlength=_BINS)
        for channel in range(3):
            self._sum[:, channel] += np.bincount(level, weights=lab[:, channel], minlength=_BINS)

    def __call__(self, grey: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid 3"]:
        """Return the Lab colours of grey values; levels never seen take their neighbours'."""
        seen = np.flatnonzero(self._count)
        table = np.stack(
            [
                np.interp(np.arange(_BINS), seen, self._sum[seen, channel] / self._count[seen])
                for channel in range(3)
            ],
            axis=-1,
        )
        return np.asarray(table[_level(grey)], np.float32)


def _level(grey: Float[np.ndarray, "*grid"]) -> Int[np.ndarray, "*grid"]:
    return np.asarray(np.clip(np.rint(grey * (_BINS - 1)), 0, _BINS - 1), np.int64)
