"""Equation 1 of the paper: the references' colours on the scan's own structure."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from medcolor.body import resize, resize_mask, square_shape
from medcolor.color import encode_gamma, lab_to_srgb, lightness, srgb_to_lab
from medcolor.domain import SQUARE, PixelShape, SliceVotes
from medcolor.filters.settings import SmoothingSettings
from medcolor.filters.smoothing import make_smoother, smooth_weighted
from medcolor.transfer.vote_mean import mean_vote


def equation_1(
    luminance: Float[np.ndarray, "row col"],
    body: Bool[np.ndarray, "row col"],
    votes: SliceVotes,
    gamma: float,
    smoothing: SmoothingSettings,
    device: torch.device | None = None,
    pixel: PixelShape = SQUARE,
) -> Float[np.ndarray, "row col 3"]:
    """Return the coloured crop, sRGB 0..1.

        T''_Lab = fgs(T'_Lab, T_L) - fgs(T_Lab, T_L) + T_Lab          (equation 1)

    between gamma encoding and decoding, at the scan's own resolution: the
    reconstruction is enlarged, the scan never shrunk. The smoother trusts each
    pixel of T' by the agreement of its votes and ignores the background. T is
    grey, so its a* and b* are zero in both of its terms. Smoothers know square pixels
    alone: what they change is found on such, and given to the scan's own.
    """
    voted, trust = mean_vote(votes)
    scan = encode_gamma(luminance, gamma)
    encoded = srgb_to_lab(encode_gamma(lab_to_srgb(voted), gamma))
    shape = square_shape(luminance.shape, pixel)
    guide, inside = resize(scan, shape), resize_mask(body, shape)
    reconstruction = resize(encoded, shape)
    weight = resize(trust, shape) * inside
    smoother = make_smoother(guide, smoothing, shape[0] / voted.shape[0], device)
    own = lightness(guide)[..., None]
    moved = smooth_weighted(smoother, reconstruction, weight)
    moved[..., :1] -= smooth_weighted(smoother, own, inside.astype(np.float32))
    if weight.max() == 0:  # where no vote reached the scan stays grey as it is
        moved = np.zeros_like(moved)
    moved = resize(moved, luminance.shape)
    moved[..., :1] += lightness(scan)[..., None]
    return encode_gamma(lab_to_srgb(moved), 1 / gamma)
