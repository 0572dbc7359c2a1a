"""Weighted least squares, Farbman et al. 2008 (doi:10.1145/1360612.1360666), solved exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu

Image = Float[np.ndarray, "row col channel"]

_DARKEST = 1e-4
"""Added to the guide before its logarithm: air is black."""

_FLAT = 1e-4
"""epsilon of the paper's weights."""


def factorize(
    guide: Float[np.ndarray, "row col"], smoothness: float, exponent: float
) -> Callable[[Image], Image]:
    """Factorise the system of a guide and return the filter.

        u = argmin sum (u - g)^2 + lambda sum a (du)^2,    a = 1 / (|d log guide|^alpha + 1e-4)

    over neighbours along rows and columns, for any number of images g.

    Args:
        guide: Luminance 0..1.
        smoothness: lambda >= 0.
        exponent: alpha > 0.
    """
    matrix = system(guide, smoothness, exponent)
    # Symmetric and positive definite: no pivoting, and an order that suits it fills in half.
    solver = splu(
        matrix,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )

    def smooth(image: Image) -> Image:
        flat = image.reshape(-1, image.shape[-1]).astype(np.float64)
        return np.asarray(solver.solve(flat), np.float32).reshape(image.shape)

    return smooth


def system(guide: Float[np.ndarray, "row col"], smoothness: float, exponent: float) -> csc_matrix:
    """Return I + lambda L, L the Laplacian of the weighted grid."""
    log = np.log(guide.astype(np.float64) + _DARKEST)
    number = np.arange(guide.size).reshape(guide.shape)
    matrix = coo_matrix((guide.size, guide.size)).tocsc()
    for axis in (0, 1):
        weight = smoothness / (np.abs(np.diff(log, axis=axis)) ** exponent + _FLAT)
        first = np.take(number, range(guide.shape[axis] - 1), axis).ravel()
        second = np.take(number, range(1, guide.shape[axis]), axis).ravel()
        pull = weight.ravel()
        rows = np.concatenate([first, second, first, second])
        cols = np.concatenate([first, second, second, first])
        values = np.concatenate([pull, pull, -pull, -pull])
        matrix = matrix + coo_matrix((values, (rows, cols)), shape=matrix.shape).tocsc()
    ones = np.arange(guide.size)
    return (matrix + coo_matrix((np.ones(guide.size), (ones, ones))).tocsc()).tocsc()
