"""What a processor computes fast."""

from __future__ import annotations

import torch


def has_fast_bf16(device: str) -> bool:
    """Return whether `device` (cpu or cuda) multiplies bf16 matrices in hardware.

    CPUs need AMX tiles. Without them torch still computes, about 200 times slower than
    fp32 (LOG.md).
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)  # no public name in torch 2.13
    return bool(probe()) if probe is not None else False
