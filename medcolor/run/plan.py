"""What a run works on and with, decided once by the driver and given to every worker."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch

from medcolor.cache import cache_folder
from medcolor.config import RunSettings
from medcolor.errors import InputError, RunError
from medcolor.features.precision import has_fast_bf16
from medcolor.features.registry import find_network
from medcolor.features.store import LoadedNetwork, load_network
from medcolor.retrieval.record import Source
from medcolor.run.batches import fewest_launches
from medcolor.run.hardware import open_device
from medcolor.run.ledger import MODEL, VOTES, Ledger
from medcolor.run.tasks import Failed, Runner
from medcolor.storage import Place, local_copy
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.scan import ScanStatistics
from medcolor.volume.levels import Level
from medcolor.volume.open import open_volume
from medcolor.volume.staging import version_of
from medcolor.volume.surroundings import Surroundings
from medcolor.volume.target import TargetReader
from medcolor.volume.window import Window

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capabilities:
    """What a process can compute on."""

    has_gpu: bool
    fast_bf16: tuple[str, ...]
    """Devices, cpu or cuda, that multiply bf16 in hardware."""

    card: str = ""
    """Model of its GPU; empty without one."""

    @staticmethod
    def here() -> Capabilities:
        """Look at this process."""
        has_gpu = torch.cuda.is_available()
        devices = ("cpu", "cuda") if has_gpu else ("cpu",)
        card = torch.cuda.get_device_name() if has_gpu else ""
        return Capabilities(has_gpu, tuple(one for one in devices if has_fast_bf16(one)), card)

    @staticmethod
    def of_workers(runner: Runner) -> Capabilities:
        """Look at one of a runner's workers.

        Raises:
            RunError: None can be had.
        """
        if runner.is_local:
            return Capabilities.here()
        (outcome,) = runner.run(_Looking, ["hardware"])
        if isinstance(outcome, Failed):
            raise RunError("a worker on Ray", outcome.problem, "Look at the logs of Ray's nodes")
        found: Capabilities = outcome.report
        return found


class _Looking:
    """A worker that tells what it can compute on."""

    def __call__(self, _task: str) -> Capabilities:
        return Capabilities.here()


def resolve_hardware(settings: RunSettings, runner: Runner | None = None) -> RunSettings:
    """Return the settings with device, its model and precision decided.

    The driver calls it once, so that all workers compute alike.

    Args:
        settings: As the user gave them, or decided already.
        runner: Whose workers compute; by default this process.

    Raises:
        InputError: What was asked for is not there, or cannot do what is set.
    """
    if runner is not None and _is_resolved(settings):
        return settings
    able = Capabilities.here() if runner is None else Capabilities.of_workers(runner)
    device = asked = settings.compute.device
    if asked == "cuda" and not able.has_gpu:
        raise InputError(
            "compute.device=cuda",
            f"torch {torch.__version__} sees no GPU",
            "Install torch for CUDA and its driver, or set compute.device=cpu",
        )
    on_cpu_alone = settings.matching.needs_cpu
    if asked == "cuda" and on_cpu_alone:
        raise InputError(
            f"matching.{on_cpu_alone}",
            "it runs on CPUs alone, and compute.device=cuda",
            "Set compute.device=cpu, or matching.search to window and matching.propagation=0",
        )
    if device == "auto":
        device = "cuda" if able.has_gpu and not on_cpu_alone else "cpu"
        if able.has_gpu and on_cpu_alone:
            _log.warning("matching.%s runs on CPUs alone: the GPU is not used", on_cpu_alone)
    precision = settings.features.precision
    if precision == "tf32" and device != "cuda":
        raise InputError("features.precision=tf32", "it is arithmetic of GPUs", "Set fp32, or auto")
    if precision == "bf16" and device not in able.fast_bf16:
        raise InputError(
            "features.precision=bf16",
            f"this {device} device does not multiply bf16 in hardware",
            "Set fp32, or auto where all nodes are alike",
        )
    if precision == "auto":
        precision = "tf32" if device == "cuda" else "fp32"
    card = settings.compute.card if device == "cuda" else ""
    card = able.card if card == "auto" else card
    return settings.model_copy(
        update={
            "compute": dataclasses.replace(settings.compute, device=device, card=card),
            "features": dataclasses.replace(settings.features, precision=precision),
        }
    )


def _is_resolved(settings: RunSettings) -> bool:
    compute, precision = settings.compute, settings.features.precision
    return "auto" not in (compute.device, compute.card, precision)


def open_network(settings: RunSettings) -> LoadedNetwork:
    """Return the network that `features.network` names, where and how it is to run.

    A process loads it once, for all stages and all volumes, as long as its file does not change.
    """
    settings = resolve_hardware(settings)
    features, compute = settings.features, settings.compute
    path = find_network(features.network)
    version = version_of(path) if path.is_file() else ""
    open_device(settings)
    return _load(path, version, features.precision, features.rectified, compute.device)


@lru_cache(maxsize=1)
def _load(path: Path, _version: str, precision: str, rectified: bool, device: str) -> LoadedNetwork:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network = load_network(path, dtype=dtype)
    network.module.to(device)
    network.module.rectified = rectified
    return network


def digest_network(settings: RunSettings) -> str:
    """Return what names the network's weights, without loading them to where they run."""
    path = find_network(settings.features.network)
    return _digest(path, version_of(path) if path.is_file() else "")


