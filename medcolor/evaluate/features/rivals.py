"""What the embedded network is measured against; each gives five taps."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from medcolor.errors import InputError
from medcolor.features.network import LEVEL_NAMES, GrayVGG19, NetworkSpec

_DISTILLED_STAGES = (2, 2, 4, 4, 1)
_PATCH_PX = 5


def random_network(spec: NetworkSpec, seed: int = 0) -> GrayVGG19:
    """Return a network of the same shape that has learnt nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GrayVGG19(spec).eval().requires_grad_(False)


@torch.inference_mode()
def raw_patches(luminance: Float[Tensor, "batch 1 row col"]) -> list[Tensor]:
    """Return 5 x 5 patches of the image itself at each level's resolution, mean removed.

    With unit length their product is the normalised cross-correlation.
    """
    taps = []
    for level in range(len(LEVEL_NAMES)):
        small = F.avg_pool2d(luminance, 2**level)
        padded = F.pad(small, [_PATCH_PX // 2] * 4, mode="replicate")
        patches = F.unfold(padded, _PATCH_PX).view(len(small), -1, *small.shape[2:])
        taps.append(patches - patches.mean(1, keepdim=True))
    return taps


class DistilledVGG19:
    """ImageNet VGG-19 distilled to a sixteenth (Wang et al. 2020, Collaborative Distillation).

    It stands for the original, which is not always at hand: the 1 x 1 `aux` layers give the
    channels that imitate relu1_1..relu5_1 of the original.
    """

    device = torch.device("cpu")

    def __init__(self, path: Path) -> None:
        """Read the file; its pickle may hold nothing but tensors."""
        try:
            file = torch.load(path, map_location="cpu", weights_only=True)
            self._weights: dict[str, Tensor] = file["model"]
            self._weights["conv51_aux.weight"]
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            raise InputError(
                path, f"no distilled VGG-19 ({error})", "Give distilled-vgg19-16x.pth"
            ) from error

    @torch.inference_mode()
    def __call__(self, luminance: Float[Tensor, "batch 1 row col"]) -> list[Tensor]:
        """Return what imitates relu1_1..relu5_1."""
        signal = self._conv(luminance.expand(-1, 3, -1, -1), "conv0")
        taps = []
        for stage, depth in enumerate(_DISTILLED_STAGES, 1):
            for layer in range(1, depth + 1):
                name = f"conv{stage}{layer}"
                padded = F.pad(signal, (1, 1, 1, 1), mode="reflect")
                signal = torch.relu(self._conv(padded, name))
                if layer == 1:
                    taps.append(torch.relu(self._conv(signal, f"{name}_aux")))
            signal = F.max_pool2d(signal, 2)
        return taps

    def _conv(self, signal: Tensor, name: str) -> Tensor:
        return F.conv2d(signal, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])
