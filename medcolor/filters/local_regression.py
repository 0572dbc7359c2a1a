"""Local linear regression of images on guides: the guided filter with several guides and a mask.

He, Sun and Tang 2013 (doi:10.1109/TPAMI.2012.213); coefficients are found on a coarser grid, as
in He and Sun 2015 (arXiv:1505.00996). What of an image a local linear function of the guides
explains is kept, all else is averaged away: the result has no structure of its own.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from medcolor.domain import SQUARE, PixelShape

_COARSE_RADIUS = 3
"""Radius of the windows on the coarser grid, in its pixels, at least."""

_LEAST_MASS = 1e-3


@torch.no_grad()
def explain_locally(
    images: Float[Tensor, "image row col"],
    guides: Float[Tensor, "guide row col"],
    mask: Bool[Tensor, "row col"],
    radius_px: float,
    ridge: float,
    pixel: PixelShape = SQUARE,
) -> Float[Tensor, "image row col"]:
    """Return what local linear functions of the guides explain of images, and their local means.

    In every square window the images are fitted by least squares; a pixel takes the mean of the
    fits of all windows that hold it.

    Args:
        images: Any unit; the result keeps it. Zero outside the mask.
        guides: Three.
        mask: Pixels that count.
        radius_px: Half side of the windows, in pixels' shorter sides; 1 at least.
        ridge: Added to the variance of each guide: less varied ones explain nothing.
        pixel: Shape of the pixels. Windows are square in what they show.
    """
    radii = [max(1.0, radius_px) / side for side in pixel]
    rows_a_step, cols_a_step = (max(1, int(radius / _COARSE_RADIUS)) for radius in radii)
    step = rows_a_step, cols_a_step
    radius = round(radii[0] / step[0]), round(radii[1] / step[1])
    weight = mask.float()
    share = _shrink(weight[None], step)
    small_images, small_guides = (
        _shrink(some * weight, step) / share.clamp(min=_LEAST_MASS) for some in (images, guides)
    )
    mass = _box(share, radius).clamp(min=_LEAST_MASS)

    def mean(some: Float[Tensor, "some row col"]) -> Float[Tensor, "some row col"]:
        return _box(some * share, radius) / mass

    count = len(guides)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    squares = torch.stack([small_guides[i] * small_guides[j] for i, j in pairs])
    products = (small_images[:, None] * small_guides).flatten(0, 1)
    means = mean(torch.cat([small_guides, small_images, squares, products]))
    g, m, s, p = torch.split(means, [count, len(images), len(pairs), len(products)])
    variance = {
        pair: s[at] - g[pair[0]] * g[pair[1]] + (ridge if pair[0] == pair[1] else 0.0)
        for at, pair in enumerate(pairs)
    }
    covariance = p.view(len(images), count, *p.shape[1:]) - m[:, None] * g
    slopes = _solve_three(variance, covariance)
    offset = m - (slopes * g).sum(1)
    fits = mean(torch.cat([slopes.flatten(0, 1), offset]))
    large = F.interpolate(fits[None], scale_factor=step, mode="bilinear", align_corners=False)[0]
    rows, cols = mask.shape
    slopes, offset = torch.split(large[:, :rows, :cols], [len(images) * count, len(images)])
    each = slopes.reshape(len(images), count, rows, cols)
    explained: Tensor = (each * guides).sum(1) + offset
    return explained * weight


def _shrink(
    images: Float[Tensor, "image row col"], step: tuple[int, int]
) -> Float[Tensor, "image row2 col2"]:
    """Average rectangles of (row, col) pixels; those at the end as if zeros followed."""
    if step == (1, 1):
        return images
    rows, cols = images.shape[1:]
    framed = F.pad(images, (0, -cols % step[1], 0, -rows % step[0]))
    return F.avg_pool2d(framed[None], step)[0]


def _box(
    images: Float[Tensor, "image row col"], radius: tuple[int, int]
) -> Float[Tensor, "image row col"]:
    """Average over windows of these half sides; zeros lie outside."""
    high, wide = radius
    rows = F.avg_pool2d(images[None], (2 * high + 1, 1), 1, (high, 0))
    return F.avg_pool2d(rows, (1, 2 * wide + 1), 1, (0, wide))[0]


def _solve_three(
    matrix: dict[tuple[int, int], Float[Tensor, "row col"]],
    right: Float[Tensor, "image 3 row col"],
) -> Float[Tensor, "image 3 row col"]:
    """Solve symmetric systems of three unknowns by their adjugates."""
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    first = torch.stack([d * f - e * e, c * e - b * f, b * e - c * d])
    second = torch.stack([first[1], a * f - c * c, b * c - a * e])
    third = torch.stack([first[2], second[2], a * d - b * b])
    determinant = a * first[0] + b * first[1] + c * first[2]
    inverse = torch.stack([first, second, third]) / determinant
    return torch.stack([(right * inverse[row]).sum(1) for row in range(3)], 1)
