"""Bringing any stored axes to (z, y, x) in LPS, and keeping the affine true."""

from __future__ import annotations

import dask.array as da
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from medcolor.domain import Affine, VolumeGeometry


def to_lps(
    stored: da.Array, affine: NDArray[np.float64], steps: tuple[str, ...] = ()
) -> tuple[da.Array, VolumeGeometry]:
    """Permute and flip stored axes so that the result is (z, y, x) in LPS.

    Args:
        stored: Three axes (i, j, k).
        affine: 4 x 4, index (i, j, k, 1) to millimetres in RAS.
        steps: What was done before.

    Returns:
        The reordered array, still lazy and not resampled, and its geometry. Oblique
        axes go to the nearest of L, P, S; the affine keeps the remaining tilt.
    """
    have = nib.orientations.io_orientation(affine)
    want = nib.orientations.axcodes2ornt(("L", "P", "S"))
    change = nib.orientations.ornt_transform(have, want)
    new_affine = affine @ nib.orientations.inv_ornt_aff(change, stored.shape)
    flipped = stored[tuple(slice(None, None, int(sign)) for sign in change[:, 1])]
    order = np.argsort(change[:, 0])  # stored axis that becomes x, y, z
    array = flipped.transpose(tuple(int(axis) for axis in order[::-1]))

    codes = "".join(nib.orientations.aff2axcodes(affine))
    spacing = np.sqrt((new_affine[:3, :3] ** 2).sum(axis=0))
    geometry = VolumeGeometry(
        shape=(array.shape[0], array.shape[1], array.shape[2]),
        spacing_mm=(float(spacing[2]), float(spacing[1]), float(spacing[0])),
        affine=as_affine(new_affine),
        steps=(*steps, f"stored axes {codes}", "reordered to LPS, (z, y, x)"),
    )
    return array, geometry


def chunks_of_slices(affine: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return chunks of stored axes such that each is one slice of what `to_lps` makes of them."""
    axes = nib.orientations.io_orientation(affine)[:, 0]
    return tuple(1 if axis == 2 else side for axis, side in zip(axes, shape, strict=True))


def as_affine(matrix: NDArray[np.float64]) -> Affine:
    """Freeze a 4 x 4 matrix, rounded to a nanometre so that text forms compare equal."""
    rows = np.round(np.asarray(matrix, float), 6) + 0.0
    return tuple((float(r[0]), float(r[1]), float(r[2]), float(r[3])) for r in rows)


SIDES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Of every side of the body: the axis of RAS that runs to it, and whether along or against it."""


def affine_from_code(
    orientation: str, spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return the affine of axes (x, y, z) that run to the three letters of `orientation`.

    Args:
        orientation: E.g. LPS; of each pair of sides (L and R, P and A, S and I) one, in any order.
        spacing_mm: Along (z, y, x). The first voxel lies at the origin.
    """
    affine = np.eye(4)
    for axis, (letter, spacing) in enumerate(zip(orientation, spacing_mm[::-1], strict=True)):
        of_body, sign = SIDES[letter]
        affine[:3, axis] = 0
        affine[of_body, axis] = sign * spacing
    return affine
