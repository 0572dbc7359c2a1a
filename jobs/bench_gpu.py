"""What matching costs on a GPU: `make bench-gpu`.

Full-width topology with random weights (speed does not ask for trained ones), fast and paper with
50 evaluations; slices one by one, and in batches as the product runs them. Needs what the numeric
core needs (ARCHITECTURE.md). `--device cpu --size 64 --width 0.0625` tries the script itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from medcolor.features.extract import extract_pyramid, extract_pyramids
from medcolor.features.network import GrayVGG19, NetworkSpec, channels_last
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.settings import MatchingSettings

_ASKED_MS = {"fast": 10.0, "paper": 400.0}


def textured_body(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return grey and mask of an ellipse filled with smooth noise."""
    source = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, size // 8, size // 8, generator=source)
    grey = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")[0, 0]
    line = torch.linspace(-1, 1, size)
    mask = (line[:, None] / 0.95) ** 2 + (line / 0.8) ** 2 < 1
    return (grey.clamp(0, 1) * mask).numpy(), mask.numpy()


def milliseconds(
    network: GrayVGG19, settings: MatchingSettings, size: int, batch: int, batches: int
) -> list[float]:
    """Return the time of a slice in each batch, features included, without the first batch."""
    reference = extract_pyramid(network, *textured_body(size, 0))
    times = []
    for number in range(batches + 1):
        pictures = [textured_body(size, 1 + number * batch + one) for one in range(batch)]
        begin = time.perf_counter()
        target = extract_pyramids(network, pictures)
        match = match_coarse_to_fine(target, reference, settings, network)
        if network.device.type == "cuda":
            torch.cuda.synchronize(network.device)
        times.append(1000 * (time.perf_counter() - begin) / batch)
        if not bool(torch.isfinite(match.confidence).all()):
            raise RuntimeError("a match is not finite: the figures would mean nothing")
    return times[1:]


def main() -> None:
    """Print one line a setting and a JSON line for LOG.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--width", type=float, default=1.0)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("bench-gpu: torch sees no GPU; run it on a machine with one")
    torch.manual_seed(0)
    spec = NetworkSpec(name="full", width=options.width, descriptor_size=8)
    network = channels_last(GrayVGG19(spec).requires_grad_(False)).to(device)
    if device.type == "cuda":
        network.to(torch.bfloat16)
    fast = MatchingSettings()
    paper = replace(fast, leave_cost=0.0, tone_weight=0.0, deconvolution_evaluations=50)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    figures: dict[str, object] = {"device": name, "size": options.size, "width": options.width}
    for label, settings in (("fast", fast), ("paper", paper)):
        for batch in (1, options.batch):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            times = milliseconds(network, settings, options.size, batch, options.batches)
            key = f"{label}_{batch}"
            figures[f"{key}_ms"] = round(statistics.median(times), 2)
            print(
                f"{label:6}{batch:3} at once{figures[f'{key}_ms']:10} ms a slice "
                f"(asked {_ASKED_MS[label]:g})"
            )
            if device.type == "cuda":
                figures[f"{key}_peak_mb"] = torch.cuda.max_memory_allocated(device) // 2**20
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
