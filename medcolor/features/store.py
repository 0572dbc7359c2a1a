"""Networks as files: safetensors with the specification in the header, never pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from medcolor.errors import InputError
from medcolor.features.network import GrayVGG19, NetworkSpec, channels_last

EMBEDDED_PATH = Path(__file__).parent / "weights" / "embedded.safetensors"
"""The network that travels inside the package."""


@dataclasses.dataclass(frozen=True)
class LoadedNetwork:
    """A network ready to run, and the digest that names its weights."""

    module: GrayVGG19
    digest: str

    @property
    def spec(self) -> NetworkSpec:
        """Specification of the network."""
        return self.module.spec


def save_network(
    network: GrayVGG19, path: Path, notes: dict[str, str], *, dtype: torch.dtype = torch.float16
) -> None:
    """Write `network` as `dtype`; `notes` join the specification in the header."""
    tensors = {
        name: tensor.detach().to(dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    header = {"spec": json.dumps(dataclasses.asdict(network.spec)), **notes}
    save_file(tensors, str(path), metadata=header)


def load_network(
    path: Path = EMBEDDED_PATH, *, dtype: torch.dtype = torch.float32
) -> LoadedNetwork:
    """Read a network; its weights become `dtype`, whatever the file holds.

    Raises:
        InputError: If the file is absent or is not one of ours.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with safe_open(str(path), framework="pt") as tensors:
            header = json.loads((tensors.metadata() or {})["spec"])
            header["descriptor_taps"] = tuple(header["descriptor_taps"])  # JSON has lists alone
            spec = NetworkSpec(**header)
            state = {name: tensors.get_tensor(name).to(dtype) for name in tensors.keys()}  # noqa: SIM118
        with torch.device("meta"):  # no start values for what is read anyway
            network = GrayVGG19(spec)
        network.load_state_dict(state, assign=True)
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise InputError(
            path,
            f"no network file of medcolor ({error})",
            "Give a file of jobs/train_features.py or a name of `medcolor weights list`",
        ) from error
    network.eval().requires_grad_(False)
    return LoadedNetwork(channels_last(network), digest)
