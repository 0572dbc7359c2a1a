"""Runs on a real Ray cluster that lose workers, nodes, drivers, the object store and the time.

    make chaos                              fifty seeded schedules, the first that fails ends it
    python tests/chaos/schedules.py 17 18   those two

Every schedule must end with the bytes of an undisturbed run. A driver that is killed is started
again, as a cron job would.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from bucket import Gate, environment, make_bucket, s3_server  # noqa: E402
from conftest import make_photographs, make_scan  # noqa: E402
from trees import tree_bytes  # noqa: E402

SETTINGS = {
    "features.working_size_px": "48",
    "store.slab_slices": "2",
    "store.chunk": "[2,16,16]",
    "compute.device": "cpu",
}
SLICES = 16
_DRIVER_S = 240.0
_STARTS = 6
KINDS = ("actor", "node", "driver", "store", "second driver", "clock")


@dataclass(frozen=True)
class Event:
    """What goes wrong, and when."""

    kind: str
    after_s: float
    """From the driver's first task on."""


@dataclass(frozen=True)
class Schedule:
    """What goes wrong in one run."""

    seed: int
    events: tuple[Event, ...]
    in_bucket: bool

    @classmethod
    def of(cls, seed: int) -> Schedule:
        """Draw one: two to four events."""
        draw = random.Random(seed)
        kinds = [draw.choice(KINDS) for _ in range(draw.randint(2, 4))]
        if seed < len(KINDS):
            kinds[0] = KINDS[seed]  # each kind at least once in the first few
        in_bucket = "store" in kinds or draw.random() < 0.3
        events = sorted((round(draw.uniform(0.0, 9.0), 1), kind) for kind in kinds)
        return cls(seed, tuple(Event(kind, after) for after, kind in events), in_bucket)

    def __str__(self) -> str:
        """Return it as one line."""
        told = ", ".join(f"{event.kind} at {event.after_s:g} s" for event in self.events)
        return f"{self.seed:3} {'bucket' if self.in_bucket else 'folder'}: {told}"


@dataclass
class World:
    """A cluster, an object store behind a gate, and the inputs."""

    cluster: Any
    gate: Gate
    folder: Path
    truth: dict[str, bytes]
    bucket: str
    outage_s: float
    """How long the object store is gone."""

    nodes: list[Any] = field(default_factory=list)

    def replace_node(self, number: int) -> None:
        """Take a node away as a power cut does, and bring another."""
        self.cluster.remove_node(self.nodes[number], allow_graceful=False)
        self.nodes[number] = self.cluster.add_node(num_cpus=1, object_store_memory=80_000_000)


@contextmanager
def world(outage_s: float = 20.0) -> Iterator[World]:
    """Bring all up, and an undisturbed run's bytes."""
    import medcolor
    from medcolor.config import load_settings

    before = dict(os.environ)
    os.environ.update(RAY_health_check_period_ms="1000", RAY_health_check_failure_threshold="3")
    with tempfile.TemporaryDirectory() as scratch, s3_server() as server:
        folder, gate = Path(scratch), Gate(server)
        gate.open()
        os.environ.update(environment(gate.address))
        os.environ["MEDCOLOR_CACHE"] = str(folder / "cache")
        make_scan(folder / "scan.nii", slices=SLICES, size=32)
        make_photographs(folder / "photographs", count=8, size=40)
        overrides = [f"{key}={value}" for key, value in SETTINGS.items()]
        settings = load_settings(None, [*overrides, "compute.threads=1"])
        medcolor.colorize_volume(
            folder / "scan.nii",
            folder / "photographs",
            folder / "truth.ome.zarr",
            settings=settings,
        )
        truth = tree_bytes(folder / "truth.ome.zarr")
        assert truth, "no undisturbed run to compare with"
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "object_store_memory": 80_000_000,
            },
        )
        made = World(cluster, gate, folder, truth, make_bucket(server, "chaos-bucket"), outage_s)
        try:
            for _ in range(2):
                made.nodes.append(cluster.add_node(num_cpus=1, object_store_memory=80_000_000))
            yield made
        finally:
            cluster.shutdown()
            gate.close()
            os.environ.clear()
            os.environ.update(before)


