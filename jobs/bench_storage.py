"""Many small objects through medcolor.storage beside obstore used directly, on loopback.

    python jobs/bench_storage.py

33 MB in 128 objects go to moto's S3 server and come back, alternately both ways in one run;
printed are the best times and their ratio. The server is the bottleneck: this tells what the
layer above obstore costs, not what a network gives.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import obstore

from medcolor.storage import ObjectPath, copy_tree, delete_tree, place_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from bucket import environment, make_bucket, s3_server  # type: ignore[import-not-found]

_OBJECTS, _BYTES, _ROUNDS, _AT_ONCE = 128, 33_000_000 // 128, 5, 16


async def put_all(place: ObjectPath, files: list[Path]) -> None:
    """Upload with obstore's own coroutines, as many at a time as medcolor."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def put(path: Path) -> None:
        async with gate:
            await obstore.put_async(place.store, f"{place.key}/{path.name}", path)

    await asyncio.gather(*(put(path) for path in files))


async def get_all(place: ObjectPath, names: list[str], folder: Path) -> None:
    """Download into files with obstore's own coroutines."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def get(name: str) -> None:
        async with gate:
            found = await obstore.get_async(place.store, f"{place.key}/{name}")
            (folder / name).write_bytes(await found.bytes_async())

    await asyncio.gather(*(get(name) for name in names))


def measure(bucket: ObjectPath, folder: Path) -> dict[str, float]:
    """Return the best seconds of each way."""
    source = folder / "source"
    source.mkdir()
    noise = np.random.default_rng(0)
    for number in range(_OBJECTS):
        (source / f"{number:03d}.bin").write_bytes(noise.bytes(_BYTES))
    files = sorted(source.iterdir())
    names = [path.name for path in files]
    best: dict[str, float] = {}

    def clock(name: str, begin: float) -> None:
        best[name] = min(best.get(name, 1e9), time.perf_counter() - begin)

    for round_ in range(_ROUNDS):
        ours, direct = bucket / f"ours{round_}", bucket / f"direct{round_}"
        down = folder / f"down{round_}"
        down.mkdir()
        begin = time.perf_counter()
        copy_tree(source, ours)
        clock("write, medcolor", begin)
        begin = time.perf_counter()
        asyncio.run(put_all(direct, files))
        clock("write, obstore", begin)
        begin = time.perf_counter()
        copy_tree(ours, folder / f"ours{round_}")
        clock("read, medcolor", begin)
        begin = time.perf_counter()
        asyncio.run(get_all(direct, names, down))
        clock("read, obstore", begin)
        delete_tree(ours)
        delete_tree(direct)
    return best


def main() -> None:
    """Start a server, measure, print."""
    with s3_server() as address, tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment(address))
        bucket = place_of(make_bucket(address, "bench"))
        assert isinstance(bucket, ObjectPath)
        best = measure(bucket, Path(folder))
    megabytes = _OBJECTS * _BYTES / 1e6
    for way in ("write", "read"):
        ours, direct = best[f"{way}, medcolor"], best[f"{way}, obstore"]
        print(
            f"{way:>5}: medcolor {megabytes / ours:6.1f} MB/s, obstore "
            f"{megabytes / direct:6.1f} MB/s, ratio {direct / ours:.2f}"
        )


if __name__ == "__main__":
    main()
