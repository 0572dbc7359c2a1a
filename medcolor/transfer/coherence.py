"""Colours that hold from slice to slice: smoothing along z that stops where the scan changes.

Each slice is matched on its own, so the same tissue gets a slightly other colour in the next
one, and sections across the slices show bands. A bilateral filter along z (Tomasi and Manduchi
1998, doi:10.1109/ICCV.1998.710815; with the scan as its guide, Petschnigg et al. 2004) of the
reconstruction takes that away before equation 1 puts it on the scan's structure. What counts is
the largest change of the scan on the way to a neighbour, so that nothing is heard through bone. Its
reach is finite: a slice depends on its neighbours alone and not on how slices are cut into slabs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float

from medcolor.domain import Box, Reconstruction
from medcolor.transfer.settings import CoherenceSettings

_LEAST_WEIGHT = 1e-6


def smooth_along_stack(
    own: Reconstruction,
    neighbours: Iterable[Reconstruction],
    slice_step_mm: float,
    settings: CoherenceSettings,
) -> Reconstruction:
    """Return a slice's reconstruction averaged with its neighbours', where the scan is alike.

    Args:
        own: The slice.
        neighbours: The slices at most `halo` away, each on its own working grid.
        slice_step_mm: From slice to slice.
        settings: Reach and tolerance.
    """
    total, mass = own.weighted.copy(), np.ones_like(own.trust)
    ordered = sorted(neighbours, key=lambda other: abs(other.z - own.z))
    for side in (-1, 1):
        change = np.zeros_like(own.trust)
        for other in ordered:
            if (other.z - own.z) * side < 0:
                continue
            # The largest change on the way: what lies behind a border is not heard.
            change = np.maximum(change, np.abs(_on_grid(other.grey, other.box, own) - own.grey))
            weight = change * change
            weight *= np.float32(-0.5 / settings.grey_tolerance**2)
            distance = (other.z - own.z) * slice_step_mm / settings.reach_mm
            weight -= np.float32(distance**2 / 2)
            cv2.exp(weight, weight)  # four times as fast as numpy's
            moved = _on_grid(other.weighted, other.box, own)
            moved *= weight[..., None]
            total += moved
            mass += weight
    trust = total[..., 3]
    known = trust[..., None] > _LEAST_WEIGHT
    lab = np.where(known, total[..., :3] / np.maximum(trust, _LEAST_WEIGHT)[..., None], own.lab)
    return replace(own, lab=lab, trust=trust / mass)


def _on_grid(
    image: Float[np.ndarray, "row col *channel"], box: Box, onto: Reconstruction
) -> Float[np.ndarray, "row2 col2 *channel"]:
    """Resample an image of `box` to the grid of another slice; zero where it does not reach."""
    shape = onto.trust.shape
    if box == onto.box and image.shape[:2] == shape:
        return image.copy()
    matrix = np.zeros((2, 3))
    starts = (onto.box.row_start - box.row_start, onto.box.col_start - box.col_start)
    for axis, start in enumerate(starts):
        density = image.shape[axis] / box.shape[axis]  # pixels of the image to one of the scan
        scale = onto.box.shape[axis] / shape[axis] * density
        matrix[1 - axis, 1 - axis] = scale
        matrix[1 - axis, 2] = start * density + scale / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, shape[::-1], flags=flags))
