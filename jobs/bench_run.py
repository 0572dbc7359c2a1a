"""What running costs beside the work: actors, scheduling, memory of the driver, bodies, cohorts.

    python jobs/bench_run.py [actors] [slabs] [body] [cohort]        by default all four

- actors: 64 slices with one one-thread actor, two of them, and one process of two threads: ratios
  of the passes that colour, and the share of an actor's time that no slab accounts for.
- slabs: memory of the driver after 100 and after 10 000 slabs that are given a constant colour, in
  the look `paper`, in which nothing is added up.
- body: 1878 slices of 512 x 512 in a constant colour on two actors, the colour model fitted to
  constant votes on the lattice of a real one, then the same command again.
- cohort: 200 procedural persons of 16 slices of 64 x 64 on two actors, again, and with one changed.

The constant colour stands in for describing and matching; all else is the product's: plan,
ledger, Ray, store.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import ray
import torch
from bench_volume import write_scan as write_body

import medcolor
from medcolor.config import RunSettings, load_settings
from medcolor.phantom import make_phantom, render_mri
from medcolor.phantom.files import write_photographs
from medcolor.progress import Silent
from medcolor.run import assign, driver, workers
from medcolor.run.plan import Plan, SlabTask
from medcolor.run.ray_pool import RayRunner
from medcolor.run.serial import SerialRunner
from medcolor.run.slab_report import Clock, SlabReport
from medcolor.run.tasks import Runner
from medcolor.run.votes_files import sums_name, write_sums
from medcolor.run.workers import write_and_mark
from medcolor.transfer.ballot import Ballot

_COLOR = (200, 150, 110)
_SMALL = ["features.working_size_px=64", "compute.device=cpu"]
_VOTES = 100


class ConstantDescriptions:
    """Describes every slice alike, whichever way it lies."""

    def __init__(self, plan: Plan, codes: tuple[str, ...]) -> None:
        """Take what the real one takes."""
        self._shape = len(codes), plan.open_network().spec.descriptor_size

    def __call__(self, slices: Sequence[int]) -> np.ndarray:
        """Describe some."""
        return np.full((len(slices), *self._shape), 0.01, np.float32)


class ConstantMatch:
    """Marks slabs as matched."""

    def __init__(self, plan: Plan, _turn: str) -> None:
        """Take what the real one takes."""
        self._plan = plan

    def __call__(self, task: SlabTask) -> SlabReport:
        """Do a slab."""
        sizes = write_constant_sums(self._plan, "", task) if self._plan.uses_model else {}
        self._plan.ledger.mark_done(task.stage, task.number, "", 0.0, sizes)
        return SlabReport(len(task.slices), {})


class ConstantCount:
    """Counts as many votes everywhere."""

    def __init__(self, plan: Plan, draft: str) -> None:
        """Take what the real one takes."""
        self._plan, self._draft = plan, draft

    def __call__(self, task: SlabTask) -> SlabReport:
        """Do a slab."""
        write_constant_sums(self._plan, self._draft, task)
        return SlabReport(len(task.slices), {})


def write_constant_sums(plan: Plan, draft: str, task: SlabTask) -> dict[str, int]:
    """Write the sums of a slab; return their bytes by their name."""
    lattice, name = plan.lattice, sums_name(draft, task.number)
    first, last = lattice.layer(task.start), lattice.layer(task.stop - 1)
    sums = torch.full((4, last - first + 1, *lattice.shape[1:]), _VOTES, dtype=torch.int64)
    return {name: write_sums(plan.votes, name, Ballot(first, sums))}


class ConstantColor:
    """Gives every voxel one colour, and the scan's luminance as alpha."""

    def __init__(self, plan: Plan) -> None:
        """Open the scan."""
        self._plan, self._read = plan, plan.open_target()

    def __call__(self, task: SlabTask) -> SlabReport:
        """Do a slab."""
        clock = Clock(self._plan.settings)
        rgba = np.empty((len(task.slices), *self._plan.levels[0].shape[1:], 4), np.uint8)
        for number, z in enumerate(task.slices):
            rgba[number, ..., :3] = _COLOR
            rgba[number, ..., 3] = np.rint(255 * self._read.luminance(z))
        write_and_mark(self._plan, task, rgba, clock)
        return SlabReport(len(task.slices), {}, rgba.nbytes)


