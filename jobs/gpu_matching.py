"""The sections of check_gpu.py that look at matching and voting: what they cost, and what of it."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from gpu_tools import (
    ceilings,
    embedded,
    event_ms,
    full_width,
    hear,
    pairs_of,
    paper_settings,
    pictures,
    settings_of,
    tell,
    wall_ms,
)
from torch import Tensor

from medcolor.features.extract import extract_pyramids
from medcolor.features.network import GrayVGG19
from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.gpu import compute_repeatably
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import Correspondence
from medcolor.matching.settings import MatchingSettings
from medcolor.votes import Pair, vote_colors

_WARPS = (1, 2, 4, 8)
_CHUNKS = (16, 32, 64)
_PROGRAMS = (1024, 4096, 16384)


def pairs(device: str, size: int) -> None:
    """Say what matching and voting cost a slice with three photographs, by pairs at once."""
    place = torch.device(device)
    on_gpu = place.type == "cuda"
    compute_repeatably(tf32=True)
    dtype = torch.float32
    settings = settings_of(size)
    for width in (1.0, 0.25) if on_gpu else (0.25,):
        network = full_width(place, dtype, width)
        drawn = pictures(size, 16 if on_gpu else 3).of_several_shapes()
        every = pairs_of(network, drawn, settings, len(drawn.targets))
        for count in (3, 6, 12, 24, 48) if on_gpu else (3, 6):
            some = every[:count]
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            found = _match(some, settings.matching, network)
            rows = {
                "match": event_ms(
                    place, functools.partial(_match, some, settings.matching, network), 5
                ),
                "vote_and_fetch": wall_ms(
                    place,
                    functools.partial(_vote_and_fetch, found, some, settings),
                    5,
                ),
                "both_wall": wall_ms(place, functools.partial(hear, network, some, settings), 5),
            }
            per = {name: round(3 * value / count, 3) for name, value in rows.items()}
            peak = torch.cuda.max_memory_allocated() // 2**20 if on_gpu else 0
            tell(**{f"width_{width:g}_pairs_{count}_ms_a_slice": per | {"peak_mb": peak}})


def _match(some: Sequence[Pair], settings: MatchingSettings, network: GrayVGG19) -> Correspondence:
    targets = [pair.target for pair in some]
    references = [pair.reference.pyramid for pair in some]
    return match_coarse_to_fine(targets, references, settings, network)


def _vote_and_fetch(
    found: Correspondence, some: Sequence[Pair], settings: SimpleNamespace
) -> object:
    return vote_colors(found, some, settings.transfer).opened()


def stages(device: str, size: int) -> None:
    """Time the network and what is made of its taps, beside the floor by the ceilings."""
    place = torch.device(device)
    on_gpu = place.type == "cuda"
    compute_repeatably(tf32=True)
    product, copy = ceilings(place)
    dtype = torch.float32
    tflops = product["bfloat16" if on_gpu else "float32"]
    drawn = pictures(size, 8 if on_gpu else 3)
    for width in (1.0, 0.25) if on_gpu else (0.25,):
        network = full_width(place, dtype, width)
        for batch in (1, 8) if on_gpu else (3,):
            images = drawn.matched(batch)
            black = torch.zeros(batch, 1, size, size, device=place)
            rows = {
                "network": event_ms(place, functools.partial(_no_grad, network, black), 5),
                "extract": wall_ms(
                    place, functools.partial(extract_pyramids, network, images, 1), 5
                ),
                "floor_network": 1000 * _network_flops(network, size, batch) / tflops / 1e12,
            }
            per = {name: round(value / batch, 3) for name, value in rows.items()}
            tell(**{f"width_{width:g}_batch_{batch}_ms_a_slice": per})
    image = torch.rand(1, 4, size, size, device=place)
    guide = torch.rand(1, size, size, device=place)
    smoother = functools.partial(smooth_batch, image, guide, 60.0, 5.0)
    tell(
        smoother_ms=round(event_ms(place, smoother, 10), 3),
        smoother_floor_ms=round(1000 * 2 * image.nbytes / copy / 1e9, 4),
    )


@torch.no_grad()
def _no_grad(network: GrayVGG19, image: Tensor) -> object:
    return network(image)


def _network_flops(network: GrayVGG19, size: int, batch: int) -> float:
    """Return the operations of the taps of a batch, by the shapes that the layers see."""
    total_of: list[float] = []

    def count(layer: torch.nn.Module, _inputs: object, output: Tensor) -> None:
        weight = layer.get_parameter("weight")
        total_of.append(2.0 * weight[0].numel() * output.numel())

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, torch.nn.Conv2d)
    ]
    network(torch.zeros(1, 1, size, size, device=network.device))
    for hook in hooks:
        hook.remove()
    return sum(total_of) * batch


def kernels(device: str, size: int) -> None:
    """Say which kernels take the device's time, and how the window search is best launched."""
    place = torch.device(device)
    compute_repeatably(tf32=True)
    dtype = torch.float32
    network, drawn = embedded(place, dtype), pictures(size, 8).of_several_shapes()
    for label, matching, count in (
        ("fast", MatchingSettings(), 8),
        ("paper", paper_settings(3), 2),
    ):
        settings = settings_of(size, matching)
        references = pairs_of(network, drawn, settings, 1)[: 3 if label == "fast" else 1]

        def work(s: SimpleNamespace = settings, r: list[Pair] = references, n: int = count) -> None:
            targets = extract_pyramids(network, drawn.matched(n), s.matching.finest_features)
            hear(network, [Pair(t, one.reference) for t in targets for one in r], s)

        tell(**{f"{label}_profile": _profile(place, work)})
    if place.type == "cuda":
        settings = settings_of(size)
        some = pairs_of(network, drawn, settings, 8)
        _time_graph(network, some, settings.matching)
        for width in (0.25, 1.0):
            wide = full_width(place, dtype, width)
            _time_launches(wide, pairs_of(wide, drawn, settings, 8), settings.matching, width)


