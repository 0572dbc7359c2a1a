"""Random anatomy for training the embedded network: shapes and contrasts that exist nowhere.

A body is a wobbly outline, a few rims under its surface and, inside, the arg-max
of smooth random fields of many sizes, cut by thin curves. The fields are three
dimensional, so that one body yields slices at several levels. Two renderings of
one slice share nothing but the shapes: tissue intensities, textures, bias, blur,
noise and gamma are drawn independently. Nothing is taken from real scans, from
the Visible Human or from the evaluation phantom. The idea follows SynthMorph
(Hoffmann et al. 2022, doi:10.1109/TMI.2021.3116879): features that agree between
random contrasts agree between real ones.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

TISSUE_COUNT = 32
"""Labels 1..31 are tissues, 0 is background."""

_RIM_COUNT = 4
_CURVE_LABEL = 1 + _RIM_COUNT
_FIRST_INNER_LABEL = _CURVE_LABEL + 2
_INNER_COUNT = TISSUE_COUNT - _FIRST_INNER_LABEL


def uniform(
    generator: Generator, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Draw from [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def smooth_noise(
    generator: Generator, batch: int, channels: int, size_px: int, cell_px: float
) -> Float[Tensor, "batch channel row col"]:
    """Draw noise of unit variance that varies over about `cell_px` pixels."""
    side = max(2, math.ceil(size_px / cell_px) + 1)
    coarse = torch.randn(batch, channels, side, side, generator=generator)
    return F.interpolate(coarse, size=(size_px, size_px), mode="bicubic", align_corners=True)


def _level_noise(
    generator: Generator, bodies: int, levels: Tensor, channels: int, size_px: int, cell_px: float
) -> Float[Tensor, "slice channel row col"]:
    """Draw noise in three dimensions and cut it at `levels` (body, level), each 0..1."""
    side = max(2, math.ceil(size_px / cell_px) + 1)
    depth = max(3, side)
    coarse = torch.randn(bodies, channels, depth, side, side, generator=generator)
    position = levels * (depth - 1)
    below = position.floor().clamp(max=depth - 2).long()
    fraction = (position - below)[:, :, None, None, None]
    body = torch.arange(bodies)[:, None].expand_as(below)
    volume = coarse.transpose(1, 2)
    cut = volume[body, below] * (1 - fraction) + volume[body, below + 1] * fraction
    # Keep the variance of a cut independent of where it falls between two planes.
    cut = cut / torch.sqrt(fraction**2 + (1 - fraction) ** 2)
    return F.interpolate(
        cut.flatten(0, 1), size=(size_px, size_px), mode="bicubic", align_corners=True
    )


def random_anatomy(
    generator: Generator,
    bodies: int,
    levels: Float[Tensor, "body level"],
    size_px: int,
    *,
    scale: tuple[float, float] = (0.75, 1.5),
) -> Int[Tensor, "slice row col"]:
    """Draw `bodies` bodies and cut each at its `levels`.

    Args:
        generator: Source of randomness.
        bodies: How many.
        levels: Where to cut, 0..1 along the body.
        size_px: Side of the square slices.
        scale: Size of a body against the image; above 1 the image shows a part of it.

    Returns:
        Tissue labels 0 (background) .. TISSUE_COUNT - 1, one slice per body and level.
    """
    count = levels.numel()
    axis = torch.linspace(-1, 1, size_px)
    rows, cols = torch.meshgrid(axis, axis, indexing="ij")

    def per_body(low: float, high: float) -> Tensor:
        return uniform(generator, (bodies, 1), low, high).expand_as(levels).reshape(-1, 1, 1)

    size = per_body(*scale)
    half_width = size * per_body(0.7, 1.0)
    half_height = size * per_body(0.7, 1.0)
    shift_row, shift_col = per_body(-0.15, 0.15), per_body(-0.15, 0.15)
    # The outline narrows toward one end, as a head or a limb does.
    taper = 1 - per_body(0.0, 0.6) * (levels.reshape(-1, 1, 1) - 0.3).clamp(min=0)
    radius = torch.sqrt(
        ((rows - shift_row) / (half_height * taper)) ** 2
        + ((cols - shift_col) / (half_width * taper)) ** 2
    )
    wobble = _level_noise(generator, bodies, levels, 1, size_px, size_px / 3.5)[:, 0]
    ripple = _level_noise(generator, bodies, levels, 1, size_px, size_px / 10)[:, 0]
    depth = 1 - radius + per_body(0.02, 0.12) * wobble + per_body(0.0, 0.03) * ripple

    labels = torch.zeros(count, size_px, size_px, dtype=torch.long)
    inside = depth > 0

    fields = []
    cells_px = (
        size_px / torch.exp(uniform(generator, (4,), math.log(2.5), math.log(22.0))).sort().values
    )
    for cell_px in cells_px.tolist():
        share = _INNER_COUNT // len(cells_px) + 1
        amplitude = uniform(generator, (1, share, 1, 1), 0.5, 1.2)
        noise = _level_noise(generator, bodies, levels, share, size_px, cell_px)
        fields.append(noise * amplitude)
    inner = torch.cat(fields, 1)[:, :_INNER_COUNT]
    # Silence some fields: a body has few tissues or many.
    alive = torch.rand(count // levels.shape[1], _INNER_COUNT, generator=generator)
    alive = (alive < uniform(generator, (bodies, 1), 0.2, 1.0)).repeat_interleave(
        levels.shape[1], 0
    )
    alive[:, 0] = True
    inner = inner.masked_fill(~alive[:, :, None, None], -1e3)
    labels = torch.where(inside, inner.argmax(1) + _FIRST_INNER_LABEL, labels)

    # Thin curves: where a smooth field crosses zero (vessels, sulci, septa).
    for offset in range(2):
        cell_px = size_px / float(uniform(generator, (1,), 4.0, 14.0))
        crossing = _level_noise(generator, bodies, levels, 1, size_px, cell_px)[:, 0]
        width = per_body(0.02, 0.16) * (per_body(0.0, 1.0) < 0.6)
        labels = torch.where(inside & (crossing.abs() < width), _CURVE_LABEL + offset, labels)

    # Rims: skin, fat, muscle, bone; each possibly absent, each of uneven thickness.
    outer = torch.zeros_like(depth)
    for rim in range(_RIM_COUNT):
        uneven = _level_noise(generator, bodies, levels, 1, size_px, size_px / 5)[:, 0]
        present = per_body(0.0, 1.0) < 0.6
        thickness = per_body(0.02, 0.14) * (1 + 0.5 * uneven).clamp(0.1) * present
        labels = torch.where(
            inside & (depth > outer) & (depth <= outer + thickness), rim + 1, labels
        )
        outer = outer + thickness
    return labels


def render_contrast(
    generator: Generator, labels: Int[Tensor, "batch row col"]
) -> Float[Tensor, "batch 1 row col"]:
    """Render labels with a random contrast of their own: luminance 0..1, background 0."""
    batch, size_px, _ = labels.shape
    mean = uniform(generator, (batch, TISSUE_COUNT), 0.02, 1.0)
    # Computed tomography shows many tissues alike: snap some images to a few grey levels.
    steps = torch.randint(2, 7, (batch, 1), generator=generator)
    snapped = (mean * steps).round() / steps
    mean = torch.where(torch.rand(batch, 1, generator=generator) < 0.4, snapped, mean)
    # ... or squeeze all but a few into a narrow band.
    band_low = uniform(generator, (batch, 1), 0.1, 0.7)
    squeezed = band_low + 0.25 * mean
    keeps = torch.rand(batch, TISSUE_COUNT, generator=generator) < 0.25
    narrow = torch.rand(batch, 1, generator=generator) < 0.35
    mean = torch.where(narrow & ~keeps, squeezed, mean)
    # Some tissues are air or cortical bone in this contrast: black.
    mean = mean.masked_fill(torch.rand(batch, TISSUE_COUNT, generator=generator) < 0.06, 0.0)
    grain = uniform(generator, (batch, TISSUE_COUNT), 0.0, 0.10)
    grain = grain * (torch.rand(batch, 1, generator=generator) < 0.7)

    flat = labels.flatten(1)
    image = mean.gather(1, flat).view(batch, 1, size_px, size_px)
    amplitude = grain.gather(1, flat).view(batch, 1, size_px, size_px)
    texture_px = float(uniform(generator, (1,), 1.5, 8.0))
    image = image + amplitude * smooth_noise(generator, batch, 1, size_px, texture_px)

    bias = smooth_noise(generator, batch, 1, size_px, size_px / 2)
    strength = uniform(generator, (batch, 1, 1, 1), 0.0, 0.18)
    image = image * (1 + strength * bias).clamp(0.3)
    gamma = torch.exp(uniform(generator, (batch, 1, 1, 1), -0.5, 0.5))
    image = image.clamp(0, 1) ** gamma
    image = _blur(image, float(uniform(generator, (1,), 0.3, 1.3)))
    noise = uniform(generator, (batch, 1, 1, 1), 0.0, 0.05)
    image = image + noise * torch.randn(image.shape, generator=generator)
    inside = (labels > 0)[:, None]
    return torch.where(inside, image.clamp(0, 1), torch.zeros(()))


def _blur(
    image: Float[Tensor, "batch 1 row col"], sigma_px: float
) -> Float[Tensor, "batch 1 row col"]:
    """Blur with a Gaussian of seven taps."""
    taps = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / sigma_px) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(image, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 7)), taps.view(1, 1, 7, 1))


def random_warp(
    generator: Generator, batch: int, size_px: int, *, rotation_deg: float = 20.0
) -> Float[Tensor, "batch row col 2"]:
    """Draw a smooth deformation with rotation, scale and shift.

    Returns:
        For each pixel of the warped image its (col, row) in the original, in the
        -1..1 coordinates of `grid_sample` with `align_corners=False`.
    """
    angle = uniform(generator, (batch,), -rotation_deg, rotation_deg) * math.pi / 180
    scale = uniform(generator, (batch, 2), 0.82, 1.2)
    shift = uniform(generator, (batch, 2), -0.12, 0.12)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0] = scale[:, 0] * torch.cos(angle)
    theta[:, 0, 1] = -scale[:, 0] * torch.sin(angle)
    theta[:, 1, 0] = scale[:, 1] * torch.sin(angle)
    theta[:, 1, 1] = scale[:, 1] * torch.cos(angle)
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta, [batch, 1, size_px, size_px], align_corners=False)
    coarse = smooth_noise(generator, batch, 2, size_px, size_px / 3.5)
    fine = smooth_noise(generator, batch, 2, size_px, size_px / 8)
    strength = uniform(generator, (batch, 1, 1, 1), 0.0, 1.0)
    return grid + (strength * (0.07 * coarse + 0.025 * fine)).permute(0, 2, 3, 1)


def warp_labels(
    labels: Int[Tensor, "batch row col"], warp: Float[Tensor, "batch row col 2"]
) -> Int[Tensor, "batch row col"]:
    """Resample labels by nearest neighbour; what lies outside is background."""
    warped = F.grid_sample(
        labels[:, None].float(), warp, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return warped[:, 0].long()
