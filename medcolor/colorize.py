"""Slices take the colours of a photograph: the method, on one page.

Devkota and Pattanaik, "Reference Based Color Transfer for Medical Volume
Rendering": match deep features coarse to fine (section 4.1), vote the reference's
colours through the field, bring scan and reconstruction to gamma 1/2, keep the
scan's structure with equation 1, and go back with gamma 2 (section 5.1). Ours is
the pooling of votes by place and grey level between voting and gamma.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor.body import bounding_box, pad_to_cells, resize, resize_mask, working_shape
from medcolor.color import encode_gamma, grey_of, lab_to_srgb, lightness, srgb_to_lab
from medcolor.domain import Box, ColorSlice, ReferenceSlice, TargetSlice
from medcolor.features.extract import (
    FeaturePyramid,
    FeatureSettings,
    extract_pyramid,
    extract_pyramids,
)
from medcolor.features.network import PlacedNetwork
from medcolor.filters import (
    PoolingSettings,
    SmoothingSettings,
    pool_votes,
    restore_spread,
    smooth_weighted,
)
from medcolor.matching import Correspondence, MatchingSettings, match_coarse_to_fine, take, vote
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
    lab: Float[Tensor, "1 3 row col"]
    """Padded to whole cells, as the features are, and beside them."""

    pyramid: FeaturePyramid

    @property
    def nbytes(self) -> int:
        """Memory it takes, features and picture."""
        return self.lab.nbytes + self.pyramid.nbytes


def prepare_reference(
    reference: ReferenceSlice, network: PlacedNetwork, settings: FeatureSettings
) -> PreparedReference:
    """Scale a reference to the working size and extract its features."""
    rows, cols = reference.tissue.shape
    shape = working_shape(Box(0, rows, 0, cols), settings.working_size_px)
    tissue = resize_mask(reference.tissue, shape)
    rgb = resize(reference.rgb, shape).astype(np.float32) / 255
    lab = torch.from_numpy(pad_to_cells(srgb_to_lab(rgb))).to(network.device)
    return PreparedReference(
        reference.reference_id,
        lab.permute(2, 0, 1)[None].contiguous(),
        extract_pyramid(network, grey_of(rgb), tissue),
    )


@dataclass(frozen=True)
class _Crop:
    """The body of a slice at the working size."""

    target: TargetSlice
    box: Box
    matched: Float[np.ndarray, "row col"]
    body: Bool[np.ndarray, "row col"]


def colorize_slices(
    targets: Sequence[TargetSlice],
    reference: PreparedReference,
    network: PlacedNetwork,
    *,
    features: FeatureSettings,
    matching: MatchingSettings,
    transfer: TransferSettings,
    pooling: PoolingSettings,
    smoothing: SmoothingSettings,
    stopwatch: Stopwatch,
) -> list[ColorSlice]:
    """Give slices the colours of `reference` and keep their structure; alpha is their luminance.

    Those whose working images have one shape are matched together: on a GPU that costs little
    more than one.
    """
    colored = {target.z: np.zeros((*target.luminance.shape, 4), np.uint8) for target in targets}
    together: defaultdict[tuple[int, ...], list[_Crop]] = defaultdict(list)
    for target in targets:
        crop = _crop(target, features)
        if crop is not None:
            together[pad_to_cells(crop.body).shape].append(crop)
    for crops in together.values():
        with stopwatch("features"):
            pyramid = extract_pyramids(network, [(crop.matched, crop.body) for crop in crops])
        with stopwatch("matching"):
            correspondence = match_coarse_to_fine(pyramid, reference.pyramid, matching, network)
        with stopwatch("voting"):
            votes = vote_colors(correspondence, pyramid, reference, transfer)
        for crop, lab, own, share in zip(crops, *votes, strict=True):
            rows, cols = crop.body.shape
            voted, trust = lab[:rows, :cols], share[:rows, :cols]
            with stopwatch("pooling"):
                heard = trust * crop.body
                voted = pool_votes(voted, crop.matched, heard, pooling)
                voted = restore_spread(voted, own[:rows, :cols], heard, pooling.spread)
            with stopwatch("transfer"):
                target, where = crop.target, crop.box.slices
                luminance, body = target.luminance[where], target.body[where]
                rgb = equation_1(luminance, body, voted, trust, transfer, smoothing)
            rgba = colored[target.z]
            rgba[where][..., :3] = np.rint(255 * rgb)
            rgba[where][..., 3] = np.rint(255 * luminance)
            rgba[~target.body] = 0
    return [ColorSlice(rgba, z) for z, rgba in colored.items()]


def _crop(target: TargetSlice, settings: FeatureSettings) -> _Crop | None:
    """Cut out the body and scale it to the working size; None without one."""
    box = bounding_box(target.body)
    if box is None:
        return None
    shape = working_shape(box, settings.working_size_px)
    matched = resize(target.matched_luminance[box.slices], shape)
    return _Crop(target, box, matched, resize_mask(target.body[box.slices], shape))


def vote_colors(
    correspondence: Correspondence,
    target: FeaturePyramid,
    reference: PreparedReference,
    settings: TransferSettings,
) -> tuple[
    Float[np.ndarray, "slice row col 3"],
    Float[np.ndarray, "slice row col 3"],
    Float[np.ndarray, "slice row col"],
]:
    """Return what a reference says about slices, on their padded grid.

    Returns:
        T'_Lab, the slices reconstructed from the reference by the votes of overlapping patches;
        the colour of each pixel's own match, without its neighbours' votes; the trust in each
        pixel, 0..1.
    """
    position = correspondence.target_to_reference.position
    weight = target.tissue * correspondence.confidence.clamp(min=settings.least_confidence)
    values = reference.lab.expand(len(position), -1, -1, -1)
    tissue = reference.pyramid.tissue.expand(len(position), -1, -1)
    lab, trust = vote(position, weight, values, tissue, patch_px=settings.vote_patch_px)
    own = take(values, position)
    return (
        lab.permute(0, 2, 3, 1).cpu().numpy(),
        own.permute(0, 2, 3, 1).cpu().numpy(),
        trust.cpu().numpy(),
    )


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
