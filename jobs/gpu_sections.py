"""The sections of check_gpu.py: each prints its figures as lines of JSON, as it finds them."""

from __future__ import annotations

import functools
import importlib.util
import platform
import shutil
import sysconfig
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_matching import kernels, pairs, stages
from gpu_tools import (
    Heard,
    ceilings,
    embedded,
    full_width,
    hear,
    output_of,
    pairs_of,
    paper_settings,
    pictures,
    settings_of,
    statistics_of,
    tell,
    wall_ms,
)
from torch import Generator

from medcolor import gpu
from medcolor.colorize import vote_on_slices
from medcolor.domain import SliceVotes, TargetSlice
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.features.training import TrainingSettings, draw_batches, train
from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.gpu import compute_repeatably, on_device
from medcolor.prepared import prepare_references
from medcolor.stopwatch import Stopwatch
from medcolor.transfer.ballot import Ballot, count_votes, learn_colors
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.looks import color_slice
from medcolor.votes import Pair

MAX_WRONG = {"fp32": 0.005, "tf32": 0.03}
"""Share of pixels whose match may differ from the CPU's: ties, and what rounding decides."""

MAX_DELTA_E = {"fp32": 0.3, "tf32": 1.0}
"""Mean CIE76 between the voted colours of both: the photographs' are of random contrast."""

MAX_LEVELS = 2.0
"""Of 255, by which the colours of both may differ, a thousandth of the pixels left out."""


def inventory(device: str, _size: int) -> None:
    """Say what machine this is."""
    wanted = "triton numba scipy safetensors jaxtyping cv2 pyarrow pydantic zarr ray pyvista"
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    tell(
        python=platform.python_version(),
        torch=torch.__version__,
        cudnn=str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        cores=len(__import__("os").sched_getaffinity(0)),
        compiler=shutil.which("gcc") or shutil.which("cc") or "none",
        python_header=header.exists(),
        packages=[name for name in wanted.split() if importlib.util.find_spec(name)],
        egl_nvidia="libEGL_nvidia" in output_of(["ldconfig", "-p"]),
    )
    if device == "cuda":
        about = torch.cuda.get_device_properties(0)
        tell(
            card=about.name,
            memory_gb=round(about.total_memory / 2**30, 1),
            multiprocessors=about.multi_processor_count,
            capability=f"{about.major}.{about.minor}",
            driver=output_of(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]),
            triton=__import__("triton").__version__,
        )
    product, copy = ceilings(torch.device(device))
    tell(**{f"product_{key}_tflops": value for key, value in product.items()}, copy_gb_s=copy)


def agreement(device: str, size: int) -> None:
    """Compare with the CPU at each precision, one by one with all at once, and runs with runs."""
    place, cpu = torch.device(device), torch.device("cpu")
    drawn, settings = pictures(size, 8).of_several_shapes(), settings_of(size)
    reference = embedded(cpu, torch.float32)
    pairs = pairs_of(reference, drawn, settings, 8)
    expected = hear(reference, pairs, settings)
    for label in ("fp32", "tf32"):
        compute_repeatably(tf32=label == "tf32")
        network = embedded(place, torch.float32)
        here = pairs_of(network, drawn, settings, 8)
        together = hear(network, here, settings)
        again = hear(network, pairs_of(network, drawn, settings, 8), settings)
        turned = hear(network, here[::-1], settings)[::-1]
        singly = [hear(network, [pair], settings)[0] for pair in here]
        alone = [
            one
            for target in drawn.targets
            for one in hear(
                network, pairs_of(network, replace(drawn, targets=[target]), settings, 1), settings
            )
        ]

        def work(_: int, n: GrayVGG19 = network, h: list[Pair] = here) -> list[Heard]:
            return on_device(place, lambda: hear(n, h, settings))

        with ThreadPoolExecutor(16) as pool:
            side_by_side = list(pool.map(work, range(16)))
        wrong, color = _differences(expected, together)
        tell(
            **{
                f"{label}_feature_error": _feature_errors(pairs[0], here[0]),
                f"{label}_matches_differ": wrong[0],
                f"{label}_matches_over_2px": wrong[1],
                f"{label}_delta_e": color,
                f"{label}_repeats": _same(together, again),
                f"{label}_in_any_order": _same(together, turned),
                f"{label}_pairs_equal_single": _same(together, singly),
                f"{label}_slices_equal_single": _same(together, alone),
                f"{label}_threads_equal": all(_same(together, one) for one in side_by_side),
            }
        )
        if wrong[0] > MAX_WRONG[label] or color > MAX_DELTA_E[label]:
            raise SystemExit(f"{label}: {wrong[0]:.4f} of matches differ, colours by {color:.3f}")
    _compare_smoother(place, size)


def _same(one: Sequence[Heard], other: Sequence[Heard]) -> bool:
    """Tell whether the pairs that are in both found and said the same, to the bit."""
    return all(a.equals(b) for a, b in zip(one, other, strict=False))


