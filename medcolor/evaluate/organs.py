"""What somebody gets who knows where every organ is, and paints each in one colour.

As TotalSegmentator (doi:10.1148/ryai.230024) names organs and SlicerSandbox's ColorizeVolume paints
them: one flat colour an organ, its edges softened by a Gaussian of which two deviations are 1.5
voxels. Here the organs are those of the phantom, without an error, and the colours the means of
another person's photographs, which no user of these programs has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from medcolor.phantom import Tissue

_SOFT_VOXELS = 0.75
_LEAST_MASS = 1e-3

ORGANS: tuple[tuple[Tissue, ...], ...] = (
    (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY, Tissue.CSF),
    (Tissue.CORTICAL_BONE, Tissue.SPONGY_BONE, Tissue.YELLOW_MARROW),
    (Tissue.MUSCLE, Tissue.FASCIA),
    (Tissue.VITREOUS, Tissue.LENS, Tissue.SCLERA),
    (Tissue.BLOOD, Tissue.VESSEL_WALL),
    (Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA),
    (Tissue.BOWEL_WALL, Tissue.CHYME, Tissue.FAECES),
)
"""Tissues that make one organ together; every other is one by itself."""

OUTSIDE = Tissue.AIR, Tissue.CAVITY

LabVolume = Float[np.ndarray, "z y x 3"]
Labels = UInt8[np.ndarray, "z y x"]


def mean_colors(
    lab: LabVolume, labels: Labels, groups: Sequence[Sequence[Tissue]] = ()
) -> Float[np.ndarray, "tissue 3"]:
    """Return the mean colour of every tissue, or of the group it is of; zero where there is none.

    Args:
        lab: CIE Lab of photographs.
        labels: Values of `Tissue`.
        groups: Tissues that have one colour together.
    """
    size = max(map(int, Tissue)) + 1
    owner = np.arange(size)
    for group in groups:
        owner[list(group)] = group[0]
    names = owner[labels.ravel()]
    count = np.bincount(names, minlength=size)
    sums = [np.bincount(names, channel, size) for channel in lab.reshape(-1, 3).T]
    means = np.stack(sums, -1) / np.maximum(count, 1)[:, None]
    return np.asarray(means[owner], np.float32)


def paint_organs(labels: Labels, colors: Float[np.ndarray, "tissue 3"]) -> LabVolume:
    """Return every organ's colour, softened at its edges; zero outside the body."""
    body = ~np.isin(labels, OUTSIDE)
    mass = np.maximum(gaussian_filter(body.astype(np.float32), _SOFT_VOXELS), _LEAST_MASS)
    painted = np.where(body[..., None], colors[labels], 0).astype(np.float32)
    soft = [gaussian_filter(painted[..., channel], _SOFT_VOXELS) / mass for channel in range(3)]
    return np.asarray(np.stack(soft, -1) * body[..., None], np.float32)
