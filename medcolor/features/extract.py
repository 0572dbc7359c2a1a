"""From luminance images to what matching and retrieval consume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from medcolor.body import body_square, pad_to_cells, resize, resize_mask
from medcolor.errors import InputError
from medcolor.features.network import DESCRIPTOR_INPUT_PX, GrayVGG19, PlacedNetwork
from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FeatureSettings(Settings):
    """What the network sees."""

    network: str = "embedded"
    """`embedded`, another name of `medcolor weights list`, or the path of a network file
    written by jobs/train_features.py."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the network. auto: bf16 where the processor multiplies it in hardware
    (AMX), else fp32; decided once a run and the same for all its workers."""

    rectified: bool = True
    """Whether features are compared after their ReLU, as in the code of Deep Image Analogy, or
    before it, as in its PyTorch port."""

    working_size_px: int = 256
    """Long side of the body crop that is matched; 16 or more. Larger finds finer
    detail and costs time in proportion to its square."""

    equalization: float = 0.5
    """How far the scan's grey levels are spread toward equal use inside the body before
    matching, 0 (as displayed) .. 1 (fully). Helps CT, whose soft tissue shares few levels."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.working_size_px < 16:
            raise ValueError("working_size_px must be at least 16, one cell of relu5_1")
        if not 0 <= self.equalization <= 1:
            raise ValueError("equalization must lie in 0..1")


@dataclass(frozen=True)
class FeaturePyramid:
    """Features of one body crop, fine to coarse (relu1_1..relu5_1)."""

    levels: tuple[Float[Tensor, "_channel _row _col"], ...]
    """Unit length along channel; a dead feature stays zero."""

    lengths: tuple[Float[Tensor, "_row _col"], ...]
    """What they were divided by."""

    masks: tuple[Bool[Tensor, "_row _col"], ...]
    """Cells that hold any tissue."""

    extent_px: tuple[int, int]
    """Rows and columns of the crop before padding to whole cells."""

    luminance: Float[Tensor, "_row _col"]
    """What the features were taken from, padded: 0..1, background black."""

    tissue: Bool[Tensor, "_row _col"]
    """Padded likewise."""


@torch.no_grad()
def extract_pyramid(
    network: PlacedNetwork,
    luminance: Float[np.ndarray, "row col"],
    tissue: Bool[np.ndarray, "row col"],
) -> FeaturePyramid:
    """Return the five feature maps of a working image, background set to black.

    Args:
        network: The pyramid lies where it does.
        luminance: 0..1, cropped to the body and scaled to the working size.
        tissue: Same grid; cells without any never match.
    """
    padded = pad_to_cells(np.where(tissue, luminance, 0).astype(np.float32))
    image = _to_network(network, padded)
    taps = network(image)
    mask = torch.from_numpy(pad_to_cells(tissue)).to(network.device).float()[None, None]
    levels, lengths, masks = [], [], []
    for index, tap in enumerate(taps):
        lengths.append(tap[0].float().norm(dim=0))
        levels.append((tap[0].float() / lengths[-1].clamp(min=1e-6)).contiguous())
        stride = 2**index
        masks.append(F.max_pool2d(mask, stride)[0, 0] > 0)
    return FeaturePyramid(
        tuple(levels),
        tuple(lengths),
        tuple(masks),
        luminance.shape,
        image[0, 0],
        mask[0, 0] > 0,
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
    return np.asarray(network.describe(_to_network(network, canvas))[0].cpu().numpy(), np.float32)


def _to_network(
    network: PlacedNetwork, image: Float[np.ndarray, "row col"]
) -> Float[Tensor, "1 1 row col"]:
    batch = torch.from_numpy(image)[None, None]
    return batch.to(network.device, memory_format=torch.channels_last)


def _cut(
    image: Shaped[np.ndarray, "row col"], square: tuple[int, int, int]
) -> Shaped[np.ndarray, "side side"]:
    """Cut a square out of an image, zero where it reaches beyond."""
    row, col, side = square
    padded = np.pad(image, side)
    return padded[row + side : row + 2 * side, col + side : col + 2 * side]
