"""Files of published networks, and how they become gray-VGG19.

Two layouts share the numbering of torchvision's `features`, convolutions at 0, 2, 5, ..:

- *gray-VGG19* (He et al. 2018, as `vgg19_gray.pth` of Zhang et al. 2019): keys `0.weight`..,
  fc6..fc8 at `38.1`, `40.1`, `42.1`; three equal channels of CIE L* scaled to 0..255, no mean.
- *VGG-19* (ImageNet, torchvision): keys `features.0.weight`.., `classifier.0/3/6`; RGB 0..1
  minus mean, divided by standard deviation.

Both see the same value in all three channels here, so the first filters are summed over
colour and the network takes one channel.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medcolor.errors import InputError
from medcolor.features.network import STAGES, GrayVGG19, NetworkSpec, channels_last

State = dict[str, Tensor]

_INDEXES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
_FULLY_CONNECTED = ((4096, 25088), (4096, 4096), (1000, 4096))
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Layout:
    """How one published file names its tensors."""

    name: str
    convolutions: str
    """What comes before the index of a convolution."""

    fully_connected: tuple[str, str, str]
    """Names of fc6, fc7 and fc8."""

    spec: NetworkSpec

    def keys(self) -> dict[str, str]:
        """Return what the file calls each convolution of gray-VGG19."""
        names = [
            f"conv{stage}_{layer}"
            for stage, (_, depth) in enumerate(STAGES, 1)
            for layer in range(1, depth + 1)
        ]
        indexes = (f"{self.convolutions}{index}" for index in _INDEXES)
        return dict(zip(names, indexes, strict=True))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return every key of the file and the shape of its tensor."""
        shapes: dict[str, tuple[int, ...]] = {}
        channels = 3
        counts = [count for count, depth in STAGES for _ in range(depth)]
        for key, count in zip(self.keys().values(), counts, strict=True):
            shapes[f"{key}.weight"] = (count, channels, 3, 3)
            shapes[f"{key}.bias"] = (count,)
            channels = count
        for name, shape in zip(self.fully_connected, _FULLY_CONNECTED, strict=True):
            shapes[f"{name}.weight"] = shape
            shapes[f"{name}.bias"] = shape[:1]
        return shapes


GRAY_VGG19 = Layout(
    "gray-VGG19 (vgg19_gray.pth)",
    "",
    ("38.1", "40.1", "42.1"),
    NetworkSpec(name="vgg19-gray", input_tone="lightness", input_scale=255.0),
)
VGG19 = Layout(
    "VGG-19 of torchvision",
    "features.",
    ("classifier.0", "classifier.3", "classifier.6"),
    NetworkSpec(name="vgg19", input_scale=1.0, presence=True, ceil_pools=False),
)
_LAYOUTS = (GRAY_VGG19, VGG19)


def read_published(path: Path) -> GrayVGG19:
    """Read a published file (`.pth` or `.safetensors`) as gray-VGG19.

    No code in the file is run: its pickle may hold nothing but tensors.

    Raises:
        InputError: Naming the first key that does not fit either layout.
    """
    state = _read_state(path)
    layout = _recognise(path, state)
    own: State = {}
    for name, key in [*layout.keys().items(), ("fc6.0", layout.fully_connected[0])]:
        own[f"{name}.weight"] = state[f"{key}.weight"].float()
        own[f"{name}.bias"] = state[f"{key}.bias"].float()
    first = own["conv1_1.weight"]
    own["conv1_1.weight"] = (
        fold_normalisation(first) if layout.spec.presence else first.sum(1, keepdim=True)
    )
    with torch.device("meta"):
        network = GrayVGG19(replace(layout.spec))
    network.load_state_dict({key: value.contiguous() for key, value in own.items()}, assign=True)
    network.eval().requires_grad_(False)
    return channels_last(network)


def fold_normalisation(
    weight: Float[Tensor, "out 3 3 3"],
    mean: tuple[float, ...] = _MEAN,
    deviation: tuple[float, ...] = _DEVIATION,
) -> Float[Tensor, "out 2 3 3"]:
    """Fold (x - mean) / deviation of a grey image into filters of two planes: grey and ones.

    On a grey x the original sums W_c (x - m_c) / s_c over the taps inside the image, and
    nothing outside: its zero padding comes after the normalisation. A constant bias would
    subtract the mean of the taps outside as well. As a filter over a plane of ones, which is
    padded with zeros too, it is exact at the border.
    """
    scaled = weight / torch.tensor(deviation)[:, None, None]
    shift = (scaled * torch.tensor(mean)[:, None, None]).sum(1)
    return torch.stack([scaled.sum(1), -shift], dim=1)


def _read_state(path: Path) -> State:
    """Return the tensors of a file by key."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            path,
            "its pickle holds more than tensors and was not run",
            "Save the tensors alone: torch.save(model.state_dict(), FILE)",
        ) from error
    except (OSError, RuntimeError, SafetensorError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            path, f"no weights file ({reason})", "Give a .pth or .safetensors"
        ) from error
    if not isinstance(state, dict):
        raise InputError(
            path, f"holds a {type(state).__name__}, expected tensors by name", "Give a state dict"
        )
    return state


def _recognise(path: Path, state: State) -> Layout:
    """Return the layout of a file, decided by the name of its first convolution."""
    for layout in _LAYOUTS:
        if f"{layout.convolutions}0.weight" in state:
            _check(path, state, layout)
            return layout
    first = next(iter(state), None)
    wanted = " or ".join(f"{layout.convolutions}0.weight" for layout in _LAYOUTS)
    raise InputError(
        path,
        f"its first key is {first!r}, expected {wanted}",
        "Give vgg19_gray.pth or torchvision's vgg19",
    )


def _check(path: Path, state: State, layout: Layout) -> None:
    """Compare every key and shape."""
    shapes = layout.shapes()
    for key, shape in shapes.items():
        tensor = state.get(key)
        found = tuple(tensor.shape) if isinstance(tensor, Tensor) else "nothing"
        if found != shape:
            raise InputError(
                path, f"key {key!r} holds {found}, expected {shape}", f"Give {layout.name}"
            )
    for key in state:
        if key not in shapes:
            raise InputError(path, f"unknown key {key!r}", f"Give {layout.name} unchanged")
