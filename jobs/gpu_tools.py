"""What the sections of check_gpu.py share: telling, timing, and pictures to work on."""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import Generator

from medcolor.domain import SQUARE, ReferenceSlice, TargetSlice
from medcolor.features.extract import extract_pyramids
from medcolor.features.network import GrayVGG19, NetworkSpec, channels_last
from medcolor.features.settings import FeatureSettings
from medcolor.features.store import load_network
from medcolor.features.synthetic.bodies import BodySettings, random_bodies
from medcolor.features.synthetic.contrast import render_contrast
from medcolor.filters.settings import SmoothingSettings
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.settings import MatchingSettings
from medcolor.prepared import prepare_references
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.scan import ScanStatistics
from medcolor.transfer.settings import ModelSettings, OpacitySettings, TransferSettings
from medcolor.votes import Pair, vote_colors

REFERENCES = 3


def tell(**figures: object) -> None:
    """Print figures now: a section that is cut off has told what it found so far."""
    print(json.dumps(figures), flush=True)


def output_of(command: list[str]) -> str:
    """Return what a command prints; empty where it is absent."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def ceilings(device: torch.device) -> tuple[dict[str, float], float]:
    """Return TFLOP/s of matrix products by type, and GB/s of a copy (bytes read and written)."""
    side, length = (8192, 2**30) if device.type == "cuda" else (512, 2**24)
    products = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        seconds = event_ms(device, functools.partial(torch.mm, left, right), 5) / 1000
        products[str(dtype)[6:]] = round(2 * side**3 / seconds / 1e12, 4)
    source = torch.randint(0, 255, (length,), dtype=torch.uint8, device=device)
    other = torch.empty_like(source)
    seconds = event_ms(device, lambda: other.copy_(source), 5) / 1000
    return products, round(2 * length / seconds / 1e9, 1)


def event_ms(device: torch.device, action: Callable[[], object], repeats: int) -> float:
    """Return the median milliseconds of an action on the device, after two to warm up."""
    for _ in range(2):
        action()
    times = []
    for _ in range(repeats):
        if device.type == "cuda":
            begin, end = (torch.Event(device, enable_timing=True) for _ in range(2))
            begin.record()
            action()
            end.record()
            end.synchronize()
            times.append(float(begin.elapsed_time(end)))
        else:
            start = time.perf_counter()
            action()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def wall_ms(device: torch.device, action: Callable[[], object], repeats: int) -> float:
    """Return the median milliseconds by the clock until the device is done."""
    times = []
    for number in range(repeats + 2):
        begin = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number >= 2:
            times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


@dataclass(frozen=True)
class Pictures:
    """Synthetic people: one as a scan, another as photographs."""

    targets: list[TargetSlice]
    references: list[ReferenceSlice]

    def matched(self, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the first slices as the network sees them."""
        return [(one.matched_luminance, one.body) for one in self.targets[:count]]

    def of_several_shapes(self) -> Pictures:
        """Return the same, every second slice without its last columns."""
        cut = []
        for number, one in enumerate(self.targets):
            kept = slice(0, one.body.shape[1] - 20 * (number % 2))
            parts = one.luminance, one.matched_luminance, one.body
            grey, matched, body = (part[:, kept] for part in parts)
            cut.append(TargetSlice(grey, matched, body, one.z, grey, SQUARE))
        return Pictures(cut, self.references)


def pictures(size: int, slices: int, seed: int = 0) -> Pictures:
    """Draw slices of one person and photographs of another at neighbouring levels."""
    source = Generator().manual_seed(seed)
    levels = torch.linspace(0.35, 0.55, slices)
    near = levels[:: max(1, slices // REFERENCES)][:REFERENCES]
    body = BodySettings(human_share=1.0, scale=(0.9, 0.95))
    drawn = random_bodies(source, torch.cat([levels, near])[None, None], size, body)
    grey = render_contrast(source, drawn)[:, 0]
    inks = torch.stack([render_contrast(source, drawn[slices:])[:, 0] for _ in range(3)], -1)
    inside = (drawn > 0).numpy()
    scans = (grey.clamp(0, 1) * (drawn > 0)).numpy()
    targets = [
        TargetSlice(scans[z], scans[z], inside[z], z, scans[z], SQUARE) for z in range(slices)
    ]
    photographs = (255 * inks.clamp(0, 1)).round().to(torch.uint8).numpy()
    references = [
        ReferenceSlice(str(number), photographs[number], inside[slices + number])
        for number in range(REFERENCES)
    ]
    return Pictures(targets, references)


def statistics_of(drawn: Pictures, size: int) -> ScanStatistics:
    """Return what a run would find of the scan."""
    return measure_scan(
        [(one.values, one.body) for one in drawn.targets],
        (1.0, 1.0),
        size,
        window=(0.0, 1.0),
        is_hounsfield=False,
        air_below=0.0,
    )


def settings_of(size: int, matching: MatchingSettings | None = None) -> SimpleNamespace:
    """Return the product's settings, without the packages that read files of them."""
    return SimpleNamespace(
        features=FeatureSettings(working_size_px=size),
        matching=matching or MatchingSettings(),
        transfer=TransferSettings(),
        model=ModelSettings(photographic_below=0.0),
        smoothing=SmoothingSettings(),
        opacity=OpacitySettings(),
    )


def embedded(device: torch.device, dtype: torch.dtype) -> GrayVGG19:
    """Return the network of the package."""
    return load_network(dtype=dtype).module.to(device)


def full_width(device: torch.device, dtype: torch.dtype, width: float = 1.0) -> GrayVGG19:
    """Return a network of VGG-19's width with random weights: speed does not ask for others."""
    torch.manual_seed(0)
    spec = NetworkSpec(name="full", width=width, descriptor_size=8, input_scale=1.0)
    return channels_last(GrayVGG19(spec).requires_grad_(False)).to(device, dtype)


def pairs_of(
    network: GrayVGG19, drawn: Pictures, settings: SimpleNamespace, count: int
) -> list[Pair]:
    """Return the first slices, each with every photograph, ready to be matched."""
    finest = settings.matching.finest_features
    references = prepare_references(drawn.references, network, settings)
    targets = extract_pyramids(network, drawn.matched(count), finest)
    return [Pair(target, reference) for target in targets for reference in references]


@dataclass(frozen=True)
class Heard:
    """What one pair found and said, without the canvas around it."""

    position: np.ndarray
    lab: np.ndarray
    trust: np.ndarray

    def equals(self, other: Heard) -> bool:
        """Tell whether all bits are the same."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("position", "lab", "trust")
        )


def hear(network: GrayVGG19, pairs: Sequence[Pair], settings: SimpleNamespace) -> list[Heard]:
    """Match pairs at once and let them vote."""
    targets, references = ([getattr(p, n) for p in pairs] for n in ("target", "reference"))
    pyramids = [reference.pyramid for reference in references]
    found = match_coarse_to_fine(targets, pyramids, settings.matching, network)
    votes = vote_colors(found, pairs, settings.transfer).opened()
    positions = found.target_to_reference.position.cpu().numpy()
    shapes = [tuple(target.tissue.shape[1:]) for target in targets]
    return [
        Heard(position[:, :rows, :cols], said.lab[:, :rows, :cols], said.trust[:rows, :cols])
        for position, said, (rows, cols) in zip(positions, votes, shapes, strict=True)
    ]


def paper_settings(evaluations: int) -> MatchingSettings:
    """Return the paper's matching, with exact searches."""
    return MatchingSettings(leave_cost=0.0, tone_weight=0.0, deconvolution_evaluations=evaluations)
