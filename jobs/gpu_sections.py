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
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from gpu_tools import (
    REFERENCES,
    Pictures,
    ceilings,
    embedded,
    event_ms,
    full_width,
    output_of,
    pictures,
    settings_of,
    tell,
    wall_ms,
)
from torch import Generator, Tensor

from medcolor.colorize import (
    PreparedReference,
    color_slice,
    prepare_reference,
    reconstruct_slices,
    vote_colors,
)
from medcolor.domain import TargetSlice
from medcolor.features.extract import FeaturePyramid, extract_pyramids
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.features.training import TrainingSettings, draw_batches, train
from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import Correspondence
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.window_torch import search_blocks as search_blocks_plainly
from medcolor.stopwatch import Stopwatch

MAX_WRONG = {"fp32": 0.005, "bf16": 0.12}
"""Share of pixels whose match may differ from the CPU's: ties, and what rounding decides."""

MAX_DELTA_E = {"fp32": 0.3, "bf16": 2.0}
"""Mean CIE76 between the voted colours of both: the photographs' are of random contrast."""


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
    """Compare with the CPU at each precision, one by one with batches, and runs with runs."""
    place, cpu = torch.device(device), torch.device("cpu")
    drawn, settings = pictures(size, 8), settings_of(size)
    reference_cpu = embedded(cpu, torch.float32)
    expected = _votes(reference_cpu, drawn, settings)
    expected_taps = extract_pyramids(reference_cpu, drawn.matched(8)).levels
    for label, dtype, tf32 in (
        ("fp32", torch.float32, False),
        ("fp32_tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        network = embedded(place, dtype)
        taps = extract_pyramids(network, drawn.matched(8)).levels
        errors = [
            round(float((a.cpu() - b).norm() / b.norm()), 5)
            for a, b in zip(taps, expected_taps, strict=True)
        ]
        together = _votes(network, drawn, settings)
        again = _votes(network, drawn, settings)
        singly = [_votes(network, replace(drawn, targets=[one]), settings) for one in drawn.targets]
        with ThreadPoolExecutor(16) as pool:
            side_by_side = list(
                pool.map(lambda _, n=network: _votes(n, drawn, settings), range(16))
            )
        wrong = float(np.mean((together.position != expected.position).any(1)))
        off = together.position - expected.position
        color = float(np.linalg.norm(together.lab - expected.lab, axis=-1)[expected.inside].mean())
        tell(
            **{
                f"{label}_feature_error": errors,
                f"{label}_matches_differ": round(wrong, 5),
                f"{label}_matches_over_2px": round(float((np.abs(off).max(1) > 2).mean()), 5),
                f"{label}_delta_e": round(color, 4),
                f"{label}_repeats": together == again,
                f"{label}_batch_equals_single": together == _Votes.joined(singly),
                f"{label}_threads_equal": all(together == one for one in side_by_side),
            }
        )
        if not tf32 and (wrong > MAX_WRONG[label] or color > MAX_DELTA_E[label]):
            raise SystemExit(f"{label}: {wrong:.4f} of matches differ, colours by {color:.3f}")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    _compare_kernel(place, size)
    _compare_smoother(place, size)


@dataclass(frozen=True, eq=False)
class _Votes:
    """What one photograph gives slices."""

    position: np.ndarray
    lab: np.ndarray
    inside: np.ndarray

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Votes)
            and np.array_equal(self.position, other.position)
            and np.array_equal(self.lab, other.lab)
        )

    __hash__ = None  # type: ignore[assignment]

    @staticmethod
    def joined(parts: Sequence[_Votes]) -> _Votes:
        """Return the votes of slices that were matched one by one."""
        fields = ("position", "lab", "inside")
        return _Votes(*(np.concatenate([getattr(p, name) for p in parts]) for name in fields))


def _votes(network: GrayVGG19, drawn: Pictures, settings: SimpleNamespace) -> _Votes:
    reference = prepare_reference(drawn.references[0], network, settings.features)
    pyramid = extract_pyramids(network, drawn.matched(len(drawn.targets)))
    found = match_coarse_to_fine(pyramid, reference.pyramid, settings.matching)
    lab, _, trust = vote_colors(found, pyramid, reference, settings.transfer)
    return _Votes(found.target_to_reference.position.cpu().numpy(), lab, trust > 0)


