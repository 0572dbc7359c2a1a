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

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Channels and convolutions of each stage of VGG-19."""

_POOLED_SIDE = DESCRIPTOR_INPUT_PX // 2 ** len(STAGES)
_FAINT = 1e-3
"""Length of an averaged cell below which it counts as background, against 1."""


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

    descriptor_taps: tuple[str, ...] = ()
    """What fc6 reads. None: relu5_1 through conv5_2..conv5_4 and a pooling, as in VGG-19.
    Else unit cells of these taps averaged over a grid, one matrix each, which know the level
    of the body better (LOG.md); conv5_2..conv5_4 do not exist then."""

    descriptor_grid: int = _POOLED_SIDE
    """Cells along a side of that grid."""

    ceil_pools: bool = True
    """Whether poolings round odd sizes up (Caffe) or down (torchvision)."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if not set(self.descriptor_taps) <= set(LEVEL_NAMES):
            raise ValueError(f"descriptor_taps {self.descriptor_taps} are not of {LEVEL_NAMES}")
        if self.descriptor_size % max(1, len(self.descriptor_taps)):
            raise ValueError("descriptor_size must be a multiple of the count of descriptor_taps")

    def descriptor_inputs(self) -> tuple[int, ...]:
        """Return how many values each matrix of fc6 reads."""
        channels = self.channels()
        if not self.descriptor_taps:
            return (channels[-1] * _POOLED_SIDE**2,)
        taps = (LEVEL_NAMES.index(name) for name in self.descriptor_taps)
        return tuple(channels[tap] * self.descriptor_grid**2 for tap in taps)

    def channels(self) -> tuple[int, ...]:
        """Return the channel count of each of the five stages."""
        return tuple(round(count * self.width) for count, _ in STAGES)


@runtime_checkable
class TapNetwork(Protocol):
    """What gives five taps: gray-VGG19, or what it is measured against."""

    def __call__(self, luminance: Tensor, /) -> list[Tensor]:
        """Return relu1_1..relu5_1 of luminance 0..1, (batch, 1, row, col)."""


class PlacedNetwork(TapNetwork, Protocol):
    """One that the whole method can run on."""

    @property
    def device(self) -> torch.device:
        """Where its input must lie and its taps will."""
        ...