def write_head(path: Path, seed: int, slices: int, spacing_mm: float, side: int) -> None:
    """Write slices of a person's head, `side` pixels square."""
    volume = render_mri(make_phantom(seed, region="head", spacing_mm=spacing_mm), "T1")
    first = max(0, (len(volume) - slices) // 2)
    chosen = volume[first : first + slices]
    rows, cols = chosen.shape[1:]
    padded = np.zeros((len(chosen), side, side), chosen.dtype)
    rows, cols = min(rows, side), min(cols, side)
    padded[:, :rows, :cols] = chosen[:, :rows, :cols]
    affine = np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])
    nib.save(nib.Nifti1Image(np.ascontiguousarray(padded.transpose(2, 1, 0)), affine), path)


def colored_s(folder: Path, name: str, settings: RunSettings, runner: Runner) -> float:
    """Colour the head; return the wall seconds of the passes that colour."""
    output = folder / f"{name}.ome.zarr"
    report = medcolor.colorize_volume(
        folder / "head.nii", folder / "photographs", output, settings=settings, runner=runner
    )
    return sum(report.stage_seconds[stage] for stage in ("match", "model", "color"))


def memory_mb() -> float:
    """Return what this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def bench_actors(folder: Path) -> None:
    """Compare one actor, two, and one process."""
    write_head(folder / "head.nii", 2, 64, 3.0, 96)
    write_photographs(
        make_phantom(1, region="head", spacing_mm=3.0), folder / "photographs", every_mm=15.0
    )
    settings = load_settings(
        None, ["compute.device=cpu", "store.slab_slices=8", "store.chunk=[8,32,32]"]
    )
    runners: dict[str, Runner] = {
        "one actor": RayRunner("auto", 1),
        "two actors": RayRunner("auto", 2),
        "two threads": SerialRunner(2),
    }
    took = {}
    for round_ in range(2):  # in the first, processes start, and load what is compiled
        for name, runner in runners.items():
            took[name] = colored_s(folder, f"{name}-{round_}", settings, runner)
            print(f"  {name:<12} {took[name]:6.1f} s of match, model and color", flush=True)
    for runner in runners.values():
        if isinstance(runner, RayRunner):
            runner.release()
    ratio = took["one actor"] / took["two actors"]
    against_threads = took["two threads"] / took["two actors"]
    print(f"two actors are {ratio:.2f} times one, {against_threads:.2f} times two threads")


def bench_overhead(tasks: int = 400, seconds: float = 0.25) -> None:
    """Give two actors slabs that take a known time."""
    runner = RayRunner("auto", 2)
    list(runner.run(Sleeping, [0.0] * 2))
    begin = time.perf_counter()
    list(runner.run(Sleeping, [seconds] * tasks))
    wall = time.perf_counter() - begin
    runner.release()
    share = 1 - tasks * seconds / (2 * wall)
    print(f"scheduling {tasks} slabs of {seconds} s on two actors takes {share:.1%} of their time")


class Sleeping:
    """Takes as long as the task says."""

    def __call__(self, seconds: float) -> None:
        """Take them."""
        time.sleep(seconds)


def constant(work: Callable[[], None]) -> None:
    """Do something with the constant colour in the place of matching."""
    stand_ins = (
        (driver, "MatchSlab", ConstantMatch),
        (driver, "CountSlab", ConstantCount),
        (driver, "ColorSlab", ConstantColor),
        (assign, "DescribeSlices", ConstantDescriptions),
    )
    for module, name, stand_in in stand_ins:
        setattr(module, name, stand_in)
    try:
        work()
    finally:
        for module, name, _ in stand_ins:
            setattr(module, name, getattr(workers, name))


class SlabMemory(Silent):
    """Notes what the driver holds when the first slab is given out."""

    before_mb = 0.0

    def begin(self, stage: str, total: int) -> None:  # noqa: ARG002
        """Note it."""
        if stage == "match":
            self.before_mb = memory_mb()


def bench_slabs(folder: Path) -> None:
    """Measure the driver's memory over few and over many slabs."""
    person = make_phantom(1, region="head", spacing_mm=6.0)
    photographs = write_photographs(person, folder / "photographs", every_mm=60.0)
    small = (
        "transfer.look=paper",
        "store.slab_slices=1",
        "store.chunk=[1,8,8]",
        "store.smallest_side=20000",
    )
    settings = load_settings(None, [*_SMALL, *small])
    runner = RayRunner("auto", 2)
    for slabs in (100, 10_000):
        body = np.zeros((8, 8, slabs), np.int16)
        body[2:6, 2:6] = 500
        scan, output = folder / f"{slabs}.nii", folder / f"{slabs}.ome.zarr"
        nib.save(nib.Nifti1Image(body, np.eye(4)), scan)
        begin, memory = time.perf_counter(), SlabMemory()
        report = medcolor.colorize_volume(
            scan, photographs, output, settings=settings, runner=runner, progress=memory
        )
        took, grown = time.perf_counter() - begin, memory_mb() - memory.before_mb
        print(f"  {report.slabs_done} slabs: {took:.0f} s, driver {grown:+.0f} MB over its slabs")
    runner.release()