def _compare_kernel(device: torch.device, size: int) -> None:
    """Compare the window search of this device with its twin in plain torch, on the CPU."""
    if device.type != "cuda":
        return
    from medcolor.matching.search import window_cost
    from medcolor.matching.window_triton import search_blocks

    source = Generator().manual_seed(3)
    rows, cols = size // 4 // 2 * 2, size // 4 // 2 * 2 - 6
    own, other = (
        torch.nn.functional.normalize(torch.randn(2, 64, rows, cols, generator=source), dim=1)
        for _ in range(2)
    )
    base = 2 * torch.stack(
        [
            torch.randint(0, n // 2, (2, rows // 2, cols // 2), generator=source)
            for n in (rows, cols)
        ],
        1,
    )
    masks = [torch.rand(2, rows, cols, generator=source) > 0.1 for _ in range(2)]
    cost = window_cost(3, torch.tensor([0.001, 0.01]))
    position, score = search_blocks(
        own.to(device),
        other.to(device),
        base.to(device),
        masks[0].to(device),
        masks[1].to(device),
        cost.to(device),
        3,
    )
    wanted, wanted_score = search_blocks_plainly(own, other, base, masks[0], masks[1], cost, 3)
    tell(
        kernel_differs=round(float((position.cpu() != wanted).any(1).float().mean()), 6),
        kernel_score_off=round(float((score.cpu() - wanted_score).abs().max()), 6),
    )


def _compare_smoother(device: torch.device, size: int) -> None:
    source = Generator().manual_seed(4)
    image = 100 * torch.rand(1, 3, size, size, generator=source)
    guide = (255 * torch.rand(1, size, size, generator=source)).round()
    wanted = smooth_batch(image.double(), guide.double(), 60.0, 5.0)
    found = smooth_batch(image.to(device), guide.to(device), 60.0, 5.0)
    tell(smoother_off=round(float((found.cpu().double() - wanted).abs().max()), 6))


def stages(device: str, size: int) -> None:
    """Time each stage on the device, beside the floor that its work has by the ceilings."""
    place = torch.device(device)
    product, copy = ceilings(place)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    tflops = product["bfloat16" if place.type == "cuda" else "float32"]
    drawn, settings = pictures(size, 24 if place.type == "cuda" else 3), settings_of(size)
    widths = (1.0, 0.25) if place.type == "cuda" else (0.25,)
    for width in widths:
        network = full_width(place, dtype, width)
        reference = prepare_reference(drawn.references[0], network, settings.features)
        for batch in (1, 3, 8, 24) if place.type == "cuda" else (1, 3):
            if place.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            rows = _time_stages(network, drawn.matched(batch), reference, settings)
            if place.type == "cuda":
                peak = torch.cuda.max_memory_allocated() // 2**20
                tell(**{f"width_{width:g}_batch_{batch}_peak_mb": peak})
            rows["floor_network"] = 1000 * _network_flops(network, size, batch) / tflops / 1e12
            per = {name: round(value / batch, 3) for name, value in rows.items()}
            tell(**{f"width_{width:g}_batch_{batch}_ms_a_slice": per})
    image = torch.rand(1, 4, size, size, device=place)
    guide = torch.rand(1, size, size, device=place)
    smoother = functools.partial(smooth_batch, image, guide, 60.0, 5.0)
    tell(
        smoother_ms=round(event_ms(place, smoother, 10), 3),
        smoother_floor_ms=round(1000 * 2 * image.nbytes / copy / 1e9, 4),
    )


def _time_stages(
    network: GrayVGG19,
    images: list[tuple[np.ndarray, np.ndarray]],
    reference: PreparedReference,
    settings: SimpleNamespace,
) -> dict[str, float]:
    """Return milliseconds of a batch by stage: on the device, and by the clock (launching)."""
    place = network.device
    batch = np.stack([np.where(body, grey, 0) for grey, body in images]).astype(np.float32)
    batch_there = torch.from_numpy(batch)[:, None].to(place)
    pyramid = extract_pyramids(network, images)
    found = match_coarse_to_fine(pyramid, reference.pyramid, settings.matching)
    marks: list[tuple[str, Callable[[], object]]] = [
        ("network", lambda: network(batch_there)),
        ("extract", lambda: extract_pyramids(network, images)),
        ("match", lambda: match_coarse_to_fine(pyramid, reference.pyramid, settings.matching)),
        ("vote", lambda: vote_colors(found, pyramid, reference, settings.transfer)),
    ]
    rows: dict[str, float] = {}
    with torch.no_grad():
        for name, action in marks:
            rows[name] = event_ms(place, action, 5)
            rows[f"{name}_wall"] = wall_ms(place, action, 5)
        rows |= _level_times(pyramid, reference.pyramid, settings.matching)
    return rows


def _level_times(
    target: FeaturePyramid, reference: FeaturePyramid, settings: MatchingSettings
) -> dict[str, float]:
    """Return the milliseconds of the window search alone at each level, one direction."""
    from medcolor.matching.search import search_window

    device = target.luminance.device
    rows: dict[str, float] = {}
    shared = reference.repeat(len(target.luminance))
    with device:
        for index in (3, 2, 1):
            own, other = target.levels[index], shared.levels[index]
            half = [size // 2 for size in own.shape[2:]]
            limit = torch.tensor(other.shape[2:]) // 2 - 1
            spot = torch.stack(
                torch.meshgrid(*(torch.arange(n) for n in half), indexing="ij")
            ).minimum(limit[:, None, None])
            base = spot.expand(len(own), 2, *half).contiguous()
            cost = torch.full((len(own),), 0.003)
            search = functools.partial(
                search_window,
                own,
                other,
                base,
                target.masks[index],
                shared.masks[index],
                radius_px=settings.radius_px[-1 - index],
                patch_px=3,
                leave_cost=cost,
            )
            rows[f"window_{index}"] = event_ms(device, search, 5)
    return rows


def _network_flops(network: GrayVGG19, size: int, batch: int) -> float:
    """Return the operations of the taps of a batch, by the shapes that the layers see."""
    total = 0.0

    def count(layer: torch.nn.Module, _inputs: object, output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        total_of.append(2.0 * weight[0].numel() * output.numel())

    total_of: list[float] = []
    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    network(torch.zeros(1, 1, size, size, device=network.device))
    for hook in hooks:
        hook.remove()
    total = sum(total_of)
    return total * batch


def kernels(device: str, size: int) -> None:
    """Say which kernels take the device's time, how many are launched, and how busy it is."""
    place = torch.device(device)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    network, drawn = embedded(place, dtype), pictures(size, 8)
    fast = settings_of(size)
    paper = settings_of(size, _paper(3))
    for label, settings, count in (("fast", fast, 8), ("paper", paper, 2)):
        reference = prepare_reference(drawn.references[0], network, settings.features)

        def work(
            s: SimpleNamespace = settings, r: PreparedReference = reference, n: int = count
        ) -> None:
            pyramid = extract_pyramids(network, drawn.matched(n))
            found = match_coarse_to_fine(pyramid, r.pyramid, s.matching, network)
            vote_colors(found, pyramid, r, s.transfer)

        tell(**{f"{label}_profile": _profile(place, work)})
    if place.type == "cuda":
        _time_graph(network, drawn, fast)


def _time_graph(network: GrayVGG19, drawn: Pictures, settings: SimpleNamespace) -> None:
    """Say what matching costs without launches: replayed as a CUDA graph."""
    reference = prepare_reference(drawn.references[0], network, settings.features)
    for batch in (1, 8):
        pyramid = extract_pyramids(network, drawn.matched(batch))

        def work(p: FeaturePyramid = pyramid) -> Correspondence:
            return match_coarse_to_fine(p, reference.pyramid, settings.matching, network)

        plain = work()
        figures = {"plain_ms": round(wall_ms(network.device, work, 10), 2)}
        try:
            stream = torch.Stream(network.device)
            with stream:
                work()
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                found = work()
            figures["graph_ms"] = round(wall_ms(network.device, graph.replay, 10), 2)
            same = torch.equal(
                plain.target_to_reference.position, found.target_to_reference.position
            )
            tell(**{f"graph_batch_{batch}": {**figures, "equal": same}})
        except RuntimeError as error:
            tell(**{f"graph_batch_{batch}": {**figures, "error": str(error)[:300]}})
            return


def _profile(device: torch.device, work: Callable[[], None]) -> dict[str, object]:
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    for _ in range(2):
        work()
    begin = time.perf_counter()
    with torch.profiler.profile(activities=activities) as profile:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
    wall = 1e6 * (time.perf_counter() - begin)
    events = profile.key_averages()
    busy = [one for one in events if one.self_device_time_total > 0]
    total = sum(one.self_device_time_total for one in busy)
    busy.sort(key=lambda one: -one.self_device_time_total)
    return {
        "operators": sum(one.count for one in events if one.key.startswith("aten::")),
        "kernels": sum(one.count for one in busy),
        "device_ms": round(total / 1000, 2),
        "wall_ms_profiled": round(wall / 1000, 2),
        "top": [
            [one.key[:60], one.count, round(one.self_device_time_total / 1000, 3)]
            for one in busy[:15]
        ],
    }


def _paper(evaluations: int) -> MatchingSettings:
    return MatchingSettings(leave_cost=0.0, tone_weight=0.0, deconvolution_evaluations=evaluations)


def paper(device: str, size: int) -> None:
    """Time the paper's reconstruction with 50 evaluations, and the memory it takes."""
    place = torch.device(device)
    drawn = pictures(size, 3)
    evaluations = 50 if place.type == "cuda" else 2
    matching = _paper(evaluations)
    cases = [("bf16", torch.bfloat16), ("fp32", torch.float32)]
    for label, dtype in cases if place.type == "cuda" else cases[1:]:
        network = full_width(place, dtype, 1.0 if place.type == "cuda" else 0.0625)
        settings = settings_of(size, matching)
        reference = prepare_reference(drawn.references[0], network, settings.features)
        for batch in (1, 3):
            pyramid = extract_pyramids(network, drawn.matched(batch))
            work = functools.partial(
                match_coarse_to_fine, pyramid, reference.pyramid, matching, network
            )
            tell(**{f"{label}_batch_{batch}": _time_paper(place, work, batch)})


def _time_paper(
    device: torch.device, work: Callable[[], Correspondence], batch: int
) -> dict[str, object]:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found: list[Correspondence] = []
    time_ms = wall_ms(device, lambda: found.append(work()), 1)
    first = found[0].target_to_reference
    return {
        "ms_a_slice": round(time_ms / batch, 1),
        "peak_mb": torch.cuda.max_memory_allocated() // 2**20 if device.type == "cuda" else 0,
        "repeats": all(torch.equal(first.position, x.target_to_reference.position) for x in found),
        "finite": bool(torch.isfinite(found[0].confidence).all()),
        "mean_similarity": round(float(first.similarity.float().mean()), 4),
    }


def throughput(device: str, size: int) -> None:
    """Colour slices as a worker does, with more and more threads; say slices a second."""
    place = torch.device(device)
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    count, batch = (48, 8) if place.type == "cuda" else (4, 2)
    network, drawn, settings = embedded(place, dtype), pictures(size, count), settings_of(size)
    references = [prepare_reference(one, network, settings.features) for one in drawn.references]
    batches = [drawn.targets[first : first + batch] for first in range(0, count, batch)]

    def reconstruct(targets: list[TargetSlice]) -> Stopwatch:
        stopwatch = Stopwatch()
        weights = [[1.0] * REFERENCES] * len(targets)
        made = reconstruct_slices(targets, references, weights, network, settings, stopwatch)
        whole = {one.z: one for one in made}
        with stopwatch("transfer"):
            for target in targets:
                color_slice(target, whole.get(target.z), settings, place)
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
    settings = replace(settings, descriptor=replace(settings.descriptor, batches=10))
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
    for one in (inventory, agreement, stages, kernels, paper, throughput, training)
}
