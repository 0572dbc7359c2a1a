"""The plain background of a clean photograph: of the border's colour and reachable from it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float


def background_of(
    lab: Float[np.ndarray, "row col 3"], tolerance: float
) -> Bool[np.ndarray, "row col"]:
    """Return the pixels of the border's colour that are connected to the border."""
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    distance = np.sqrt(((lab - np.median(border, axis=0)) ** 2).sum(axis=-1))
    like = distance < tolerance
    return np.asarray(like & ~_enclosed(like))


def _enclosed(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Return the parts of `mask` that do not reach the border."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    open_labels = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    is_open = np.zeros(count, bool)
    is_open[open_labels] = True
    return np.asarray(mask & ~is_open[labels])
