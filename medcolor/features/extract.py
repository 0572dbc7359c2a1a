"""From luminance images to what matching and retrieval consume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from medcolor.body import body_square, pad_to_cells, resize, resize_mask
from medcolor.errors import InputError
from medcolor.features.network import DESCRIPTOR_INPUT_PX, GrayVGG19, PlacedNetwork
from medcolor.features.pyramid import FeaturePyramid
from medcolor.gpu import on_device, upload

GPU_IMAGES = 8
"""Images that go through the network of a GPU together, always: more gain little (LOG.md)."""


Picture = tuple[Float[np.ndarray, "_row _col"], Bool[np.ndarray, "_row _col"]]
"""Luminance, 0..1, cropped to the body and scaled to the working size; and its tissue."""


def extract_pyramid(
    network: PlacedNetwork,
    luminance: Float[np.ndarray, "row col"],
    tissue: Bool[np.ndarray, "row col"],
    finest: int = 0,
) -> FeaturePyramid:
    """Return the feature maps of one working image; see `extract_pyramids`."""
    return extract_pyramids(network, [(luminance, tissue)], finest)[0]


@torch.no_grad()
def extract_pyramids(
    network: PlacedNetwork, pictures: Sequence[Picture], finest: int = 0
) -> list[FeaturePyramid]:
    """Return the feature maps of working images, background set to black.

    A CPU takes one image after another. A GPU takes those of one padded shape together, always as
    many, black ones added: its library chooses how to compute by how many there are, and bits
    must not depend on that.

    Args:
        network: The pyramids lie where it does.
        pictures: Of any shapes. Cells without tissue never match.
        finest: Index of the finest level whose features are wanted, 0 is relu1_1.
    """
    if network.device.type == "cpu":
        return [_extract_one(network, picture, finest) for picture in pictures]
    alike: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, (_, tissue) in enumerate(pictures):
        alike[pad_to_cells(tissue).shape].append(number)
    found: dict[int, FeaturePyramid] = {}
    for numbers in alike.values():
        for first in range(0, len(numbers), GPU_IMAGES):
            some = numbers[first : first + GPU_IMAGES]
            batch = _extract_together(network, [pictures[number] for number in some], finest)
            found |= {number: batch[place] for place, number in enumerate(some)}
    return [found[number] for number in range(len(pictures))]


def _padded(pictures: Sequence[Picture], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return luminance, black outside tissue, and tissue, in `count` images of whole cells."""
    shape = count, *pad_to_cells(pictures[0][1]).shape
    grey, inside = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for place, (luminance, tissue) in enumerate(pictures):
        rows, cols = tissue.shape
        grey[place, :rows, :cols] = np.where(tissue, luminance, 0)
        inside[place, :rows, :cols] = tissue
    return grey, inside


def _extract_one(network: PlacedNetwork, picture: Picture, finest: int) -> FeaturePyramid:
    """Return the pyramid of one image, on a CPU."""
    grey, inside = _padded([picture], 1)
    image, tissue = _to_network(network, grey), torch.from_numpy(inside)
    taps = network(image)
    lengths = {index: taps[index].float().norm(dim=1) for index in range(finest, len(taps))}
    levels = {
        index: (taps[index].float() / length.clamp(min=1e-6)[:, None]).contiguous()
        for index, length in lengths.items()
    }
    masks = [F.max_pool2d(tissue.float(), 2**index) > 0 for index in range(len(taps))]
    tones = [_cell_tone(image[:, 0], tissue.float(), 2**index) for index in range(len(taps))]
    extent = (picture[1].shape,)
    return FeaturePyramid(levels, lengths, tuple(masks), tuple(tones), extent, image[:, 0], tissue)


def _cell_tone(luminance: Tensor, tissue: Tensor, stride: int) -> Float[Tensor, "image row col"]:
    total = F.avg_pool2d(luminance * tissue, stride)
    return total / F.avg_pool2d(tissue, stride).clamp(min=1e-6)


def _extract_together(
    network: PlacedNetwork, pictures: Sequence[Picture], finest: int
) -> FeaturePyramid:
    """Return the pyramid of images that share a padded shape, on a GPU."""
    from medcolor.features.kernels import cell_means, normalize  # CPUs need no Triton

    count = len(pictures)
    grey, inside = _padded(pictures, GPU_IMAGES)
    image, tissue = _to_network(network, grey), upload(inside, network.device)[:count]
    taps = network(image)
    both = {index: normalize(taps[index][:count]) for index in range(finest, len(taps))}
    tones, masks = cell_means(image[:count, 0], tissue, len(taps))
    extent = tuple(tissue.shape for _, tissue in pictures)
    levels, lengths = ({index: pair[part] for index, pair in both.items()} for part in (0, 1))
    return FeaturePyramid(
        levels, lengths, tuple(masks), tuple(tones), extent, image[:count, 0], tissue
    )


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

    @torch.inference_mode()
    def work() -> Float[np.ndarray, " descriptor"]:
        found = network.describe(_to_network(network, canvas[None]))[0]
        return np.asarray(found.cpu().numpy(), np.float32)

    return on_device(network.device, work)


def _to_network(
    network: PlacedNetwork, images: Float[np.ndarray, "image row col"]
) -> Float[Tensor, "image 1 row col"]:
    batch = upload(images, network.device)[:, None]
    return batch.to(network.device, memory_format=torch.channels_last)


def _cut(
    image: Shaped[np.ndarray, "row col"], square: tuple[int, int, int]
) -> Shaped[np.ndarray, "side side"]:
    """Cut a square out of an image, zero where it reaches beyond."""
    row, col, side = square
    padded = np.pad(image, side)
    return padded[row + side : row + 2 * side, col + side : col + 2 * side]