def play(schedule: Schedule, here: World) -> None:
    """Run one schedule.

    Raises:
        AssertionError: Other bytes, or a run that does not come to its end.
    """
    name = f"{schedule.seed}.ome.zarr"
    output = f"{here.bucket}/{name}" if schedule.in_bucket else str(here.folder / name)
    log = here.folder / f"{schedule.seed}.log"
    drivers = [_start(here, output, log)]
    others: list[subprocess.Popen[bytes]] = []
    _wait_for_work(log, drivers[0])
    begin, starts = time.monotonic(), 1
    for event in schedule.events:
        time.sleep(max(0.0, begin + event.after_s - time.monotonic()))
        if event.kind == "actor":
            _kill_an_actor(schedule.seed)
        elif event.kind == "node":
            here.replace_node(schedule.seed % 2)
        elif event.kind == "store":
            here.gate.shut()
            threading.Timer(here.outage_s, here.gate.open).start()
        elif event.kind == "second driver":
            others.append(_start(here, output, log))
        else:  # the driver is killed; the next one may have another clock
            shift = 86400.0 * 400 if event.kind == "clock" else 0.0
            drivers[-1].send_signal(signal.SIGKILL)
            drivers[-1].wait()
            drivers.append(_start(here, output, log, shift))
            starts += 1
    while True:
        code = drivers[-1].wait(timeout=_DRIVER_S)
        if code == 0 or starts >= _STARTS:
            break
        drivers.append(_start(here, output, log))
        starts += 1
    for other in others:
        other.wait(timeout=_DRIVER_S)
    assert code == 0, f"{schedule}\n{log.read_text()[-4000:]}"
    found = _bytes_of(output, here.folder / f"copy-{schedule.seed}")
    keys = sorted(found.keys() | here.truth.keys())
    other = [key for key in keys if found.get(key) != here.truth.get(key)]
    assert not other, f"{schedule}: {other}\n{log.read_text()[-4000:]}"


def _start(here: World, output: str, log: Path, clock_s: float = 0.0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "medcolor", "colorize", str(here.folder / "scan.nii")]
    command += [str(here.folder / "photographs"), output, "--ray", here.cluster.address]
    command += ["--workers", "2"]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    clock = str(Path(__file__).with_name("clock"))
    paths = os.pathsep.join([clock, os.environ.get("PYTHONPATH", "")])
    added = {"PYTHONPATH": paths, "CHAOS_CLOCK_S": str(clock_s)} if clock_s else {}
    with log.open("ab") as file:
        return subprocess.Popen(command, env=os.environ | added, stdout=file, stderr=file)


def _wait_for_work(log: Path, driver: subprocess.Popen[bytes]) -> None:
    """Wait until the driver has got as far as giving out tasks."""
    deadline = time.monotonic() + _DRIVER_S
    while '"stage"' not in log.read_text():
        assert driver.poll() in (None, 0), log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def _kill_an_actor(seed: int) -> None:
    """Kill one of the processes of this cluster that work, if there is any."""
    actors = []
    for one in psutil.Process().children(recursive=True):  # other clusters of the machine are not
        with contextlib.suppress(psutil.NoSuchProcess):
            if " ".join(one.cmdline()).startswith("ray::_Worker"):
                actors.append(one.pid)
    if actors:
        os.kill(sorted(actors)[seed % len(actors)], signal.SIGKILL)


def _bytes_of(output: str, copy: Path) -> dict[str, bytes]:
    from medcolor.storage import local_copy, place_of

    folder = local_copy(place_of(output), copy)
    return {key: one for key, one in tree_bytes(folder).items() if not key.endswith(".version")}


def main() -> None:
    """Play the seeds given, or the first fifty."""
    seeds = [int(one) for one in sys.argv[1:]] or list(range(50))
    begin = time.monotonic()
    with world() as here:
        for seed in seeds:
            schedule = Schedule.of(seed)
            print(schedule, end=" ", flush=True)
            one = time.monotonic()
            play(schedule, here)
            print(f"-> the same bytes, {time.monotonic() - one:.0f} s", flush=True)
    print(f"{len(seeds)} schedules, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
