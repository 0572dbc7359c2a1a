"""Beside the network's convolutions, on a GPU: Triton kernels.

Each is one pass over memory and reads the layout that the network writes (channels last). Sums
run over one cell alone, in an order that does not depend on how many images there are.
"""

from __future__ import annotations

from typing import Any

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


class ReplicatePad(torch.autograd.Function):
    """A frame of one pixel that repeats the border.

    torch's own loses channels last, and adds up gradients in any order.
    """

    @staticmethod
    def forward(_context: Any, signal: Tensor) -> Tensor:
        """Return the framed signal."""
        images, channels, rows, cols = signal.shape
        return _move(_frame, signal, (images, channels, rows + 2, cols + 2))

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        """Add what came to the frame to the border that it repeats."""
        images, channels, rows, cols = gradient.shape
        return _move(_unframe, gradient, (images, channels, rows - 2, cols - 2))


def _move(kernel: Any, source: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Make a tensor of another with one pixel more or less on each side, channels last."""
    source = source.contiguous(memory_format=torch.channels_last)
    images, channels, rows, cols = shape
    made = torch.empty(
        shape, dtype=source.dtype, device=source.device, memory_format=torch.channels_last
    )
    width = triton.next_power_of_2(channels)
    cells, count = max(1, _TILE // width), images * rows * cols
    grid = (triton.cdiv(count, cells),)
    gpu.launch(
        kernel, grid, source, made, rows, cols, count, CHANNELS=channels, WIDTH=width, CELLS=cells
    )
    return made


@gpu.kernel("rows", "cols", "count")
def _frame(
    source,
    made,
    rows,
    cols,
    count,
    CHANNELS: tl.constexpr,
    WIDTH: tl.constexpr,
    CELLS: tl.constexpr,
) -> None:
    """Copy some cells of a framed image."""
    cell = tl.program_id(0).to(tl.int64) * CELLS + tl.arange(0, CELLS)
    channel = tl.arange(0, WIDTH)
    inside = (cell < count)[:, None] & (channel < CHANNELS)[None, :]
    image, row, col = cell // (rows * cols), (cell // cols) % rows, cell % cols
    row = tl.minimum(tl.maximum(row - 1, 0), rows - 3)
    col = tl.minimum(tl.maximum(col - 1, 0), cols - 3)
    at = (image * (rows - 2) + row) * (cols - 2) + col
    value = tl.load(source + at[:, None] * CHANNELS + channel[None, :], mask=inside, other=0.0)
    tl.store(made + cell[:, None] * CHANNELS + channel[None, :], value, mask=inside)


@gpu.kernel("rows", "cols", "count")
def _unframe(
    source,
    made,
    rows,
    cols,
    count,
    CHANNELS: tl.constexpr,
    WIDTH: tl.constexpr,
    CELLS: tl.constexpr,
) -> None:
    """Add up what some cells were copied to."""
    cell = tl.program_id(0).to(tl.int64) * CELLS + tl.arange(0, CELLS)
    channel = tl.arange(0, WIDTH)
    inside = (cell < count)[:, None] & (channel < CHANNELS)[None, :]
    image, row, col = cell // (rows * cols), (cell // cols) % rows, cell % cols
    total = tl.zeros((CELLS, WIDTH), dtype=tl.float32)
    step = 0
    while step < 9:
        down, right = step // 3 - 1, step % 3 - 1
        copied = (down == 0) | ((down < 0) & (row == 0)) | ((down > 0) & (row == rows - 1))
        copied &= (right == 0) | ((right < 0) & (col == 0)) | ((right > 0) & (col == cols - 1))
        at = (image * (rows + 2) + row + 1 + down) * (cols + 2) + col + 1 + right
        there = inside & copied[:, None]
        total += tl.load(
            source + at[:, None] * CHANNELS + channel[None, :], mask=there, other=0.0
        ).to(tl.float32)
        step += 1
    tl.store(made + cell[:, None] * CHANNELS + channel[None, :], total, mask=inside)


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
