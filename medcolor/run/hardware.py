"""A worker's process on its GPU: the card the run began with, its order of sums, its memory."""

from __future__ import annotations

import logging
import math
from functools import lru_cache

import torch

from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.gpu import compute_repeatably

_log = logging.getLogger(__name__)
_ANY_CARD = "any"
_CONTEXT_BYTES = 640 << 20
"""Of a GPU's memory, taken by each process for CUDA itself and the libraries' handles: no tensor
lies there, so no allocator counts it. An estimate, as is all but torch's own share."""


def open_device(settings: RunSettings) -> torch.device:
    """Make this process ready to compute where a run does, and return where that is.

    Args:
        settings: With hardware resolved.

    Raises:
        InputError: This process has another GPU than the run began with, or too small a share.
    """
    compute = settings.compute
    if compute.device == "cuda":
        refuse_other_card(compute.card)
        compute_repeatably(tf32=settings.features.precision == "tf32")
        _take_share(compute.gpu_share)
    return torch.device(compute.device)


def refuse_other_card(card: str) -> None:
    """Raise InputError if this process has another GPU than the run began with."""
    here = torch.cuda.get_device_name()
    if card not in (_ANY_CARD, here):
        raise InputError(
            "compute.card",
            f"this GPU is a {here}, the run computes on {card}",
            "Use nodes of one model, or compute.card=any, where last digits may differ",
        )


def memory_share(gpu_share: float, total_bytes: int) -> float:
    """Return the share of a GPU's memory that the tensors of one of its workers may take.

    Args:
        gpu_share: Of the GPU, for each worker, in (0, 1].
        total_bytes: Memory of the GPU.

    Raises:
        InputError: Nothing is left beside what CUDA takes in every process.
    """
    neighbors = math.floor(1 / gpu_share + 1e-6)
    if neighbors == 1:
        return gpu_share
    share = gpu_share - _CONTEXT_BYTES / total_bytes
    if share <= 0:
        raise InputError(
            f"compute.gpu_share={gpu_share:g}",
            f"{neighbors} processes alone fill a GPU of {total_bytes / 2**30:.0f} GiB",
            "Set a larger share",
        )
    return share


@lru_cache(maxsize=1)
def _take_share(gpu_share: float) -> None:
    """Bound what torch allocates in this process, once, and say so."""
    total = int(torch.cuda.mem_get_info()[1])
    share = memory_share(gpu_share, total)
    torch.cuda.set_per_process_memory_fraction(share)
    found = share * total / 2**30, total / 2**30, torch.cuda.get_device_name()
    _log.info("GPU memory: at most %.1f of %.1f GiB of this %s", *found)


def gpu_limit_bytes(settings: RunSettings) -> int:
    """Return the GPU memory that tensors of this process may take; 0 without a GPU."""
    if settings.compute.device != "cuda":
        return 0
    total = int(torch.cuda.mem_get_info()[1])
    return int(memory_share(settings.compute.gpu_share, total) * total)