def bench_body(folder: Path) -> None:
    """Run a body, and run it again."""
    write_body(folder / "body.nii", 1878)
    write_photographs(
        make_phantom(1, region="head", spacing_mm=6.0), folder / "photographs", every_mm=60.0
    )
    settings = load_settings(None, ["compute.device=cpu", "volume.window=[-350,650]"])
    runner = RayRunner("auto", 2)
    for name in ("a body", "again"):
        begin = time.perf_counter()
        report = medcolor.colorize_volume(
            folder / "body.nii",
            folder / "photographs",
            folder / "body.ome.zarr",
            settings=settings,
            runner=runner,
        )
        model_s = report.stage_seconds.get("model", 0.0)
        done = f"{report.slabs_done} slabs written, {report.slabs_kept} kept, model {model_s:.0f} s"
        print(
            f"  {name}: {done}, {len(report.failures)} failed, {time.perf_counter() - begin:.0f} s"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"  driver {memory_mb():.0f} MB, {peak_mb:.0f} MB at its most")
    runner.release()


def bench_cohort(folder: Path, count: int = 200) -> None:
    """Run a cohort, run it again, and with one changed."""
    write_photographs(
        make_phantom(1, region="head", spacing_mm=5.0), folder / "photographs", every_mm=20.0
    )
    (folder / "scans").mkdir()
    for seed in range(count):
        write_head(folder / "scans" / f"{seed:03}.nii", 2 + seed, 16, 8.0, 64)
    settings = load_settings(None, [*_SMALL, "store.slab_slices=16", "store.chunk=[16,32,32]"])
    runner = RayRunner("auto", 2)
    for name in ("a cohort", "again", "one changed"):
        if name == "one changed":
            write_head(folder / "scans" / "007.nii", 1000, 16, 8.0, 64)
        begin = time.perf_counter()
        report = medcolor.colorize_cohort(
            str(folder / "scans" / "*.nii"),
            folder / "photographs",
            folder / "cohort",
            settings=settings,
            runner=runner,
        )
        counts = str(report).splitlines()[0].partition(": ")[2]
        print(f"  {name}: {counts}, {time.perf_counter() - begin:.0f} s")
    runner.release()


def main() -> None:
    """Run the parts that are asked for."""
    wanted = sys.argv[1:] or ["actors", "slabs", "body", "cohort"]
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    parts: dict[str, Callable[[Path], None]] = {
        "actors": bench_actors,
        "slabs": lambda folder: constant(lambda: bench_slabs(folder)),
        "body": lambda folder: constant(lambda: bench_body(folder)),
        "cohort": bench_cohort,
    }
    for name in wanted:
        if not ray.is_initialized():
            ray.init(
                address="local", num_cpus=4, include_dashboard=False, logging_level=logging.WARNING
            )
        with tempfile.TemporaryDirectory() as folder:
            print(name, flush=True)
            parts[name](Path(folder))
            if name == "actors":
                bench_overhead()


if __name__ == "__main__":
    main()
