"""What a run works on and with, decided once by the driver and given to every worker."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.features.precision import has_fast_bf16
from medcolor.features.registry import find_network
from medcolor.features.store import LoadedNetwork, load_network
from medcolor.run.ledger import Ledger
from medcolor.run.tasks import Runner
from medcolor.run.threads import usable_cores
from medcolor.volume.store import Level
from medcolor.volume.target import TargetReader
from medcolor.volume.window import Window


def resolve_precision(settings: RunSettings) -> RunSettings:
    """Return the settings with `features.precision` decided for this machine.

    The driver calls it once, so that all workers compute alike.

    Raises:
        InputError: bf16 was asked for and this processor has no AMX.
    """
    asked = settings.features.precision
    if asked == "bf16" and not has_fast_bf16():
        raise InputError(
            "features.precision=bf16",
            "this processor does not multiply bf16 in hardware (AMX)",
            "Set fp32, or auto where all nodes are alike",
        )
    if asked != "auto":
        return settings
    chosen: Literal["fp32", "bf16"] = "bf16" if has_fast_bf16() else "fp32"
    features = dataclasses.replace(settings.features, precision=chosen)
    return settings.model_copy(update={"features": features})


def open_network(settings: RunSettings) -> LoadedNetwork:
    """Load the network that `features.network` names, in the precision asked for."""
    features = resolve_precision(settings).features
    dtype = torch.bfloat16 if features.precision == "bf16" else torch.float32
    return load_network(find_network(features.network), dtype=dtype)


def resolve_threads(settings: RunSettings, runner: Runner) -> int:
    """Return the slices one worker computes side by side."""
    if settings.compute.threads:
        return settings.compute.threads
    return usable_cores() if runner.is_local else 1


@dataclass(frozen=True)
class Plan:
    """One volume's run; small enough to travel to every worker."""

    target: Path
    output: Path
    ledger: Ledger
    settings: RunSettings
    threads: int
    """Slices a worker computes side by side."""

    window: Window
    levels: tuple[Level, ...]
    network_digest: str

    STAGING: ClassVar[str] = "staging"
    """Folder in the ledger's where inflated copies of the input lie while the run lasts."""

    def open_target(self) -> TargetReader:
        """Open the scan; inflated copies lie in the ledger's folder."""
        return TargetReader.open(
            self.target, self.window, self.settings.volume, self.staging_folder
        )

    @property
    def staging_folder(self) -> Path:
        """Where inflated copies of the input lie while the run lasts."""
        return self.ledger.folder / self.STAGING

    def open_network(self) -> LoadedNetwork:
        """Load the network, and refuse one that differs from the driver's."""
        network = open_network(self.settings)
        if network.digest != self.network_digest:
            raise InputError(
                self.settings.features.network,
                f"weights {network.digest[:12]}, the run began with {self.network_digest[:12]}",
                "Install the same version of medcolor on every node",
            )
        return network


@dataclass(frozen=True)
class SlabTask:
    """Slices of one level that are written together."""

    level: int
    number: int
    start: int
    stop: int
    references: tuple[tuple[str, str], ...] = ()
    """For level 0: reference id and path of each slice."""

    @property
    def slices(self) -> range:
        """The slices."""
        return range(self.start, self.stop)
