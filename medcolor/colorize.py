"""One slice takes the colours of one photograph: the method, on one page.

Devkota and Pattanaik, "Reference Based Color Transfer for Medical Volume
Rendering": match deep features coarse to fine (section 4.1), vote the reference's
colours through the field, bring scan and reconstruction to gamma 1/2, keep the
scan's structure with equation 1, and go back with gamma 2 (section 5.1). Ours is
the pooling of votes by place and grey level between voting and gamma.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from medcolor.body import bounding_box, pad_to_cells, resize, resize_mask, working_shape
from medcolor.color import encode_gamma, grey_of, lab_to_srgb, lightness, srgb_to_lab
from medcolor.domain import Box, ColorSlice, ReferenceSlice, TargetSlice
from medcolor.features.extract import FeaturePyramid, FeatureSettings, extract_pyramid
from medcolor.features.network import PlacedNetwork
from medcolor.filters import (
    PoolingSettings,
    SmoothingSettings,
    pool_votes,
    restore_spread,
    smooth_weighted,
)
from medcolor.matching import Correspondence, MatchingSettings, match_coarse_to_fine, vote
from medcolor.settings import Settings
from medcolor.stopwatch import Stopwatch


@dataclass(frozen=True, kw_only=True)
class TransferSettings(Settings):
    """From correspondence to colour."""

    vote_patch_px: int = 5
    """Side of the patches that vote for a pixel's colour, in working pixels; odd."""

    least_confidence: float = 0.05
    """Weight of a match that forward-backward agreement rejects, against 1 for one it confirms."""

    gamma: float = 0.5
    """Scan and reconstruction are raised to this before equation 1, the result to its
    inverse after it (the paper: 1/2 and 2). 1 leaves them alone."""

    reference_luminance: float = 1.0
    """How far the smooth part of the luminance moves to the reference's: 1 is
    equation 1 as printed, 0 keeps the scan's."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.vote_patch_px < 1 or self.vote_patch_px % 2 == 0:
            raise ValueError("vote_patch_px must be odd")
        if not 0 < self.least_confidence <= 1 or not 0 <= self.reference_luminance <= 1:
            raise ValueError(
                "least_confidence must lie in 0..1 (not 0), reference_luminance in 0..1"
            )
        if self.gamma <= 0:
            raise ValueError("gamma must be > 0")


@dataclass(frozen=True)
class PreparedReference:
    """A photograph at the working size, ready to be matched many times."""

    reference_id: str
    lab: Float[np.ndarray, "row col 3"]
    """Padded to whole cells, as the features are."""

    tissue: Bool[np.ndarray, "row col"]
    pyramid: FeaturePyramid

    @property
    def nbytes(self) -> int:
        """Memory it takes, features and picture."""
        features = self.pyramid.levels + self.pyramid.lengths + self.pyramid.masks
        return self.lab.nbytes + self.tissue.nbytes + sum(part.nbytes for part in features)


def prepare_reference(
    reference: ReferenceSlice, network: PlacedNetwork, settings: FeatureSettings
) -> PreparedReference:
    """Scale a reference to the working size and extract its features."""
    rows, cols = reference.tissue.shape
    shape = working_shape(Box(0, rows, 0, cols), settings.working_size_px)
    tissue = resize_mask(reference.tissue, shape)
    rgb = resize(reference.rgb, shape).astype(np.float32) / 255
    return PreparedReference(
        reference.reference_id,
        pad_to_cells(srgb_to_lab(rgb)),
        pad_to_cells(tissue),
        extract_pyramid(network, grey_of(rgb), tissue),
    )


def colorize_slice(
    target: TargetSlice,
    reference: PreparedReference,
    network: PlacedNetwork,
    *,
    features: FeatureSettings,
    matching: MatchingSettings,
    transfer: TransferSettings,
    pooling: PoolingSettings,
    smoothing: SmoothingSettings,
    stopwatch: Stopwatch,
) -> ColorSlice:
    """Give `target` the colours of `reference` and keep its structure; alpha is its luminance."""
    box = bounding_box(target.body)
    rgba = np.zeros((*target.luminance.shape, 4), np.uint8)
    if box is None:
        return ColorSlice(rgba, target.z)
    body, luminance = target.body[box.slices], target.luminance[box.slices]
    shape = working_shape(box, features.working_size_px)

    with stopwatch("features"):
        matched = resize(target.matched_luminance[box.slices], shape)
        working_body = resize_mask(body, shape)
        pyramid = extract_pyramid(network, matched, working_body)
    with stopwatch("matching"):
        correspondence = match_coarse_to_fine(pyramid, reference.pyramid, matching, network)
    with stopwatch("voting"):
        voted, trust = vote_colors(correspondence, reference, working_body, transfer)
    with stopwatch("pooling"):
        heard = trust * working_body
        own = matched_colors(correspondence, reference, working_body.shape)
        voted = pool_votes(voted, matched, heard, pooling)
        voted = restore_spread(voted, own, heard, pooling.spread)
    with stopwatch("transfer"):
        rgb = equation_1(luminance, body, voted, trust, transfer, smoothing)

    rgba[box.slices][..., :3] = np.rint(255 * rgb)
    rgba[box.slices][..., 3] = np.rint(255 * luminance)
    rgba[~target.body] = 0
    return ColorSlice(rgba, target.z)


def vote_colors(
    correspondence: Correspondence,
    reference: PreparedReference,
    body: Bool[np.ndarray, "row col"],
    settings: TransferSettings,
) -> tuple[Float[np.ndarray, "row col 3"], Float[np.ndarray, "row col"]]:
    """Return T'_Lab, the target reconstructed from the reference, and the trust in each pixel."""
    device = correspondence.confidence.device
    weight = torch.from_numpy(pad_to_cells(body).astype(np.float32)).to(device)
    weight = weight * correspondence.confidence.clamp(min=settings.least_confidence)
    lab, trust = vote(
        correspondence.target_to_reference.position,
        weight,
        torch.from_numpy(reference.lab).to(device).permute(2, 0, 1).contiguous(),
        torch.from_numpy(reference.tissue).to(device),
        patch_px=settings.vote_patch_px,
    )
    rows, cols = body.shape
    lab, trust = lab.permute(1, 2, 0).cpu(), trust.cpu()
    return lab.numpy()[:rows, :cols], trust.numpy()[:rows, :cols]


