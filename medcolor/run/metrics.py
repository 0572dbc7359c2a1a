"""What is counted while a run goes on, for those who watch it from outside.

On Ray every metric is exported by the node of the driver, with the prefix `ray_`;
`cluster/monitoring/` scrapes and draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How values of a metric add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric."""

    full_name: str
    kind: Kind
    description: str
    tags: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()
    """Of a histogram's buckets."""


METRICS = {
    "slices": Metric("medcolor_slices_total", Kind.COUNTER, "Slices done, by stage.", ("stage",)),
    "slabs": Metric(
        "medcolor_slabs_total",
        Kind.COUNTER,
        "Slabs by stage and outcome: done, kept (from before) or failed.",
        ("stage", "outcome"),
    ),
    "retries": Metric("medcolor_retries_total", Kind.COUNTER, "Tasks tried again after a failure."),
    "written_bytes": Metric(
        "medcolor_written_bytes_total", Kind.COUNTER, "Bytes of voxels written, uncompressed."
    ),
    "stage_seconds": Metric(
        "medcolor_stage_seconds",
        Kind.HISTOGRAM,
        "Thread-seconds of a slab inside the workers, by stage of the method.",
        ("stage",),
        (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
    ),
    "ready_seconds": Metric(
        "medcolor_ready_seconds",
        Kind.HISTOGRAM,
        "Seconds in which a worker became ready: network loaded, kernels compiled; no slab's time.",
        (),
        (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
    ),
    "gpu_busy_seconds": Metric(
        "medcolor_gpu_busy_seconds_total",
        Kind.COUNTER,
        "Seconds in which GPUs worked on slabs, by stage.",
        ("stage",),
    ),
    "gpu_starved_seconds": Metric(
        "medcolor_gpu_starved_seconds_total",
        Kind.COUNTER,
        "Seconds of slabs in which their GPU had nothing to do, by stage.",
        ("stage",),
    ),
    "gpu_memory_bytes": Metric(
        "medcolor_gpu_memory_bytes",
        Kind.GAUGE,
        "Most GPU memory that a worker's tensors have taken.",
        ("node",),
    ),
    "gpu_memory_limit_bytes": Metric(
        "medcolor_gpu_memory_limit_bytes",
        Kind.GAUGE,
        "GPU memory that a worker's tensors may take (compute.gpu_share).",
        ("node",),
    ),
}
"""By the short name that the code uses."""
