"""A' and B: what each image would look like in the other's features (Liao et al. 2017, 4.2).

Where the scan's own features are loud (structure) they are kept; elsewhere they yield to a
reconstruction R: the photograph's features, voted through the field of the level above and
carried one level down by inverting the network there.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from medcolor.features.network import GrayVGG19
from medcolor.features.pyramid import FeaturePyramid
from medcolor.matching.field import upsample
from medcolor.matching.lbfgs import minimize_lbfgs
from medcolor.matching.search import Features
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.vote import vote

_FLAT = 1e-12
_HIDDEN = 2.0**-9
"""Share of an objective that bfloat16 may hide: half a step of its numbers."""


def joined_features(
    matches: tuple[Int[Tensor, "pair 2 _row _col"], Int[Tensor, "pair 2 _row2 _col2"]],
    images: tuple[FeaturePyramid, FeaturePyramid],
    index: int,
    network: GrayVGG19,
    settings: MatchingSettings,
) -> tuple[Features, Features]:
    """Return A' beside A, and B beside B': the product of both is the mean of two cosines.

    Args:
        matches: What each image finds in the other at level `index` + 1.
        images: The slices and their photographs.
        index: Level to be searched.
        network: Whose features they are.
        settings: Of the reconstruction.
    """
    own, other = images
    made = reconstruct(matches[0], other, index + 1, network, settings)
    made2 = reconstruct(matches[1], own, index + 1, network, settings)
    return (
        _join(blend(own, index, made, settings), own.levels[index]),
        _join(other.levels[index], blend(other, index, made2, settings)),
    )


def _join(first: Features, second: Features) -> Float[Tensor, "pair joined row col"]:
    """Return both features side by side, each of half the length of the whole."""
    parts = [F.normalize(part.float(), dim=1, eps=1e-6) for part in (first, second)]
    return torch.cat(parts, 1) / 2**0.5


def response(length: Float[Tensor, "pair row col"]) -> Float[Tensor, "pair row col"]:
    """Return the squared length of features, scaled to 0..1 over the image."""
    squared = length.square()
    low, high = (f((1, 2), keepdim=True) for f in (squared.amin, squared.amax))
    return (squared - low) / (high - low).clamp(min=_FLAT)


def own_weight(
    length: Float[Tensor, "pair row col"], index: int, settings: MatchingSettings
) -> Float[Tensor, "pair row col"]:
    """Return W, the weight of an image's own features at level `index` (0 is relu1_1)."""
    loud = response(length)
    if settings.response == "step":
        chosen = (loud >= settings.response_threshold).float()
    else:
        chosen = torch.sigmoid(settings.response_slope * (loud - settings.response_threshold))
    return settings.own_share[-1 - index] * chosen


def blend(
    own: FeaturePyramid, index: int, reconstruction: Tensor, settings: MatchingSettings
) -> Float[Tensor, "pair channel row col"]:
    """Return F * W + R * (1 - W), not normalised."""
    weight = own_weight(own.lengths[index], index, settings)[:, None]
    raw = raw_level(own, index)
    spare = raw.shape[1] - reconstruction.shape[1]  # channels of zeros that GPUs read
    if spare:
        reconstruction = F.pad(reconstruction, (0, 0, 0, 0, 0, spare))
    return raw * weight + reconstruction * (1 - weight)


def raw_level(pyramid: FeaturePyramid, index: int) -> Float[Tensor, "pair channel row col"]:
    """Return the features of a level as the network gave them."""
    return pyramid.levels[index].float() * pyramid.lengths[index][:, None]


def reconstruct(
    field: Int[Tensor, "pair 2 row col"],
    source: FeaturePyramid,
    index: int,
    network: GrayVGG19,
    settings: MatchingSettings,
) -> Float[Tensor, "pair channel row2 col2"]:
    """Return R for level `index` - 1.

    Minimises |network(x) - y|^2, y the source's features at level `index` voted through
    `field`, over what lies `deconvolution_jump` levels below (the image below relu1_1), from
    the source's values there voted through the enlarged field; then computes level
    `index` - 1 of the x found.

    Args:
        field: Matches in `source` of every cell of the image to reconstruct, at level `index`.
        source: The image the features come from.
        index: Level that was matched, 4 (relu5_1) .. 1.
        network: Whose features they are.
        settings: Jump, evaluations, patch sizes.
    """
    bottom = max(-1, index - settings.deconvolution_jump)
    patch, channels = settings.patch_px[-1 - index], network.spec.channels()
    goal = _vote_all(field, raw_level(source, index)[:, : channels[index]], patch)
    fine = field
    for _ in range(index - max(bottom, 0)):
        fine = upsample(fine)
    ground = source.luminance[:, None]
    if bottom >= 0:
        ground = raw_level(source, bottom)[:, : channels[bottom]]
    start = _vote_all(fine, ground, patch)
    found, _ = invert(network, start, goal, bottom, index, settings)
    below = network.advance(found, bottom, index - 1)
    return below[-1].float() if below else found


def invert(
    network: GrayVGG19,
    start: Float[Tensor, "pair channel row col"],
    goal: Float[Tensor, "pair channel2 row2 col2"],
    bottom: int,
    top: int,
    settings: MatchingSettings,
) -> tuple[Tensor, Float[Tensor, "evaluation pair"]]:
    """Minimise the sum of squares between tap `top` of x, which stands at `bottom`, and `goal`.

    Returns:
        The x found, and its objective after every evaluation.
    """

    def objective(flat: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            signal = flat.detach().view_as(start).requires_grad_(True)
            reached = network.advance(signal, bottom, top)[-1].to(goal.dtype)
            values = (reached - goal).square().sum((1, 2, 3))
            (gradient,) = torch.autograd.grad(values.sum(), signal)
        return values.detach(), gradient.flatten(1)

    evaluations = settings.deconvolution_evaluations
    rounding = _HIDDEN if network.dtype == torch.bfloat16 else 0.0
    found, course = minimize_lbfgs(objective, start.flatten(1), evaluations, rounding)
    return found.view_as(start), course


def _vote_all(
    field: Int[Tensor, "pair 2 row col"],
    values: Float[Tensor, "pair channel row2 col2"],
    patch_px: int,
) -> Float[Tensor, "pair channel row col"]:
    weight = torch.ones(len(field), *field.shape[2:], device=field.device)
    valid = torch.ones(len(values), *values.shape[2:], dtype=torch.bool, device=field.device)
    return vote(field, weight, values, valid, patch_px=patch_px)[0]
