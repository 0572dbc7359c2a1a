"""What a slice costs, by stage: `make bench`.

Colours the head of a phantom with one thread, after the first slab has warmed caches
up, and prints thread-milliseconds a slice beside the time of one 2048-cube float32
matrix product in the same run: machines differ and are shared, ratios hold better.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

import medcolor
from medcolor.config import load_settings
from medcolor.evaluate.across import Case, write_case
from medcolor.run.threads import one_thread_each

_SIZE = 2048
PRODUCT_FLOPS = 2 * _SIZE**3


def median_seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """Return the median seconds of an action, its first run left out."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return sorted(times[1:])[repeats // 2]


def product_seconds(threads: int = 1) -> float:
    """Time one float32 matrix product."""
    left, right = torch.rand(_SIZE, _SIZE), torch.rand(_SIZE, _SIZE)
    with one_thread_each():  # restores what it finds
        torch.set_num_threads(threads)
        return median_seconds(lambda: torch.mm(left, right))


def main() -> None:
    """Print the cost table and a JSON line for LOG.md."""
    settings = load_settings(None, ["compute.threads=1"])
    product = product_seconds()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_case(Case("head", "ct", 2.0), folder)
        report = medcolor.colorize_volume(
            files.scan, files.photographs, folder / "v.ome.zarr", settings=settings
        )
    print(report.cost_table())
    total = sum(report.slice_seconds.values()) / report.slices_colored
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.processor() or platform.machine(),
        "slices": report.slices_colored,
        "slice_ms": round(1000 * total, 1),
        "product_ms": round(1000 * product, 1),
        "slice_in_products": round(total / product, 2),
        "stage_seconds": {key: round(value, 2) for key, value in report.stage_seconds.items()},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
