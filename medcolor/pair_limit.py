"""How many pairs a GPU matches at once: what its memory holds, and what it turned out not to."""

from __future__ import annotations

import logging
import threading

import torch

from medcolor.features.network import GrayVGG19
from medcolor.matching.memory import pair_bytes
from medcolor.prepared import MatchedSettings

_log = logging.getLogger(__name__)

GPU_PAIRS = 24
"""Eight slices with three photographs each; `jobs/check_gpu.py pairs` times more and fewer."""


class PairLimit:
    """How many pairs are matched at once: as many as asked for, until memory does not hold them."""

    def __init__(self, pairs: int) -> None:
        """Begin with what should fit."""
        self.pairs = pairs
        self.halvings = 0
        self._lock = threading.Lock()

    def halve(self, tried: int) -> None:
        """Take half as many from now on as were tried without success."""
        with self._lock:
            self.pairs = max(1, min(self.pairs, tried // 2))
            self.halvings += 1
        _log.warning("GPU memory does not hold %d pairs at once: %d from now on", tried, self.pairs)


def pairs_at_once(
    network: GrayVGG19, settings: MatchedSettings, most: int = 0, share: float = 1.0
) -> int:
    """Return how many pairs are matched at once: one on a CPU, on a GPU what half of it holds.

    Args:
        network: Where it lies, pairs are matched.
        settings: Of the matching.
        most: So many at most; 0 for as many as make good use of a GPU.
        share: Of the GPU's memory that is ours, > 0.
    """
    if network.device.type == "cpu":
        return 1
    side = -(-settings.features.working_size_px // 16) * 16
    memory = share * torch.cuda.mem_get_info()[1] / 2  # the other half: photographs, network
    fitting = memory // pair_bytes(side, side, settings.matching)
    return max(1, min(int(fitting), most or GPU_PAIRS))
