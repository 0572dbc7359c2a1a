"""Equation 1 of the paper: the references' colours on the scan's own structure."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from medcolor.body import resize
from medcolor.color import encode_gamma, lab_to_srgb, lightness, srgb_to_lab
from medcolor.filters.settings import SmoothingSettings
from medcolor.filters.smoothing import make_smoother, smooth_weighted
from medcolor.filters.spread import match_spread
from medcolor.transfer.ramp import smooth_ramp
from medcolor.transfer.settings import TransferSettings

_GAINS = 0.5, 2.0


def equation_1(
    luminance: Float[np.ndarray, "row col"],
    body: Bool[np.ndarray, "row col"],
    voted: Float[np.ndarray, "row2 col2 3"],
    trust: Float[np.ndarray, "row2 col2"],
    transfer: TransferSettings,
    smoothing: SmoothingSettings,
    device: torch.device | None = None,
) -> Float[np.ndarray, "row col 3"]:
    """Return the coloured crop, sRGB 0..1.

        T''_Lab = fgs(T'_Lab, T_L) - fgs(T_Lab, T_L) + T_Lab          (equation 1)

    between gamma encoding and decoding, at the scan's own resolution: the
    reconstruction is enlarged, the scan never shrunk. The smoother trusts each
    pixel of T' by the agreement of its votes and ignores the background. T is
    grey, so its a* and b* are zero in both of its terms. Ours: the luminance is smoothed
    across edges (`luminance_sigma`) and the chroma along them (`guide_sigma`); in the paper
    both are 200.
    """
    scan = encode_gamma(luminance, transfer.gamma)
    encoded = srgb_to_lab(encode_gamma(lab_to_srgb(voted), transfer.gamma))
    reconstruction = resize(encoded, luminance.shape)
    weight = resize(trust, luminance.shape) * body
    scale = luminance.shape[0] / voted.shape[0]
    smoother = make_smoother(scan, smoothing, scale, device)
    wide = smoother
    if smoothing.of_luminance != smoothing:
        wide = make_smoother(scan, smoothing.of_luminance, scale, device)
    own = lightness(scan)[..., None]
    own = match_spread(own, reconstruction[..., :1], weight, transfer.contrast, _GAINS)
    reference = smooth_weighted(wide, reconstruction[..., :1], weight)
    moved = reference - smooth_weighted(wide, own, body.astype(np.float32))
    # Where no vote reached (weight zero all around) the scan stays grey as it is.
    moved = transfer.reference_luminance * moved if weight.max() > 0 else np.zeros_like(own)
    chroma = smooth_weighted(smoother, reconstruction[..., 1:], weight)
    lit = smooth_ramp(luminance, 0.0, transfer.black_below)[..., None]
    result = np.concatenate([own + lit * moved, lit * chroma], axis=-1)
    return encode_gamma(lab_to_srgb(result), 1 / transfer.gamma)
