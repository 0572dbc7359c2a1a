"""How taps of the network become what is matched, on a GPU: Triton kernels.

Each is one pass over memory and reads the layout that the network writes (channels last). Sums
run over one cell alone, in an order that does not depend on how many images there are.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor import gpu

CHUNK = 16
"""Channels come in multiples of this, zeros added: what a tensor core multiplies at a time."""

_TILE = 4096
_CELLS = 128


def normalize(
    tap: Float[Tensor, "image channel row col"],
) -> tuple[Float[Tensor, "image padded row col"], Float[Tensor, "image row col"]]:
    """Return features of unit length in float16 with channels last, and their lengths."""
    images, channels, rows, cols = tap.shape
    tap = tap.contiguous(memory_format=torch.channels_last)
    padded = -(-channels // CHUNK) * CHUNK
    unit = torch.empty(images, rows, cols, padded, dtype=torch.float16, device=tap.device)
    length = torch.empty(images, rows, cols, dtype=torch.float32, device=tap.device)
    width = triton.next_power_of_2(padded)
    cells = max(1, _TILE // width)
    gpu.launch(
        _normalize,
        (triton.cdiv(length.numel(), cells),),
        tap,
        unit,
        length,
        length.numel(),
        CHANNELS=channels,
        PADDED=padded,
        WIDTH=width,
        CELLS=cells,
    )
    return unit.permute(0, 3, 1, 2), length


def cell_means(
    luminance: Float[Tensor, "image row col"], tissue: Bool[Tensor, "image row col"], levels: int
) -> tuple[list[Float[Tensor, "image _row _col"]], list[Bool[Tensor, "image _row _col"]]]:
    """Return for each level the mean luminance of the tissue in its cells, and which have any."""
    images, rows, cols = luminance.shape
    shapes = [(rows >> level, cols >> level) for level in range(levels)]
    total = sum(high * wide for high, wide in shapes)
    tone = torch.empty(images, total, dtype=torch.float32, device=luminance.device)
    mask = torch.empty(images, total, dtype=torch.bool, device=luminance.device)
    grid = triton.cdiv(rows * cols, _CELLS), levels, images
    gpu.launch(_means, grid, luminance, tissue, tone, mask, rows, cols, total, CELLS=_CELLS)

    def split(flat: Tensor) -> list[Tensor]:
        parts = torch.split(flat, [high * wide for high, wide in shapes], 1)
        return [part.view(images, *shape) for part, shape in zip(parts, shapes, strict=True)]

    return split(tone), split(mask)


@gpu.kernel("cells")
def _normalize(
    tap,
    unit,
    length,
    cells,
    CHANNELS: tl.constexpr,
    PADDED: tl.constexpr,
    WIDTH: tl.constexpr,
    CELLS: tl.constexpr,
) -> None:
    """Scale some cells."""
    cell = tl.program_id(0).to(tl.int64) * CELLS + tl.arange(0, CELLS)
    channel = tl.arange(0, WIDTH)
    inside = cell < cells
    value = tl.load(
        tap + cell[:, None] * CHANNELS + channel[None, :],
        mask=inside[:, None] & (channel < CHANNELS)[None, :],
        other=0.0,
    ).to(tl.float32)
    norm = tl.sqrt(tl.sum(value * value, axis=1))
    tl.store(length + cell, norm, mask=inside)
    tl.store(
        unit + cell[:, None] * PADDED + channel[None, :],
        (value / tl.maximum(norm, 1e-6)[:, None]).to(tl.float16),
        mask=inside[:, None] & (channel < PADDED)[None, :],
    )


@gpu.kernel("rows", "cols", "total")
def _means(luminance, tissue, tone, mask, rows, cols, total, CELLS: tl.constexpr) -> None:
    """Average some cells of one level of one image; finer levels lie before it in the output."""
    level, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    high, wide = rows >> level, cols >> level
    begin, finer = 0, 0
    while finer < level:
        begin += (rows >> finer) * (cols >> finer)
        finer += 1
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside = cell < high * wide
    corner = image * rows * cols + ((cell // wide) << level) * cols + ((cell % wide) << level)
    grey = tl.zeros((CELLS,), dtype=tl.float32)
    count = tl.zeros((CELLS,), dtype=tl.float32)
    stride = 1 << level
    step = stride * stride
    if tl.program_id(0) * CELLS < high * wide:  # coarser levels have fewer cells
        step = 0
    while step < stride * stride:
        at = corner + (step // stride) * cols + step % stride
        there = tl.load(tissue + at, mask=inside, other=0) != 0
        grey += tl.load(luminance + at, mask=inside & there, other=0.0)
        count += there.to(tl.float32)
        step += 1
    out = image * total + begin + cell
    tl.store(tone + out, grey / tl.maximum(count, 1.0), mask=inside)
    tl.store(mask + out, count > 0, mask=inside)
