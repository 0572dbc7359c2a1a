"""Where one volume lies in a TIFF file: which pages, or which part of one large block.

What the axes are say ImageJ, OME, tifffile ("shaped"), microscopes' own kinds of TIFF, and SGI's
volumetric pages; tifffile reads them all. A file that says nothing is one stack of its pages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tifffile

from medcolor.errors import InputError
from medcolor.volume.choice import chosen_volume
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.tiff_pages import channel_count

_PLAIN = ("uniform", "generic")
"""Tifffile's kinds of series that follow from sizes of pages alone."""

_UNKNOWN = "IQ"
"""Its letters of axes of which nothing is known."""


@dataclass(frozen=True)
class PageStack:
    """A page a slice."""

    pages: tuple[int, ...]
    channel: int
    """Of the samples of a pixel; 0 where they are no channels."""


@dataclass(frozen=True)
class BlockStack:
    """All slices in one page."""

    page: int
    offset: int | None
    """Of the first voxel, where they lie in the file as they are; None where it is encoded."""

    shape: tuple[int, ...]
    """Of all axes, the slowest first."""

    picks: tuple[int | None, ...]
    """The index along each; None along z, y and x."""


def series_of(
    path: object, file: tifffile.TiffFile, settings: VolumeSettings
) -> tuple[int, tifffile.TiffPageSeries] | None:
    """Return the number of the chosen image of a file, and it; None if all pages are one stack.

    Raises:
        InputError: Several and none chosen, or one that is not there.
    """
    every = file.series
    if not every or every[0].kind in _PLAIN:
        return None
    if len(every) == 1:
        return 0, every[0]
    if all(len(one.pages) == 1 and len(one.shape) == 2 for one in every):
        return None  # written page by page
    known = {str(number): one for number, one in enumerate(every)}
    if str(settings.series) not in known:
        sizes = ", ".join(f"{name}: {_times(one.shape)}" for name, one in known.items())
        raise InputError(
            path, f"{len(every)} images ({sizes:.200})", "Choose one: --set volume.series=0"
        )
    number = int(str(settings.series))
    return number, every[number]


def find_stack(
    path: object,
    file: tifffile.TiffFile,
    series: tifffile.TiffPageSeries | None,
    settings: VolumeSettings,
) -> PageStack | BlockStack:
    """Find the slices of one channel and time point.

    Args:
        path: What errors name.
        file: The open file, of at least one page.
        series: Of `series_of`.
        settings: `channel` and `time_point`.

    Raises:
        InputError: Several volumes and none chosen, axes of no known meaning, or no slices.
    """
    page = file.pages.first if series is None else series.keyframe
    axes, shape = f"I{page.axes}", (len(file.pages), *page.shape)
    numbers: list[int | None] = [*range(len(file.pages))]
    if series is not None:
        axes, shape = series.axes, series.shape
        numbers = [None if one is None else one.index for one in series.pages]
    outer = len(axes) - len(page.axes)
    is_paged = math.prod(shape[:outer]) == len(numbers) and shape[outer:] == page.shape
    is_truncated = len(numbers) == 1 and series is not None and series.dataoffset is not None
    if outer < 0 or None in numbers or not (is_paged or is_truncated):
        raise InputError(path, "an image of several files or kinds", "Save one stack in one file")
    # A page's own samples are an axis by another name in some series.
    axes = axes[:outer] + page.axes
    picks = _picks(path, axes, shape, page, settings)
    if is_paged and "Z" not in page.axes:
        table = np.reshape([int(number or 0) for number in numbers], shape[:outer])
        chosen = table[tuple(slice(None) if one is None else one for one in picks[:outer])]
        return PageStack(
            tuple(int(number) for number in chosen.ravel()),
            next((one or 0 for one, axis in zip(picks, axes, strict=True) if axis == "S"), 0),
        )
    if page.photometric == tifffile.PHOTOMETRIC.RGB:
        raise InputError(path, "colours in one block", "Save it as grey, or a page a slice")
    if not is_paged:
        return BlockStack(page.index, series.dataoffset if series else None, shape, picks)
    table = np.reshape([int(number or 0) for number in numbers], shape[:outer])
    number = int(table[tuple(one or 0 for one in picks[:outer])])
    return BlockStack(number, None, page.shape, picks[outer:])


def _picks(
    path: object,
    axes: str,
    shape: tuple[int, ...],
    page: tifffile.TiffPage,
    settings: VolumeSettings,
) -> tuple[int | None, ...]:
    """Return the index along each axis; None along z, y and x, and along samples of colour."""
    is_colour = page.photometric == tifffile.PHOTOMETRIC.RGB
    whole = ("Y", "X", _depth_of(path, axes, shape), *("S" if is_colour else ""))
    # Samples are channels, but for alpha.
    sides = [
        channel_count(page) if axis == "S" else side for axis, side in zip(axes, shape, strict=True)
    ]
    kinds = ["C" if axis == "S" else axis for axis in axes]
    several = [
        (kind, side)
        for axis, kind, side in zip(axes, kinds, sides, strict=True)
        if axis not in whole and side > 1
    ]
    counts = {"C": 1, "T": 1} | dict(several)
    if len(counts) > 2 or len(dict(several)) < len(several):
        raise InputError(
            path,
            f"axes {axes} of {_times(shape)}, expected slices (Z), and at most one of channels (C) "
            "and one of time points (T)",
            "Save one stack of slices, or name its axes",
        )
    channel, time_point = chosen_volume(
        path, settings, channels=counts["C"], time_points=counts["T"]
    )
    chosen = {"C": channel, "T": time_point}
    return tuple(
        None if axis in whole else chosen[kind] if side > 1 else 0
        for axis, kind, side in zip(axes, kinds, sides, strict=True)
    )


def _depth_of(path: object, axes: str, shape: tuple[int, ...]) -> str:
    """Return the letter of the axis along which slices follow each other."""
    unknown = [axis for axis in axes if axis in _UNKNOWN]
    depth = "Z" if "Z" in axes else unknown[0] if len(unknown) == 1 else ""
    if not depth or shape[axes.index(depth)] < 2:
        raise InputError(
            path,
            f"axes {axes} of {_times(shape)}, expected slices (Z)",
            "Give a stack; if these are slices, save them as such (ImageJ: Image > Properties), or "
            "name the axes",
        )
    return depth


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