@lru_cache(maxsize=4)
def _digest(path: Path, _version: str) -> str:
    return load_network(path).digest


def resolve_threads(settings: RunSettings, runner: Runner) -> int:
    """Return the slices one worker computes side by side."""
    return settings.compute.threads or runner.threads


def staging_of(output: Place) -> Path:
    """Return the folder for copies of a run's input: beside a local output, else in the cache.

    Workers on other machines than the driver's make copies of their own in their cache.
    """
    if isinstance(output, Path):
        return output.with_name(output.name + ".run") / "staging"
    return cache_folder() / "staging" / output.digest


@dataclass(frozen=True)
class Plan:
    """One volume's run; small enough to travel to every worker."""

    target: Place
    output: Place
    ledger: Ledger
    settings: RunSettings
    threads: int
    """Slices a worker computes side by side."""

    window: Window
    surroundings: Surroundings
    statistics: ScanStatistics
    levels: tuple[Level, ...]
    network_digest: str
    staging: Path | None = None
    """Where copies of the input lie, if not beside the output."""

    input_facts: dict[str, str | float | tuple[str, ...]] = field(default_factory=dict)
    """What may be told of the scan: its format, numbers of the acquisition, steps of reading."""

    def open_target(self) -> TargetReader:
        """Open the scan; what must be fetched or inflated first lies in the staging folder."""
        staging = self.staging_folder
        volume = open_volume(local_copy(self.target, staging), self.settings.volume, staging)
        reader = TargetReader(volume, self.window, self.surroundings, self.settings.volume)
        if reader.shape != self.levels[0].shape:
            raise InputError(
                self.target,
                f"{reader.shape} voxels, the run began with {self.levels[0].shape}",
                "Begin anew: the scan has changed",
            )
        return reader

    @property
    def uses_model(self) -> bool:
        """Whether colours come from a model of the whole body."""
        return self.settings.transfer.look != "paper"

    @property
    def lattice(self) -> Lattice:
        """Of the colour model."""
        level = self.levels[0]
        return Lattice.over(level.shape[0], level.spacing_mm, self.statistics, self.settings.model)

    @property
    def model(self) -> Place:
        """File of the colour model."""
        return self.ledger.folder / MODEL

    @property
    def votes(self) -> Place:
        """Folder of what lies between the passes, while the run lasts."""
        return self.ledger.folder / VOTES / self.ledger.identity[:16]

    def draft(self, digest: str) -> Place:
        """Return the file of a first model."""
        return self.votes / f"draft-{digest}.npz"

    @property
    def staging_folder(self) -> Path:
        """Where fetched and inflated copies of the input lie while the run lasts."""
        return self.staging or staging_of(self.output)

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

    stage: str
    """`match`, `count` or, for a level of the volume, `level0` .."""

    level: int
    number: int
    start: int
    stop: int
    references: tuple[tuple[Source, ...], ...] = ()
    """For `match`: what each slice takes its colours from."""

    @property
    def slices(self) -> range:
        """The slices."""
        return range(self.start, self.stop)

    def batches(self, limit: int) -> list[tuple[range, list[tuple[Source, ...]]]]:
        """Return runs of slices that are matched together, and the references of each slice.

        Args:
            limit: Pairs of a slice and a reference that are matched at once.
        """
        runs = fewest_launches([len(sources) for sources in self.references], limit)
        return [
            (
                range(self.start + run.start, self.start + run.stop),
                [*self.references[run.start : run.stop]],
            )
            for run in runs
        ]