def _time_graph(network: GrayVGG19, every: Sequence[Pair], settings: MatchingSettings) -> None:
    """Say what matching would cost without launches: replayed as a CUDA graph."""
    from medcolor.matching.many_pairs import ManyPairs

    matching: Any = importlib.import_module("medcolor.matching.coarse_to_fine")
    for count in (3, 24):
        both = [(pair.target, pair.reference.pyramid) for pair in every[:count]]
        many = ManyPairs.of(both, settings, network)  # its table is copied, not captured

        def work(m: ManyPairs = many) -> Correspondence:
            found: Correspondence = matching._match(m, settings, None)
            return found

        plain = work()
        figures: dict[str, object] = {
            "plain_ms": round(wall_ms(network.device, work, 10), 2),
            "with_table_ms": round(
                wall_ms(
                    network.device,
                    functools.partial(_match, every[:count], settings, network),
                    10,
                ),
                2,
            ),
        }
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                found = work()
            figures["graph_ms"] = round(wall_ms(network.device, graph.replay, 10), 2)
            figures["equal"] = torch.equal(
                plain.target_to_reference.position, found.target_to_reference.position
            )
        except RuntimeError as error:
            figures["error"] = str(error)[:300]
        tell(**{f"graph_pairs_{count}": figures})


def _time_launches(
    network: GrayVGG19, some: Sequence[Pair], settings: MatchingSettings, width: float
) -> None:
    """Time matching with other warps, channels at a time and programs of the window search."""
    window: Any = importlib.import_module("medcolor.matching.window_triton")
    usual = window.WARPS, window.CHUNK, window.PROGRAMS
    work = functools.partial(_match, some, settings, network)
    times = {}
    tried = [(warps, usual[1], usual[2]) for warps in _WARPS]
    tried += [(usual[0], chunk, usual[2]) for chunk in _CHUNKS]
    tried += [(usual[0], usual[1], programs) for programs in _PROGRAMS]
    for warps, chunk, programs in dict.fromkeys(tried):
        window.WARPS, window.CHUNK, window.PROGRAMS = warps, chunk, programs
        key = f"warps {warps}, chunk {chunk}, programs {programs}"
        times[key] = round(event_ms(network.device, work, 5), 2)
        tell(**{f"width_{width:g}_window_ms_a_batch": times})
    window.WARPS, window.CHUNK, window.PROGRAMS = usual


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