class GrayVGG19(nn.Module):
    """VGG-19 configuration E for luminance images."""

    def __init__(self, spec: NetworkSpec) -> None:
        """Build the layers of `spec` with Kaiming start values (He et al. 2015)."""
        super().__init__()
        self.spec = spec
        previous = 2 if spec.presence else 1
        for stage, count in enumerate(spec.channels(), 1):
            for layer in range(1, self._depth(stage) + 1):
                conv = nn.Conv2d(previous, count, 3, padding=1, padding_mode=spec.padding_mode)
                # On the meta device it does nothing but load torch's compiler and Triton, which
                # crashes in a process in which Mesa has drawn: each brings an LLVM.
                if not conv.weight.is_meta:
                    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                if conv.bias is not None:
                    nn.init.zeros_(conv.bias)
                self.add_module(f"conv{stage}_{layer}", conv)
                previous = count
        reads = spec.descriptor_inputs()
        size = spec.descriptor_size // len(reads)
        self.fc6 = nn.ModuleList(nn.Linear(count, size) for count in reads)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=spec.ceil_pools)
        self.rectified = True
        """Whether taps are read after their ReLU, as matching does by default."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.get_parameter("conv1_1.weight").device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights and taps."""
        return self.get_parameter("conv1_1.weight").dtype

    def forward(
        self, luminance: Float[Tensor, "batch 1 row col"], *, count: int = len(STAGES)
    ) -> list[Tensor]:
        """Return the taps relu1_1..relu5_1, fine to coarse: before their ReLU if not `rectified`.

        Args:
            luminance: sRGB grey, 0 (background, black) .. 1 (white).
            count: How many taps; what lies behind the last is not computed.

        The taps have the type of the weights.
        """
        return self._taps(self._input(luminance), -1, count - 1, self.rectified)

    def advance(self, signal: Tensor, start: int, stop: int) -> list[Tensor]:
        """Return the taps start + 1 .. stop of what tap `start` holds.

        Args:
            signal: (batch, channel, row, col); for `start` -1 the luminance, 0..1.
            start: Index of a tap, 0 is relu1_1; -1 is the image.
            stop: Index of a later one.
        """
        signal = self._input(signal) if start < 0 else signal.to(self.dtype)
        return self._taps(signal, start, stop, self.rectified)

    def _taps(self, signal: Tensor, start: int, stop: int, rectified: bool) -> list[Tensor]:
        """Compute the taps start + 1 .. stop; -1 is what the first convolution sees."""
        taps = []
        if start >= 0:
            signal = torch.relu(signal)  # a tap before its ReLU, or one that was made up
        for tap in range(start, stop):
            if tap >= 0:
                for layer in range(2, self._depth(tap + 1) + 1):
                    signal = torch.relu(self._conv(signal, tap + 1, layer))
                signal = self.pool(signal)
            convolved = self._conv(signal, tap + 2, 1)
            signal = torch.relu(convolved)
            taps.append(signal if rectified else convolved)
        return taps

    def describe(
        self, luminance: Float[Tensor, "batch 1 224 224"]
    ) -> Float[Tensor, "batch descriptor"]:
        """Return the fc6 descriptors, scaled to unit length.

        The linear output is taken before its ReLU. What each matrix of fc6 gives counts the
        same; a descriptor of length zero stays zero.
        """
        parts = [
            nn.functional.normalize(matrix(read).float(), dim=1)
            for matrix, read in zip(self.matrices(), self.descriptor_input(luminance), strict=True)
        ]
        return nn.functional.normalize(torch.cat(parts, 1), dim=1)

    def matrices(self) -> list[nn.Linear]:
        """Return the matrices of fc6."""
        return [part for part in self.fc6 if isinstance(part, nn.Linear)]

    def descriptor_input(
        self, luminance: Float[Tensor, "batch 1 224 224"]
    ) -> list[Float[Tensor, "batch _value"]]:
        """Return what each matrix of fc6 reads, flattened channel by channel, row by row."""
        if self.spec.descriptor_taps:
            indexes = [LEVEL_NAMES.index(name) for name in self.spec.descriptor_taps]
            taps = self._taps(self._input(luminance), -1, max(indexes), rectified=True)
            return [self._cells(taps[index]) for index in indexes]
        signal = self._taps(self._input(luminance), -1, len(STAGES) - 1, rectified=True)[-1]
        for layer in range(2, self._depth(len(STAGES)) + 1):
            signal = torch.relu(self._conv(signal, len(STAGES), layer))
        pooled: Tensor = self.pool(signal)
        return [pooled.flatten(1)]

    def _cells(self, tap: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch value"]:
        """Return the mean unit cells of a grid, of unit length, as square roots.

        Roots keep the few loud channels from deciding everything (as in Arandjelovic and
        Zisserman 2012, RootSIFT).
        """
        unit = nn.functional.normalize(tap, dim=1, eps=1e-6)
        grid = nn.functional.adaptive_avg_pool2d(unit, self.spec.descriptor_grid)
        return nn.functional.normalize(grid, dim=1, eps=_FAINT).sqrt().flatten(1)

    def _depth(self, stage: int) -> int:
        """Return how many convolutions a stage has."""
        unread = stage == len(STAGES) and bool(self.spec.descriptor_taps)
        return 1 if unread else STAGES[stage - 1][1]

    def _input(self, luminance: Tensor) -> Tensor:
        """Return what the first convolution sees, in the type of the weights."""
        if self.spec.input_tone == "lightness":
            luminance = _lightness(luminance)
        signal = luminance * self.spec.input_scale
        if self.spec.presence:
            signal = torch.cat([signal, torch.ones_like(signal)], 1)
        return signal.to(self.dtype)

    def _conv(self, signal: Tensor, stage: int, layer: int) -> Tensor:
        convolution = self.get_submodule(f"conv{stage}_{layer}")
        if self.spec.padding_mode == "replicate" and signal.device.type != "cpu":
            from medcolor.features.kernels import ReplicatePad  # CPUs need no Triton

            weight, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
            framed: Tensor = ReplicatePad.apply(signal)  # type: ignore[no-untyped-call]
            return nn.functional.conv2d(framed, weight, bias)
        convolved: Tensor = convolution(signal)
        return convolved


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
