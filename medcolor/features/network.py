"""Gray-VGG19: VGG-19 configuration E on one luminance channel, up to fc6.

Simonyan and Zisserman 2014 (arXiv:1409.1556) give the topology; He et al. 2018
(doi:10.1145/3197517.3201365) the idea of feeding it luminance alone. `width`
scales every channel count, so that the embedded network and the published one
are the same code. The five taps relu1_1..relu5_1 feed the matching (Liao et al.
2017), fc6 the retrieval of references (equation 2 of Devkota and Pattanaik).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEVEL_NAMES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The taps, fine to coarse; level k has stride 2**k pixels."""

DESCRIPTOR_INPUT_PX = 224
"""Side of the square image fc6 is defined on: five poolings leave 7 x 7 cells."""

_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
_POOLED_SIDE = DESCRIPTOR_INPUT_PX // 2 ** len(_STAGES)


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Everything about a network that is not in its tensors."""

    name: str
    """What reports and indexes call it."""

    width: float = 1.0
    """Channel counts relative to VGG-19 (64, 128, 256, 512, 512)."""

    descriptor_size: int = 4096
    """Length of the fc6 descriptor."""

    input_tone: Literal["grey", "lightness"] = "grey"
    """What the first convolution sees: sRGB grey, or CIE L*; both 0..1 before `input_scale`."""

    input_scale: float = 255.0
    """The input is multiplied by this before the first convolution."""

    presence: bool = False
    """Whether the first convolution also sees a plane of ones. With zero padding it tells the
    image from its border, which makes folding a mean exact there (see published.py)."""

    padding_mode: Literal["zeros", "replicate"] = "zeros"
    """`replicate` lets no position leak in where the border is plain background."""

    ceil_pools: bool = True
    """Whether poolings round odd sizes up (Caffe) or down (torchvision)."""

    def channels(self) -> tuple[int, ...]:
        """Return the channel count of each of the five stages."""
        return tuple(round(count * self.width) for count, _ in _STAGES)


@runtime_checkable
class TapNetwork(Protocol):
    """What gives five taps: gray-VGG19, or what it is measured against."""

    def __call__(self, luminance: Tensor, /) -> list[Tensor]:
        """Return relu1_1..relu5_1 of luminance 0..1, (batch, 1, row, col)."""


class GrayVGG19(nn.Module):
    """VGG-19 configuration E for luminance images."""

    def __init__(self, spec: NetworkSpec) -> None:
        """Build the layers of `spec` with Kaiming start values (He et al. 2015)."""
        super().__init__()
        self.spec = spec
        previous = 2 if spec.presence else 1
        for stage, ((_, depth), count) in enumerate(zip(_STAGES, spec.channels(), strict=True), 1):
            for layer in range(1, depth + 1):
                conv = nn.Conv2d(previous, count, 3, padding=1, padding_mode=spec.padding_mode)
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
                self.add_module(f"conv{stage}_{layer}", conv)
                previous = count
        self.fc6 = nn.Linear(previous * _POOLED_SIDE**2, spec.descriptor_size)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=spec.ceil_pools)

    def forward(self, luminance: Float[Tensor, "batch 1 row col"]) -> list[Tensor]:
        """Return the post-ReLU taps relu1_1..relu5_1, fine to coarse.

        Args:
            luminance: sRGB grey, 0 (background, black) .. 1 (white).

        The taps have the type of the weights.
        """
        signal = self._input(luminance)
        taps = []
        for stage, (_, depth) in enumerate(_STAGES, 1):
            signal = self._conv_relu(signal, stage, 1)
            taps.append(signal)
            if stage < len(_STAGES):
                for layer in range(2, depth + 1):
                    signal = self._conv_relu(signal, stage, layer)
                signal = self.pool(signal)
        return taps

    def describe(
        self, luminance: Float[Tensor, "batch 1 224 224"]
    ) -> Float[Tensor, "batch descriptor"]:
        """Return the fc6 descriptors, scaled to unit length.

        The linear output is taken before its ReLU. A descriptor of length zero stays zero.
        """
        return self.describe_from_relu5_1(self.forward(luminance)[-1])

    def describe_from_relu5_1(
        self, relu5_1: Float[Tensor, "batch channel 14 14"]
    ) -> Float[Tensor, "batch descriptor"]:
        """Run the rest of stage five and fc6 on the coarsest tap."""
        signal = relu5_1
        for layer in range(2, _STAGES[-1][1] + 1):
            signal = self._conv_relu(signal, len(_STAGES), layer)
        descriptor = self.fc6(torch.flatten(self.pool(signal), 1))
        return nn.functional.normalize(descriptor.float(), dim=1)

    def head(self) -> list[nn.Module]:
        """Return the layers that only the descriptor uses: conv5_2..conv5_4 and fc6."""
        stage, depth = len(_STAGES), _STAGES[-1][1]
        convs = [self.get_submodule(f"conv{stage}_{layer}") for layer in range(2, depth + 1)]
        return [*convs, self.fc6]

    def _input(self, luminance: Tensor) -> Tensor:
        """Return what the first convolution sees, in the type of the weights."""
        if self.spec.input_tone == "lightness":
            luminance = _lightness(luminance)
        signal = luminance * self.spec.input_scale
        if self.spec.presence:
            signal = torch.cat([signal, torch.ones_like(signal)], 1)
        return signal.to(self.fc6.weight.dtype)

    def _conv_relu(self, signal: Tensor, stage: int, layer: int) -> Tensor:
        return torch.relu(self.get_submodule(f"conv{stage}_{layer}")(signal))


def _lightness(grey: Tensor) -> Tensor:
    """Return L* / 100 of grey sRGB values 0..1 (CIE 15:2004)."""
    linear = torch.where(
        grey <= 0.04045, grey / 12.92, ((grey.clamp(min=0) + 0.055) / 1.055) ** 2.4
    )
    cube_root = linear.clamp(min=1e-6) ** (1 / 3)
    return torch.where(linear > 216 / 24389, 1.16 * cube_root - 0.16, 24389 / 2700 * linear)


def channels_last(network: GrayVGG19) -> GrayVGG19:
    """Lay the filters out as CPUs and tensor cores read them fastest; values do not change."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
