"""Nearest-neighbour fields: where in the reference each target cell finds its like.

Here and in the modules beside it tensors have a first axis `pair`: a slice and a photograph each.
Pairs of several shapes share a canvas, as large as the largest image; beyond an image's own rows
and columns it holds zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class NearestNeighborField:
    """One match for each cell of the grid of each pair."""

    position: Int[Tensor, "pair 2 row col"]
    """Absolute (row, col) in the other image's grid of the same level."""

    similarity: Float[Tensor, "pair row col"]
    """Mean cosine over the patch, without priors and penalties."""

    @classmethod
    def zeros(cls, pairs: int, rows: int, cols: int, device: torch.device) -> NearestNeighborField:
        """Return one that nobody has searched yet."""
        position = torch.zeros(pairs, 2, rows, cols, dtype=torch.int32, device=device)
        return cls(position, torch.zeros(pairs, rows, cols, device=device))

    def __getitem__(self, pairs: slice) -> NearestNeighborField:
        """Return the fields of some pairs."""
        return NearestNeighborField(self.position[pairs], self.similarity[pairs])


@dataclass(frozen=True)
class Correspondence:
    """Both directions on the finest grid."""

    target_to_reference: NearestNeighborField
    reference_to_target: NearestNeighborField
    confidence: Float[Tensor, "pair row col"]
    """0..1 for each target pixel, from forward-backward agreement."""

    def __getitem__(self, pairs: slice) -> Correspondence:
        """Return what was found for some pairs."""
        both = self.target_to_reference[pairs], self.reference_to_target[pairs]
        return Correspondence(*both, self.confidence[pairs])

    @staticmethod
    def on_one_canvas(parts: Sequence[Correspondence]) -> Correspondence:
        """Put pairs of several shapes side by side; pairs of one shape alone stay as they are."""
        if len(parts) == 1:
            return parts[0]
        both = [(p.target_to_reference, p.reference_to_target) for p in parts]
        forward, backward = (
            NearestNeighborField(
                _on_canvas([field.position for field in fields]),
                _on_canvas([field.similarity for field in fields]),
            )
            for fields in zip(*both, strict=True)
        )
        return Correspondence(forward, backward, _on_canvas([p.confidence for p in parts]))


def _on_canvas(parts: Sequence[Shaped[Tensor, "_pair ..."]]) -> Shaped[Tensor, "pair ..."]:
    """Join parts along `pair`, filled up with zeros to the largest rows and columns."""
    rows, cols = (max(part.shape[axis] for part in parts) for axis in (-2, -1))
    return torch.cat(
        [F.pad(part, (0, cols - part.shape[-1], 0, rows - part.shape[-2])) for part in parts]
    )


def forward_backward_confidence(
    forward: Int[Tensor, "pair 2 row col"],
    backward: Int[Tensor, "pair 2 row2 col2"],
    *,
    scale_px: float,
) -> Float[Tensor, "pair row col"]:
    """Return exp(-(d / scale)^2 / 2), d the distance between a pixel and its way there and back."""
    returned = take(backward, forward)
    rows = torch.arange(forward.shape[2], device=forward.device)[:, None]
    cols = torch.arange(forward.shape[3], device=forward.device)[None, :]
    squared = (returned[:, 0] - rows) ** 2 + (returned[:, 1] - cols) ** 2
    return torch.exp(-0.5 * squared.float() / scale_px**2)


def take(
    values: Shaped[Tensor, "pair channel row2 col2"], position: Int[Tensor, "pair 2 row col"]
) -> Shaped[Tensor, "pair channel row col"]:
    """Return for each pair the values that lie at its positions."""
    flat = (position[:, 0] * values.shape[3] + position[:, 1]).flatten(1)
    index = flat[:, None].expand(-1, values.shape[1], -1)
    return values.flatten(2).gather(2, index).view(*values.shape[:2], *position.shape[2:])


def upsample(field: Int[Tensor, "pair 2 row col"]) -> Int[Tensor, "pair 2 row2 col2"]:
    """Double a field: offsets double, the place inside the coarse cell is kept."""
    fine = 2 * field.repeat_interleave(2, 2).repeat_interleave(2, 3)
    fine[:, 0] += torch.arange(fine.shape[2], device=field.device)[:, None] % 2
    fine[:, 1] += torch.arange(fine.shape[3], device=field.device) % 2
    return fine


def within(offset: int, size: int) -> slice:
    """Return the indexes i for which i + offset lies in 0..size - 1."""
    return slice(min(size, max(0, -offset)), max(0, size - max(0, offset)))
