"""What matching one pair costs, stage by stage, beside the floor of the machine: `make bench`.

Times are those of one thread, medians of a few, both directions, the reference's features at
hand. The floor of a stage is the larger of its multiplications at the rate of a 2048-cube
float32 product and of its bytes at the rate of a copy, both measured in the same run on the
same thread. Multiplications are counted once where patches share them, inside the body alone.
The last lines give what several slices side by side cost a slice, as the product runs them,
in products on as many threads.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
import typer
from bench import PRODUCT_FLOPS, median_seconds, product_seconds

from medcolor.body import bounding_box, resize, resize_mask, working_shape
from medcolor.color import grey_of
from medcolor.config import load_settings
from medcolor.evaluate.features.pairs import matched_scan, phantom_tissue
from medcolor.features.extract import FeaturePyramid, extract_pyramid
from medcolor.features.network import LEVEL_NAMES, STAGES, GrayVGG19, NetworkSpec, channels_last
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.settings import MatchingSettings
from medcolor.phantom import make_phantom, render_cryosection, render_ct
from medcolor.run.plan import open_network
from medcolor.run.threads import map_slices, one_thread_each, usable_cores

_SIZES = (224, 448, 512)
_TONE_CHANNELS = 2

Picture = tuple[np.ndarray, np.ndarray]


def phantom_pair() -> tuple[Picture, Picture]:
    """Return grey and tissue of a CT slice of one phantom and a photograph of another."""
    pictures = []
    for seed in (1, 2):
        phantom = make_phantom(seed, region="head", spacing_mm=2.0)
        z = len(phantom.labels) // 2
        tissue = phantom_tissue(phantom, z)
        if seed == 1:
            grey = matched_scan(render_ct(phantom), 0.5)[z]
        else:
            grey = grey_of(render_cryosection(phantom)[z].astype(np.float32) / 255)
        pictures.append((grey, tissue))
    return pictures[0], pictures[1]


def at_size(picture: Picture, size: int) -> Picture:
    """Crop to the body and scale its long side, as the product does."""
    grey, tissue = picture
    box = bounding_box(tissue)
    if box is None:
        raise ValueError("an empty slice")
    shape = working_shape(box, size)
    small = resize(grey[box.slices].astype(np.float32), shape)
    return small, resize_mask(tissue[box.slices], shape)


def forward_flops(spec: NetworkSpec, pixels: int, start: int, stop: int) -> float:
    """Return the operations from tap `start` (-1: the image) to tap `stop`."""
    channels, total = spec.channels(), 0.0
    for stage in range(max(start, 0), stop + 1):
        cells = pixels / 4**stage
        before = channels[stage - 1] if stage else 1
        if stage > start:
            total += 2 * 9 * cells * before * channels[stage]
        if stage < stop:
            total += 2 * 9 * cells * channels[stage] ** 2 * (STAGES[stage][1] - 1)
    return total


def level_cost(
    target: FeaturePyramid, reference: FeaturePyramid, index: int, settings: MatchingSettings
) -> tuple[float, float]:
    """Return operations and bytes of the search of one level, both directions."""
    channels = target.levels[index].shape[1]
    cells, cells2 = (float(p.masks[index].sum()) for p in (target, reference))
    if index == len(LEVEL_NAMES) - 1:
        pairs = cells * cells2
    else:
        pairs = (cells + cells2) * (2 * settings.radius_px[-1 - index] + 1) ** 2
        channels += _TONE_CHANNELS
    # Features of both are read in each direction; positions (8 + 8) and scores (4) written.
    return 2 * pairs * channels, (cells + cells2) * (2 * 4 * channels + 20)


def level_seconds(
    target: FeaturePyramid, reference: FeaturePyramid, settings: MatchingSettings
) -> list[float]:
    """Return the seconds of each level, coarse to fine; tone included."""
    runs = []
    for _ in range(6):
        marks = [time.perf_counter()]
        match_coarse_to_fine(
            target,
            reference,
            settings,
            watch=lambda *_, marks=marks: marks.append(time.perf_counter()),
        )
        runs.append(np.diff(marks))
    return [float(seconds) for seconds in np.median(runs[1:], axis=0)]


def stages(
    network: GrayVGG19, settings: MatchingSettings, scan: Picture, photograph: Picture
) -> list[tuple[str, float, float, float]]:
    """Return name, seconds, operations and bytes of each stage of a slice, on one thread."""
    with one_thread_each():
        reference, target = (extract_pyramid(network, *p) for p in (photograph, scan))
        seconds = median_seconds(lambda: extract_pyramid(network, *scan))
        taken = level_seconds(target, reference, settings)
    flops = forward_flops(network.spec, target.luminance.numel(), -1, 4)
    result = [("features", seconds, flops, 4.0 * sum(level.numel() for level in target.levels))]
    for spent, index in zip(taken, range(4, 4 - len(taken), -1), strict=True):
        cost = level_cost(target, reference, index, settings)
        result.append((LEVEL_NAMES[index], spent, *cost))
    return result


def seconds_side_by_side(
    network: GrayVGG19,
    settings: MatchingSettings,
    scan: Picture,
    photograph: Picture,
    threads: int,
) -> float:
    """Return the wall seconds a slice of several slices at once, a thread each."""
    reference = extract_pyramid(network, *photograph)

    def one(_: int) -> None:
        match_coarse_to_fine(extract_pyramid(network, *scan), reference, settings)

    count = 4 * threads
    return median_seconds(lambda: map_slices(one, range(count), threads), 3) / count


def main(
    full_width: Annotated[
        bool, typer.Option(help="Also paper's reconstruction at full width, 224 px (minutes).")
    ] = False,
) -> None:
    """Print a table a size and a JSON line for LOG.md."""
    settings = load_settings(None, ["features.precision=fp32"])
    network = open_network(settings).module
    scan, photograph = phantom_pair()
    threads = usable_cores()
    product, together = product_seconds(), product_seconds(threads)
    block, other = torch.rand(2**26), torch.rand(2**26)
    with one_thread_each():
        copied = 2 * 4 * len(block) / median_seconds(lambda: other.copy_(block))
    rate = PRODUCT_FLOPS / product
    print(f"one thread: {rate / 1e9:.0f} GF/s, {copied / 1e9:.1f} GB/s; ", end="")
    print(f"a product takes {1000 * product:.0f} ms, {1000 * together:.0f} on {threads} threads")
    figures: dict[str, object] = {"product_ms": round(1000 * product, 1)}
    for size in _SIZES:
        pair = at_size(scan, size), at_size(photograph, size)
        print(f"\n{size} px        ms     GF     MB  floor ms  ratio")
        total = 0.0
        for name, seconds, flops, moved in stages(network, settings.matching, *pair):
            floor = max(flops / rate, moved / copied)
            total += seconds
            print(
                f"{name:9}{1000 * seconds:7.1f}{flops / 1e9:7.2f}{moved / 1e6:7.1f}"
                f"{1000 * floor:10.2f}{seconds / floor:7.1f}"
            )
        a_slice = seconds_side_by_side(network, settings.matching, *pair, threads)
        print(
            f"together {1000 * total:6.1f}; {threads} side by side "
            f"{1000 * a_slice:.1f} a slice, {a_slice / together:.2f} products"
        )
        figures[f"slice_ms_{size}"] = round(1000 * total, 1)
        figures[f"in_products_{size}"] = round(a_slice / together, 2)
    figures |= reconstruction(settings.matching, network, scan, photograph, rate)
    if full_width:
        torch.manual_seed(0)
        spec = NetworkSpec(name="full", descriptor_size=8)
        wide = channels_last(GrayVGG19(spec).requires_grad_(False))
        figures |= reconstruction(settings.matching, wide, scan, photograph, rate)
    print(json.dumps(figures))


def reconstruction(
    settings: MatchingSettings,
    network: GrayVGG19,
    scan: Picture,
    photograph: Picture,
    rate: float,
) -> dict[str, float]:
    """Time the reconstructions of A' and B with 50 evaluations at 224 px, one thread."""
    evaluations = 50
    deep = replace(settings, deconvolution_evaluations=evaluations)
    with one_thread_each():
        both = [extract_pyramid(network, *at_size(p, 224)) for p in (scan, photograph)]
        begin = time.perf_counter()
        match_coarse_to_fine(both[0], both[1], deep, network)
        seconds = time.perf_counter() - begin - sum(level_seconds(both[0], both[1], settings))
    flops = 0.0
    for pyramid in both:
        for top in range(4, 0, -1):
            ahead = forward_flops(
                network.spec, pyramid.luminance.numel(), max(-1, top - deep.deconvolution_jump), top
            )
            flops += 2 * evaluations * ahead  # there, and the gradient back
    floor = flops / rate
    print(
        f"\nreconstruction, {network.spec.name}, 224 px, {evaluations} evaluations: "
        f"{seconds:.1f} s, {flops / 1e12:.2f} TF, floor {floor:.1f} s, ratio {seconds / floor:.2f}"
    )
    return {f"reconstruction_ratio_{network.spec.name}": round(seconds / floor, 2)}


if __name__ == "__main__":
    typer.run(main)
