"""What a run did: counted while it runs, then written as `run.json`."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from medcolor.retrieval.record import Bearing
from medcolor.run.ledger import COUNT, MATCH, RECORD
from medcolor.run.plan import Plan
from medcolor.run.slab_report import SlabReport
from medcolor.run.tasks import Failed, Runner
from medcolor.storage import Place, write_atomic, write_json
from medcolor.volume.surroundings import Surroundings
from medcolor.volume.window import Window

_TASK = ("stage", "level", "number", "start", "stop")
_PACKAGES = ("medcolor", "torch", "numpy", "opencv-contrib-python", "zarr", "pyarrow")


@dataclass
class RunReport:
    """What a run did."""

    output: Place
    slices: int = 0
    """Slices of the volume."""

    slabs_done: int = 0
    """Written by this run, all levels."""

    slabs_kept: int = 0
    """Found finished."""

    slices_colored: int = 0
    """By this run."""

    window: Window | None = None
    """What the values of the scan are taken for; None until that is known."""

    bearing: Bearing | None = None
    """How the photographs lie; None until that is known."""

    failures: list[Failed] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Wall seconds of the run's stages."""

    slice_seconds: dict[str, float] = field(default_factory=dict)
    """Seconds inside the colouring workers by stage, added up over slices and threads."""

    gpu_halvings: int = 0
    """How often GPU memory did not hold the pairs that were to be matched at once."""

    gpu_seconds: dict[str, float] = field(default_factory=lambda: {"busy": 0.0, "starved": 0.0})
    """Of slabs: in which their GPU worked, and in which it waited for slices; of all workers."""

    @property
    def is_complete(self) -> bool:
        """Whether every slab is written."""
        return not self.failures

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall time of the block to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - begin
            self.stage_seconds[name] = self.stage_seconds.get(name, 0.0) + elapsed

    def add(self, slab: SlabReport, *, stage: str) -> None:
        """Count a slab that `match`, `count`, `color` or a coarser level has finished."""
        self.slabs_done += stage not in (MATCH, COUNT)
        self.gpu_halvings += slab.halvings
        self.gpu_seconds["busy"] += slab.gpu_busy_s
        self.gpu_seconds["starved"] += slab.gpu_starved_s
        if stage == "color":
            self.slices_colored += slab.slices
        if stage in (MATCH, COUNT, "color"):
            for part, seconds in slab.seconds.items():
                self.slice_seconds[part] = self.slice_seconds.get(part, 0.0) + seconds

    def cost_table(self) -> str:
        """Return thread-milliseconds a slice by stage and their shares, as text."""
        total = sum(self.slice_seconds.values())
        if not self.slices_colored or not total:
            return "no slice was coloured"
        lines = [
            f"{stage:>10} {1000 * seconds / self.slices_colored:9.1f} ms  {seconds / total:6.1%}"
            for stage, seconds in sorted(self.slice_seconds.items(), key=lambda item: -item[1])
        ]
        lines.append(f"{'a slice':>10} {1000 * total / self.slices_colored:9.1f} ms")
        return "\n".join(lines)


def write_report(plan: Plan, report: RunReport, runner: Runner) -> None:
    """Write `run.json` into the ledger's folder.

    It and `failures.jsonl` do not name the input: file names may carry a patient's name.
    """
    content = {
        "complete": report.is_complete,
        "versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "device": {
            "kind": plan.settings.compute.device,
            "card": plan.settings.compute.card,
            "machine": platform.machine(),
        },
        "runner": {
            "kind": type(runner).__name__,
            "workers": runner.workers,
            "threads": plan.threads,
        },
        "settings": plan.settings.model_dump(mode="json"),
        "identity": plan.ledger.identity,
        "network": plan.network_digest,
        "photographs": None if report.bearing is None else asdict(report.bearing),
        "input": plan.input_facts,
        "surroundings": _words(plan.surroundings),
        "window": {key: value for key, value in asdict(plan.window).items() if key != "tone"},
        "shape_zyx": plan.levels[0].shape,
        "spacing_mm_zyx": plan.levels[0].spacing_mm,
        "slices": report.slices,
        "slices_colored": report.slices_colored,
        "slabs_done": report.slabs_done,
        "slabs_kept": report.slabs_kept,
        "failures": len(report.failures),
        "gpu_halvings": report.gpu_halvings,
        "gpu_seconds": _rounded(report.gpu_seconds),
        "stage_seconds": _rounded(report.stage_seconds),
        "slice_seconds": _rounded(report.slice_seconds),
    }
    write_json(plan.ledger.folder / RECORD, content)


def write_failures(plan: Plan, report: RunReport) -> None:
    """Write `failures.jsonl`, or delete it if nothing failed."""
    lines = []
    for failure in report.failures:
        task = {name: getattr(failure.task, name) for name in _TASK}
        lines.append(json.dumps({"task": task, "problem": failure.nameless}))
    failures = plan.ledger.folder / "failures.jsonl"
    if lines:
        write_atomic(failures, ("\n".join(lines) + "\n").encode())
    else:
        failures.unlink(missing_ok=True)


def _words(around: Surroundings) -> dict[str, bool | float | None]:
    """Return what was found around the body."""
    return {
        "air_luminance": None if around.air is None else round(around.air, 4),
        "fat_is_lost": around.fat_is_lost,
        "table": around.table is not None and bool(around.table.any()),
    }


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {stage: round(value, 3) for stage, value in seconds.items()}