def matched_colors(
    correspondence: Correspondence, reference: PreparedReference, shape: tuple[int, int]
) -> Float[np.ndarray, "row col 3"]:
    """Return the colour of each pixel's own match, without its neighbours' votes."""
    rows, cols = shape
    row, col = correspondence.target_to_reference.position[:, :rows, :cols].cpu().numpy()
    return np.asarray(reference.lab[row, col])


def equation_1(
    luminance: Float[np.ndarray, "row col"],
    body: Bool[np.ndarray, "row col"],
    voted: Float[np.ndarray, "row2 col2 3"],
    trust: Float[np.ndarray, "row2 col2"],
    transfer: TransferSettings,
    smoothing: SmoothingSettings,
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
    smoothness = smoothing.smoothness * scale**2

    def smooth(
        image: Float[np.ndarray, "row col channel"], weight: Float[np.ndarray, "row col"]
    ) -> Float[np.ndarray, "row col channel"]:
        return smooth_weighted(
            image, scan, weight, smoothness=smoothness, guide_sigma=smoothing.guide_sigma
        )

    scan_lightness = lightness(scan)
    result = smooth(reconstruction, weight)
    scan_base = smooth(scan_lightness[..., None], body.astype(np.float32))[..., 0]
    moved = transfer.reference_luminance * (result[..., 0] - scan_base)
    # Where no vote reached (weight zero all around) the scan stays grey as it is.
    result[..., 0] = np.where(weight.max() > 0, moved, 0) + scan_lightness
    return encode_gamma(lab_to_srgb(result), 1 / transfer.gamma)