def _feature_errors(one: Pair, other: Pair) -> list[float]:
    """Return the relative difference of the features of each level."""
    errors = []
    for index, level in one.target.levels.items():
        found = other.target.levels[index].cpu().float()[:, : level.shape[1]]
        errors.append(round(float((found - level).norm() / level.norm()), 5))
    return errors


def _differences(
    expected: Sequence[Heard], found: Sequence[Heard]
) -> tuple[tuple[float, float], float]:
    """Return the share of matches that differ, at all and by over 2 px; and the mean CIE76."""
    off = np.concatenate(
        [
            np.abs(a.position - b.position).max(0).ravel()
            for a, b in zip(expected, found, strict=True)
        ]
    )
    color = np.concatenate(
        [
            np.linalg.norm(a.lab - b.lab, axis=0)[a.trust > 0]
            for a, b in zip(expected, found, strict=True)
        ]
    )
    shares = round(float((off > 0).mean()), 5), round(float((off > 2).mean()), 5)
    return shares, round(float(color.mean()), 4)


def _compare_smoother(device: torch.device, size: int) -> None:
    source = Generator().manual_seed(4)
    image = 100 * torch.rand(1, 3, size, size, generator=source)
    guide = (255 * torch.rand(1, size, size, generator=source)).round()
    wanted = smooth_batch(image.double(), guide.double(), 60.0, 5.0)
    found = smooth_batch(image.to(device), guide.to(device), 60.0, 5.0)
    tell(smoother_off=round(float((found.cpu().double() - wanted).abs().max()), 6))


def paper(device: str, size: int) -> None:
    """Time the paper's reconstruction with 50 evaluations, as a CUDA graph and plainly."""
    place = torch.device(device)
    on_gpu = place.type == "cuda"
    compute_repeatably(tf32=True)
    drawn = pictures(size, 8)
    drawn = replace(drawn, references=drawn.references[:1])
    matching = paper_settings(50 if on_gpu else 2)
    settings = settings_of(size, matching)
    for dtype in (torch.float32, torch.bfloat16) if on_gpu else (torch.float32,):
        network = full_width(place, dtype, 1.0 if on_gpu else 0.0625)
        some = pairs_of(network, drawn, settings, 8 if on_gpu else 2)
        found = {}
        cases = [("graph_one", 1, 2), ("graph", len(some), 2)]
        if dtype == torch.float32:
            cases.append(("plain", min(4, len(some)), 10**6))
        for label, count, plain in cases:
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            usual, gpu._PLAIN = gpu._PLAIN, plain
            work = functools.partial(hear, network, some[:count], settings)
            begin = time.perf_counter()
            found[label] = work()
            first_s = time.perf_counter() - begin
            time_ms = wall_ms(place, work, 1)
            gpu._PLAIN = usual
            name = f"{str(dtype)[6:]}_{label}"
            figures = {"first_s": round(first_s, 2), "ms_a_slice": round(time_ms / count, 1)}
            peak = torch.cuda.max_memory_allocated() // 2**20 if on_gpu else 0
            tell(**{name: figures | {"peak_mb": peak, "repeats": _same(found[label], work())}})
        for label, said in found.items():
            tell(**{f"{str(dtype)[6:]}_{label}_equals_graph": _same(found["graph"], said)})


def color(device: str, size: int) -> None:
    """Colour slices by a model here and on the CPU; say how far they differ, and the time."""
    place, cpu = torch.device(device), torch.device("cpu")
    drawn, settings = pictures(size, 8), settings_of(size)
    statistics, network = statistics_of(drawn, size), embedded(place, torch.float32)
    compute_repeatably(tf32=True)
    references = [(one, 1.0) for one in prepare_references(drawn.references, network, settings)]
    given = drawn.targets, [references] * len(drawn.targets), network, settings, statistics
    votes = list(vote_on_slices(*given, Stopwatch()))
    lattice = Lattice.over(len(votes), (1.0, 1.0, 1.0), statistics, settings.model)
    begin = time.perf_counter()
    model = learn_colors(votes, lattice, statistics, settings.model)
    tell(learning_s=round(time.perf_counter() - begin, 2), lattice=lattice.shape)
    there = model.to(place)
    off, repeats = [], []
    for target in drawn.targets:
        wanted, *found = (
            color_slice(target, here, None, settings, statistics, where).rgba.astype(np.int16)
            for here, where in ((model, cpu), (there, place), (there, place))
        )
        off.append(np.abs(wanted - found[0]))
        repeats.append(np.array_equal(found[0], found[1]))
    one, largest = drawn.targets[0], float(np.percentile(off, 99.9))
    tell(
        levels_of_255={"most": int(np.max(off)), "p99.9": largest, "mean": float(np.mean(off))},
        repeats=all(repeats),
        ms_a_slice=round(
            wall_ms(place, lambda: color_slice(one, there, None, settings, statistics, place), 5), 2
        ),
        cpu_ms_a_slice=round(
            wall_ms(cpu, lambda: color_slice(one, model, None, settings, statistics, cpu), 5), 2
        ),
        counting_ms_a_slice=round(
            wall_ms(place, lambda: _count(votes[:1], lattice, settings, there, place), 5), 2
        ),
        cpu_counting_ms_a_slice=round(
            wall_ms(cpu, lambda: _count(votes[:1], lattice, settings, model, cpu), 5), 2
        ),
    )
    counted = [_count(votes, lattice, settings, None, where).sums for where in (cpu, place)]
    tell(counts_equal=torch.equal(*counted))
    if largest > MAX_LEVELS:
        raise SystemExit(f"colours differ by {largest:g} of 255")


