"""From luminance images to what matching and retrieval consume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from medcolor.body import body_square, pad_to_cells, resize, resize_mask
from medcolor.errors import InputError
from medcolor.features.network import DESCRIPTOR_INPUT_PX, GrayVGG19, PlacedNetwork


@dataclass(frozen=True)
class FeaturePyramid:
    """Features of body crops that share a padded shape, fine to coarse (relu1_1..relu5_1)."""

    levels: tuple[Float[Tensor, "image _channel _row _col"], ...]
    """Unit length along channel; a dead feature stays zero."""

    lengths: tuple[Float[Tensor, "image _row _col"], ...]
    """What they were divided by."""

    masks: tuple[Bool[Tensor, "image _row _col"], ...]
    """Cells that hold any tissue."""

    extent_px: Int[Tensor, "image 2"]
    """Rows and columns of each crop before padding to whole cells."""

    luminance: Float[Tensor, "image row col"]
    """What the features were taken from, padded: 0..1, background black."""

    tissue: Bool[Tensor, "image row col"]
    """Padded likewise."""

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        single = self.extent_px, self.luminance, self.tissue
        return sum(part.nbytes for part in self.levels + self.lengths + self.masks + single)

    def repeat(self, count: int) -> FeaturePyramid:
        """Return the one image `count` times, without a copy.

        Raises:
            ValueError: If it holds several images.
        """
        if len(self.luminance) != 1:
            raise ValueError(f"repeat takes a pyramid of one image, not {len(self.luminance)}")

        def expand(part: Tensor) -> Tensor:
            return part.expand(count, *part.shape[1:])

        levels, lengths, masks = (
            tuple(map(expand, parts)) for parts in (self.levels, self.lengths, self.masks)
        )
        rest = map(expand, (self.extent_px, self.luminance, self.tissue))
        return FeaturePyramid(levels, lengths, masks, *rest)


Picture = tuple[Float[np.ndarray, "_row _col"], Bool[np.ndarray, "_row _col"]]
"""Luminance, 0..1, cropped to the body and scaled to the working size; and its tissue."""


def extract_pyramid(
    network: PlacedNetwork,
    luminance: Float[np.ndarray, "row col"],
    tissue: Bool[np.ndarray, "row col"],
) -> FeaturePyramid:
    """Return the five feature maps of one working image; see `extract_pyramids`."""
    return extract_pyramids(network, [(luminance, tissue)])


@torch.no_grad()
def extract_pyramids(network: PlacedNetwork, pictures: Sequence[Picture]) -> FeaturePyramid:
    """Return the five feature maps of working images in one pass, background set to black.

    Args:
        network: The pyramid lies where it does.
        pictures: Of one shape once padded to whole cells. Cells without tissue never match.

    Raises:
        ValueError: If their padded shapes differ.
    """
    grey = [np.where(tissue, luminance, 0) for luminance, tissue in pictures]
    image = _to_network(network, np.stack([pad_to_cells(one.astype(np.float32)) for one in grey]))
    tissue = np.stack([pad_to_cells(tissue) for _, tissue in pictures])
    mask = torch.from_numpy(tissue).to(network.device).float()
    levels, lengths, masks = [], [], []
    for index, tap in enumerate(network(image)):
        lengths.append(tap.float().norm(dim=1))
        levels.append((tap.float() / lengths[-1].clamp(min=1e-6)[:, None]).contiguous())
        masks.append(F.max_pool2d(mask, 2**index) > 0)
    extent = torch.tensor([luminance.shape for luminance, _ in pictures]).to(network.device)
    return FeaturePyramid(
        tuple(levels), tuple(lengths), tuple(masks), extent, image[:, 0], mask > 0
    )


@torch.inference_mode()
def describe(
    network: GrayVGG19,
    luminance: Float[np.ndarray, "row col"],
    tissue: Bool[np.ndarray, "row col"],
) -> Float[np.ndarray, " descriptor"]:
    """Return the fc6 descriptor (unit length) of a body on black.

    The body keeps its aspect; `body_square` decides what of it fills the network's input.

    Raises:
        InputError: If there is no tissue.
    """
    square = body_square(tissue)
    if square is None:
        raise InputError("describe", "no tissue", "Describe slices that show a body")
    shape = DESCRIPTOR_INPUT_PX, DESCRIPTOR_INPUT_PX
    body = resize(_cut(np.where(tissue, luminance, 0).astype(np.float32), square), shape)
    canvas = np.where(resize_mask(_cut(tissue, square), shape), body, 0).astype(np.float32)
    return np.asarray(
        network.describe(_to_network(network, canvas[None]))[0].cpu().numpy(), np.float32
    )


def _to_network(
    network: PlacedNetwork, images: Float[np.ndarray, "image row col"]
) -> Float[Tensor, "image 1 row col"]:
    batch = torch.from_numpy(images)[:, None]
    return batch.to(network.device, memory_format=torch.channels_last)


def _cut(
    image: Shaped[np.ndarray, "row col"], square: tuple[int, int, int]
) -> Shaped[np.ndarray, "side side"]:
    """Cut a square out of an image, zero where it reaches beyond."""
    row, col, side = square
    padded = np.pad(image, side)
    return padded[row + side : row + 2 * side, col + side : col + 2 * side]
