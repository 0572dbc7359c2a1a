"""One settings model: every number that decides a pixel, in one place.

Each stage owns its settings as a frozen dataclass beside its code; here they meet,
are read from YAML and `key=value` overrides, and are validated by pydantic. An
unknown key is an error. `medcolor settings` prints all with their documentation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from medcolor.data.settings import LibrarySettings
from medcolor.errors import InputError
from medcolor.features.settings import FeatureSettings
from medcolor.filters.settings import SmoothingSettings
from medcolor.matching.settings import MatchingSettings
from medcolor.reference.settings import ReferenceSettings
from medcolor.render.scene import SceneSettings
from medcolor.render.settings import RenderSettings
from medcolor.retrieval.settings import RetrievalSettings
from medcolor.settings import Settings
from medcolor.transfer.settings import ModelSettings, OpacitySettings, TransferSettings
from medcolor.volume.settings import StoreSettings, VolumeSettings


@dataclass(frozen=True, kw_only=True)
class ComputeSettings(Settings):
    """Where and how fast."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What the network and the matching run on. auto: a GPU where torch sees one, on Ray where
    its workers see one, else the CPU; the CPU, too, for settings that ask for what runs there
    alone (matching.search=patchmatch, matching.propagation); decided once a run. A GPU that is
    asked for and absent, or cannot do what is set, is an error. The last digits of a voxel may
    depend on it. A cluster whose GPUs come only when they are asked for needs cuda here, and the
    number of workers."""

    gpu_share: float = 1.0
    """Of a GPU, for each worker: 1 gives a worker on Ray a GPU of its own, 0.5 puts two on one,
    0.25 four. A worker's tensors take this share of the GPU's memory at most, less what CUDA
    itself takes where there are several; what does not fit is matched in smaller batches."""

    patience_s: float = 3600.0
    """Time after which a slab on Ray that has not ended counts as stuck, or a worker that is not
    ready (network loaded, kernels compiled): the worker is ended, and the slab tried again."""

    threads: int = 0
    """Slices coloured at once by one worker, one thread each; 0 takes every core the
    process may use; of a Ray cluster with GPUs its share of the cores, else one."""

    batch_pairs: int = 0
    """Pairs of a slice and a photograph that a GPU matches at once; 0 is 24, fewer where its memory
    does not hold so many. Decides no voxel. A CPU matches one after another."""

    card: str = "auto"
    """The model of GPU that computes: the last digits of a voxel depend on it, so a worker with
    another refuses. auto: that of the worker that is looked at when the run begins. any: whatever
    there is, for clusters of several models."""

    reference_memory_mb: int = 512
    """Memory a worker keeps prepared photographs in, that of the GPU where there is one, so that
    slices which share one need not prepare it again. Those in use are kept whatever they take."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if min(self.threads, self.batch_pairs, self.reference_memory_mb) < 0:
            raise ValueError("threads, batch_pairs and reference_memory_mb must be >= 0")
        if not (0 < self.gpu_share <= 1 and self.patience_s > 0):
            raise ValueError("gpu_share must be in (0, 1], patience_s > 0")


class RunSettings(BaseModel):
    """All settings of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    volume: VolumeSettings = VolumeSettings()
    """Reading and showing the scan."""

    library: LibrarySettings = LibrarySettings()
    """Photographs asked for by the name of a library."""

    reference: ReferenceSettings = ReferenceSettings()
    """Preparing the photographs."""

    features: FeatureSettings = FeatureSettings()
    """The network and what it sees."""

    retrieval: RetrievalSettings = RetrievalSettings()
    """Choosing a reference for every slice."""

    matching: MatchingSettings = MatchingSettings()
    """Dense correspondence."""

    transfer: TransferSettings = TransferSettings()
    """From correspondence to colour."""

    model: ModelSettings = ModelSettings()
    """What the votes of the whole body have in common."""

    smoothing: SmoothingSettings = SmoothingSettings()
    """The edge-preserving filter of equation 1."""

    opacity: OpacitySettings = OpacitySettings()
    """Alpha of every voxel."""

    store: StoreSettings = StoreSettings()
    """Layout of the OME-Zarr volume."""

    scene: SceneSettings = SceneSettings()
    """What pictures show: camera, light, opacity. Decides no voxel."""

    render: RenderSettings = RenderSettings()
    """Size and number of pictures. Decides no voxel."""

    compute: ComputeSettings = ComputeSettings()
    """Where and how fast."""

    def digest(self, *parts: str) -> str:
        """Return a digest of the named parts, or of all that decide a voxel."""
        chosen = set(parts) or set(type(self).model_fields) - {
            "library",
            "scene",
            "render",
            "compute",
        }
        values = self.model_dump(mode="json", include=chosen)
        if not parts:
            values["device"] = self.compute.device, self.compute.card
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


_GONE = {
    "pooling": "the colour model took its place: see model",
    "coherence": "the colour model of the whole body took its place: see model",
    "transfer.agreement_tolerance": "votes agree with the colour model: model.tolerance",
    "transfer.reference_luminance": "transfer.look=scan keeps the scan's lightness",
    "transfer.contrast": "transfer.look=photograph has the photographs' lightness",
    "transfer.black_below": "air is black in the looks photograph and scan",
    "transfer.least_b": "votes that go astray lose their weight: model.tolerance",
    "scene.shade": "scene.light=flat shows colours as they are",
    "smoothing.luminance_sigma": "equation 1 is that of the paper, with one guide_sigma",
}
"""Settings of earlier versions, and what to do instead."""


def load_settings(path: Path | None = None, overrides: Iterable[str] = ()) -> RunSettings:
    """Read settings from a YAML file and `stage.key=value` overrides, in that order.

    Args:
        path: YAML file; what it does not name keeps its default.
        overrides: Values are read as YAML: `volume.spacing_mm=[1,1,1]`.

    Raises:
        InputError: Naming file and key.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides:
        key, equals, text = override.partition("=")
        stage, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise InputError(
                f"--set {override}", "expected stage.key=value", "See medcolor settings"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--set {override}", "the value is no YAML", "Quote it") from error
        values.setdefault(stage, {})[name] = value
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = _GONE.get(key, first["msg"].removeprefix("Value error, "))
        place = path if path else "--set"
        raise InputError(
            f"{place}: {key}", f"{problem} (found {first['input']!r})", "See medcolor settings"
        ) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read a settings file into nested dictionaries."""
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(path, f"no readable settings file ({error})", "Check it") from error
    if not isinstance(values, dict) or not all(isinstance(v, dict) for v in values.values()):
        raise InputError(path, "expected stages with keys", "Compare with medcolor settings")
    return {str(stage): dict(keys) for stage, keys in values.items()}


def describe_settings() -> str:
    """Return all settings with their defaults as commented YAML."""
    schema = RunSettings.model_json_schema()
    defaults = RunSettings().model_dump(mode="json")
    lines = [
        "# Every setting of medcolor with its default; written by `medcolor settings`.",
        "# Keep the keys you change and pass the file with --config, or use --set stage.key=value.",
    ]
    for stage, reference in schema["properties"].items():
        stage_schema = schema["$defs"][reference["$ref"].rsplit("/", 1)[-1]]
        lines += ["", *_comment(reference["description"], ""), f"{stage}:"]
        for name, field in stage_schema["properties"].items():
            lines += _comment(field["description"], "  ")
            lines.append(f"  {name}: {json.dumps(defaults[stage][name])}")
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: str) -> list[str]:
    """Turn a docstring into comment lines."""
    return [f"{indent}# {line.strip()}" for line in text.strip().splitlines()]
