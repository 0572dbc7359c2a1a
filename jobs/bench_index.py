"""What a large reference index costs to build, open and search: `make bench`.

Synthetic unit descriptors of 4096 numbers go through the product's own way: parts written by a
runner, decoded, searched. Every step has a process of its own, so that its peak of resident memory
is its own. Searching is compared with the bare product of the same matrices, in turns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medcolor.progress import Silent
from medcolor.reference.library import ReferenceRecord
from medcolor.retrieval.decode import decode
from medcolor.retrieval.index import read_index
from medcolor.retrieval.parts import DescribedReference, Origin
from medcolor.retrieval.search import top_k
from medcolor.run.index_parts import describe_parts
from medcolor.run.serial import SerialRunner

_ORIGIN = Origin("synthetic", "synthetic")
_THUMBNAIL_BYTES = 10_000


def describe(size: int, records: Sequence[ReferenceRecord]) -> list[DescribedReference]:
    """Invent descriptors and thumbnails of as many bytes as real ones have."""
    made = []
    for record in records:
        number = int(record.position_mm or 0)
        values = np.random.default_rng(number).standard_normal(size, np.float32)
        descriptor = values / np.linalg.norm(values)
        thumbnail = bytes(_THUMBNAIL_BYTES)
        made.append(DescribedReference(record, f"{number:032x}", descriptor, thumbnail, {}))
    return made


def build(folder: Path, rows: int, size: int) -> dict[str, float]:
    """Build an index of `rows` photographs that do not exist."""
    records = [
        ReferenceRecord(f"{number}.png", Path(f"/photographs/{number}.png"), float(number))
        for number in range(rows)
    ]
    before, begin = peak_mb(), time.perf_counter()
    describe_parts(
        records,
        folder,
        0,
        _ORIGIN,
        lambda: lambda task: describe(size, task),
        SerialRunner(),
        Silent(),
    )
    return {"s": time.perf_counter() - begin, "peak_mb": peak_mb(), "peak_before_mb": before}


def open_decoded(folder: Path, is_shared: bool) -> dict[str, float]:
    """Open an index and read every descriptor once, from the shared file or in own memory."""
    before, begin = peak_mb(), time.perf_counter()
    index = read_index(folder, _ORIGIN)
    opened = time.perf_counter()
    if is_shared:
        descriptors = index.descriptors
    else:
        descriptors = np.empty((len(index.records), index.parts[0].descriptor_size), np.float32)
        decode(index.parts, index.places, descriptors)
    decoded = time.perf_counter()
    float(descriptors.sum())
    return {
        "rows_s": opened - begin,
        "descriptors_s": decoded - opened,
        "touched_s": time.perf_counter() - decoded,
        "peak_mb": peak_mb(),
        "peak_before_mb": before,
        "own_mb": own_mb(),
    }


def search(folder: Path, queries: int, repeats: int) -> dict[str, float]:
    """Compare top-3 with the bare product of the same matrices, in turns; medians."""
    references = np.array(read_index(folder, _ORIGIN).descriptors)
    random = np.random.default_rng(1).standard_normal((queries, references.shape[1]), np.float32)
    sought = random / np.linalg.norm(random, axis=1, keepdims=True)
    left, right = torch.from_numpy(sought), torch.from_numpy(references)
    product, ours = [], []
    for _ in range(repeats):
        product.append(seconds(lambda: left @ right.T))
        ours.append(seconds(lambda: top_k(sought, references, 3)))
    ratios = np.array(ours) / np.array(product)
    product_s, top_3_s = np.median(product, axis=0)[0], np.median(ours, axis=0)[0]
    return {
        "product_s": float(product_s),
        "top_3_s": float(top_3_s),
        "ratio": float(np.median(ratios[:, 0])),
        "ratio_least": float(ratios[:, 0].min()),
        "ratio_most": float(ratios[:, 0].max()),
        "ratio_cpu": float(np.median(ratios[:, 1])),
        "threads": torch.get_num_threads(),
    }


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """Time one run: on the clock, and of all cores; the second holds on a shared machine."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - begin, time.process_time() - begin_cpu


def peak_mb() -> float:
    """Return the peak of resident memory of this process so far."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def own_mb() -> float:
    """Return the resident memory that this process shares with no other; 0 where unknown."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 2**10


def apart(step: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Run a step in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return {key: round(value, 3) for key, value in pool.apply(step, arguments).items()}


def main() -> None:
    """Print a line a step and a JSON line for LOG.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="photographs")
    parser.add_argument("--size", type=int, default=4096, help="numbers of a descriptor")
    parser.add_argument("--queries", type=int, default=1000, help="slices")
    parser.add_argument("--repeats", type=int, default=3, help="turns of search and product")
    parser.add_argument("--scratch", type=Path, help="folder to write in, else the system's")
    asked = parser.parse_args()
    figures: dict[str, Any] = {"rows": asked.rows, "size": asked.size, "queries": asked.queries}
    with tempfile.TemporaryDirectory(dir=asked.scratch) as name:
        few, all_rows = Path(name) / "few", Path(name) / "all"
        figures["build, a quarter"] = apart(build, few, max(1, asked.rows // 4), asked.size)
        figures["build"] = apart(build, all_rows, asked.rows, asked.size)
        figures["open, alone"] = apart(open_decoded, all_rows, False)
        figures["open, first"] = apart(open_decoded, all_rows, True)
        figures["open, again"] = apart(open_decoded, all_rows, True)
        figures["search"] = apart(search, all_rows, asked.queries, asked.repeats)
    for step, told in figures.items():
        print(f"{step:18}{told}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
