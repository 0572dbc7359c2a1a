"""Equation 1 of the paper: the references' colours on the scan's own structure."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from medcolor.body import resize
from medcolor.color import encode_gamma, lab_to_srgb, lightness, srgb_to_lab
from medcolor.filters import SmoothingSettings, make_smoother, smooth_weighted
from medcolor.transfer.settings import TransferSettings


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
    grey, so its a* and b* are zero in both of its terms.
    """
    scan = encode_gamma(luminance, transfer.gamma)
    encoded = srgb_to_lab(encode_gamma(lab_to_srgb(voted), transfer.gamma))
    reconstruction = resize(encoded, luminance.shape)
    weight = resize(trust, luminance.shape) * body
    scale = luminance.shape[0] / voted.shape[0]
    smoother = make_smoother(scan, smoothing, scale, device)
    scan_lightness = lightness(scan)
    result = smooth_weighted(smoother, reconstruction, weight)
    scan_base = smooth_weighted(smoother, scan_lightness[..., None], body.astype(np.float32))
    moved = transfer.reference_luminance * (result[..., 0] - scan_base[..., 0])
    # Where no vote reached (weight zero all around) the scan stays grey as it is.
    result[..., 0] = np.where(weight.max() > 0, moved, 0) + scan_lightness
    return encode_gamma(lab_to_srgb(result), 1 / transfer.gamma)
