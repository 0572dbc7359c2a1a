"""What each filter of equation 1 costs a slice: `make bench`.

A 512 px guide, four channels of an image, one thread; the guide's own preparation included, as the
product makes a smoother for every slice. The batched smoother is the one GPUs use.
"""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import torch
from bench import median_seconds

from medcolor.filters.fast_global_smoother import smooth_batch
from medcolor.filters.settings import PAPER_FIGURE_6, SmoothingSettings
from medcolor.filters.smoothing import make_smoother
from medcolor.run.threads import one_thread_each

_SIZE_PX = 512


def smooth(guide: np.ndarray, image: np.ndarray, settings: SmoothingSettings) -> np.ndarray:
    """Make a smoother and use it."""
    return make_smoother(guide, settings)(image)


def main() -> None:
    """Print a line a filter and a JSON line for LOG.md."""
    random = np.random.default_rng(0)
    guide = random.random((_SIZE_PX, _SIZE_PX), np.float32)
    image = random.random((_SIZE_PX, _SIZE_PX, 4), np.float32)
    settings = {
        **PAPER_FIGURE_6,
        "domain-ic": SmoothingSettings(filter="domain-ic"),
        "domain-rf": SmoothingSettings(filter="domain-rf"),
        "fgs, ours": SmoothingSettings(),
    }
    figures = {}
    with one_thread_each():
        for name, chosen in settings.items():
            count = 1 if name == "wls" else 9
            seconds = median_seconds(partial(smooth, guide, image, chosen), count)
            figures[name] = round(1000 * seconds, 1)
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()
        levels = torch.from_numpy(255 * guide)[None]
        seconds = median_seconds(lambda: smooth_batch(batch, levels, 60.0, 5.0), 5)
        figures["fgs, batched"] = round(1000 * seconds, 1)
    for name, milliseconds in figures.items():
        print(f"{name:14}{milliseconds:10.1f} ms")
    print(json.dumps({"size_px": _SIZE_PX, "filters_ms": figures}))


if __name__ == "__main__":
    main()