def _count(
    votes: Sequence[SliceVotes], lattice: Lattice, settings: Any, model: Any, device: torch.device
) -> Ballot:
    slices = range(votes[0].z, votes[-1].z + 1)
    given = lattice, model, settings.model, device
    return on_device(device, lambda: count_votes(votes, slices, *given))


def throughput(device: str, size: int) -> None:
    """Colour slices as a worker does, with more and more threads; say slices a second."""
    place = torch.device(device)
    dtype = torch.float32
    count, batch = (48, 8) if place.type == "cuda" else (4, 2)
    network, drawn, settings = embedded(place, dtype), pictures(size, count), settings_of(size)
    statistics = statistics_of(drawn, size)
    compute_repeatably(tf32=True)
    references = prepare_references(drawn.references, network, settings)
    batches = [drawn.targets[first : first + batch] for first in range(0, count, batch)]
    lattice = Lattice.over(count, (1.0, 1.0, 1.0), statistics, settings.model)

    def vote(targets: list[TargetSlice], stopwatch: Stopwatch) -> list[SliceVotes]:
        heard = [[(one, 1.0) for one in references]] * len(targets)
        return list(vote_on_slices(targets, heard, network, settings, statistics, stopwatch))

    first = vote(batches[0], Stopwatch())
    model = learn_colors(first, lattice, statistics, settings.model)
    there = model.to(place)

    def reconstruct(targets: list[TargetSlice]) -> Stopwatch:
        stopwatch = Stopwatch()
        votes = vote(targets, stopwatch)
        with stopwatch("counting"):
            for draft in (None, there):
                _count(votes, lattice, settings, draft, place)
        with stopwatch("transfer"):
            for target in targets:
                color_slice(target, there, None, settings, statistics, place)
        return stopwatch

    begin = time.perf_counter()
    reconstruct(batches[0])
    tell(first_batch_s=round(time.perf_counter() - begin, 2))
    for threads in (1, 4, 16) if place.type == "cuda" else (1, 2):
        begin = time.perf_counter()
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            watches = list(pool.map(reconstruct, batches))
        seconds = time.perf_counter() - begin
        stages_ms = {
            name: round(1000 * sum(one.seconds.get(name, 0.0) for one in watches) / count, 2)
            for name in watches[0].seconds
        }
        tell(
            **{
                f"threads_{threads}": {
                    "slices_a_second": round(count / seconds, 1),
                    "thread_ms_a_slice": stages_ms,
                }
            }
        )


def training(device: str, size: int) -> None:
    """Train for a while, batches drawn by processes of their own; the loss must fall."""
    on_gpu = device == "cuda"
    steps, workers = (400, 12) if on_gpu else (4, 1)
    spec = NetworkSpec(
        name="check",
        width=0.25 if on_gpu else 0.0625,
        descriptor_size=64,
        descriptor_taps=("relu3_1", "relu4_1"),
        descriptor_grid=5,
        input_scale=1.0,
        padding_mode="replicate",
    )
    settings = TrainingSettings(dense_steps=steps, report_every=max(1, steps // 10))
    if not on_gpu:
        settings = replace(settings, dense_sizes=((size, 2),), points=(48, 48, 32, 8))
    batches = 10 if on_gpu else 2
    settings = replace(settings, descriptor=replace(settings.descriptor, batches=batches))
    history: list[dict[str, float]] = []
    begin = time.perf_counter()

    def report(figures: dict[str, float]) -> None:
        history.append({**figures, "s": round(time.perf_counter() - begin, 1)})
        tell(training_last=history[-1])

    train(spec, settings, report, torch.device(device), workers)
    losses = [one["dense_loss"] for one in history if "dense_loss" in one]
    tell(first_loss=round(losses[0], 3), last_loss=round(losses[-1], 3))
    drawing = time.perf_counter()
    for number, _ in enumerate(draw_batches(settings, 0)):
        if number == 2:
            break
    tell(drawing_s_a_batch=round((time.perf_counter() - drawing) / 3, 3))
    if on_gpu and losses[-1] >= losses[0]:
        raise SystemExit(f"the loss did not fall: {losses}")


SECTIONS: dict[str, Callable[[str, int], None]] = {
    one.__name__: one
    for one in (
        inventory,
        agreement,
        pairs,
        stages,
        kernels,
        paper,
        color,
        throughput,
        training,
    )
}
