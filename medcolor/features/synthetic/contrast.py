"""Label maps as images: CT-like, MR-like, photograph-like, or like nothing at all."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.nn import functional as F

from medcolor.features.synthetic.noise import smooth_noise, uniform
from medcolor.features.synthetic.tissues import AIRY, BONES, RIMS, TISSUE_COUNT

Image = Float[Tensor, "batch 1 row col"]

_BONY = [RIMS[-1], *BONES]
_KNOTS = 8


def render_contrast(generator: Generator, labels: Int[Tensor, "batch row col"]) -> Image:
    """Render labels with a random contrast of their own: luminance 0..1, background 0."""
    batch, size_px, _ = labels.shape
    kind = torch.rand(batch, 1, generator=generator)
    is_ct, is_mri = kind < 0.3, (kind >= 0.3) & (kind < 0.55)
    is_photograph = (kind >= 0.55) & (kind < 0.8)
    mean = _tissue_means(generator, is_ct, is_mri)
    flat = labels.flatten(1)
    image = mean.gather(1, flat).view(batch, 1, size_px, size_px)
    image = image + _texture(generator, labels, is_ct, is_photograph)
    bias = smooth_noise(generator, batch, 1, size_px, size_px / 2)
    strength = uniform(generator, (batch, 1), 0.0, 0.2) * (~is_ct & ~is_photograph)
    image = image * (1 + strength[..., None, None] * bias).clamp(0.3)
    gamma = torch.exp(uniform(generator, (batch, 1, 1, 1), -0.5, 0.5))
    image = image.clamp(0, 1) ** gamma
    image = _blur(image, float(uniform(generator, (1,), 0.25, 1.2)))
    noise = uniform(generator, (batch, 1, 1, 1), 0.0, 0.05)
    image = image + noise * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 1)


def _tissue_means(
    generator: Generator, is_ct: Bool[Tensor, "batch 1"], is_mri: Bool[Tensor, "batch 1"]
) -> Float[Tensor, "batch tissue"]:
    """Draw the grey level of every tissue."""
    batch = len(is_ct)
    mean = uniform(generator, (batch, TISSUE_COUNT), 0.02, 1.0)
    # Some images hold few grey levels: neighbours look alike and meet without a border.
    steps = torch.randint(2, 7, (batch, 1), generator=generator)
    snapped = (mean * steps).round() / steps
    mean = torch.where(torch.rand(batch, 1, generator=generator) < 0.3, snapped, mean)
    # Computed tomography: soft tissue in a narrow band, bone bright, a few tissues far off.
    low = uniform(generator, (batch, 1), 0.1, 0.6)
    band = low + uniform(generator, (batch, 1), 0.05, 0.3) * mean
    keeps = torch.rand(batch, TISSUE_COUNT, generator=generator) < 0.2
    soft = torch.where(keeps, mean, band)
    bony = torch.zeros(TISSUE_COUNT, dtype=torch.bool)
    bony[_BONY] = True
    bright = uniform(generator, (batch, TISSUE_COUNT), 0.75, 1.0)
    mean = torch.where(is_ct, torch.where(bony, bright, soft), mean)
    # Magnetic resonance: compact bone gives no signal.
    mean = torch.where(is_mri & bony, 0.15 * mean, mean)
    airy = torch.zeros(TISSUE_COUNT, dtype=torch.bool)
    airy[list(AIRY)] = True
    empty = torch.rand(batch, TISSUE_COUNT, generator=generator) < 0.8
    mean = torch.where((is_ct | is_mri) & airy & empty, 0.12 * mean, mean)
    # Air and what else is black in this contrast.
    return mean.masked_fill(torch.rand(batch, TISSUE_COUNT, generator=generator) < 0.06, 0.0)


def _texture(
    generator: Generator,
    labels: Int[Tensor, "batch row col"],
    is_ct: Bool[Tensor, "batch 1"],
    is_photograph: Bool[Tensor, "batch 1"],
) -> Image:
    """Draw grain of two sizes; strong and fine in photographs, weak in CT, often none."""
    batch, size_px, _ = labels.shape
    strongest = torch.where(is_photograph, 0.16, torch.where(is_ct, 0.03, 0.1))
    strongest = strongest * (torch.rand(batch, 1, generator=generator) < 0.7)
    amplitude = uniform(generator, (batch, TISSUE_COUNT)) * strongest
    grain = smooth_noise(
        generator, batch, 1, size_px, float(uniform(generator, (1,), 1.5, 4.0))
    ) + smooth_noise(generator, batch, 1, size_px, float(uniform(generator, (1,), 4.0, 12.0)))
    return amplitude.gather(1, labels.flatten(1)).view_as(grain) * 0.7 * grain


def remap_tones(generator: Generator, image: Image) -> Image:
    """Give every grey level another by a random curve that rises and falls; some keep theirs."""
    batch = len(image)
    knots = uniform(generator, (batch, _KNOTS))
    straight = torch.linspace(0, 1, _KNOTS)
    kept = torch.rand(batch, 1, generator=generator) < 0.4
    knots = torch.where(kept, straight, knots)
    position = image.flatten(1) * (_KNOTS - 1)
    below = position.floor().clamp(0, _KNOTS - 2).long()
    part = position - below
    values = knots.gather(1, below) * (1 - part) + knots.gather(1, below + 1) * part
    noise = uniform(generator, (batch, 1), 0.0, 0.03)
    values = values + noise * torch.randn(values.shape, generator=generator)
    return values.view_as(image).clamp(0, 1)


def set_background(
    generator: Generator, image: Image, inside: Bool[Tensor, "batch row col"]
) -> tuple[Image, Bool[Tensor, "batch row col"]]:
    """Black out the background, or leave gel or a table there; take some tissue away.

    Returns:
        The image, and where it still shows tissue.
    """
    batch, _, size_px, _ = image.shape
    hole = smooth_noise(generator, batch, 1, size_px, size_px / 3)[:, 0]
    holed = torch.rand(batch, 1, 1, generator=generator) < 0.2
    inside = inside & ~(holed & (hole > 1.3))
    level = uniform(generator, (batch, 1, 1), 0.05, 0.9)
    gel = torch.rand(batch, 1, 1, generator=generator) < 0.1
    table = torch.rand(batch, 1, 1, generator=generator) < 0.15
    top = uniform(generator, (batch, 1, 1), 0.6, 0.95)
    row = torch.linspace(0, 1, size_px)[:, None]
    bar = table & (row > top) & (row < top + 0.06)
    behind = torch.where(gel | bar, level, 0.0).expand_as(inside)
    return torch.where(inside[:, None], image, behind[:, None]), inside


def _blur(image: Image, sigma_px: float) -> Image:
    """Blur with a Gaussian of seven taps."""
    taps = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / sigma_px) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(image, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 7)), taps.view(1, 1, 7, 1))
