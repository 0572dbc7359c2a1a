"""A TIFF file of several pages as one volume."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import tifffile
from numpy.typing import NDArray

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.bounds import check_ratio, check_shape
from medcolor.volume.geometry import affine_from_code, chunks_of_slices, to_lps
from medcolor.volume.planes import stack_planes
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import FlatVoxels, make_once, version_of
from medcolor.volume.tiff_pages import check_page, open_one_file, read_page, values_of_page
from medcolor.volume.tiff_spacing import stated_spacing
from medcolor.volume.tiff_stack import BlockStack, PageStack, find_stack, series_of


def open_tiff(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open a file of equally sized grey (or colour, taken as grey) slices.

    Args:
        path: The file.
        settings: `spacing_mm` and `orientation`; `channel` and `time_point` of a hyperstack,
            `series` of a file of several images.
        staging: Folder for a volumetric page, decoded once.

    Raises:
        InputError: No spacing given, one page, sizes that differ, several channels or time points
            and none chosen, or unreadable.
    """
    try:
        with open_one_file(path) as file:
            _check_pages(path, file)
            number, series = series_of(path, file, settings) or (0, None)
            stack = find_stack(path, file, series, settings)
            spacing_mm = settings.spacing_mm or stated_spacing(
                path, file, number, settings.length_unit
            )
            array = _voxels(path, file, stack, settings, staging)
    except (OSError, InputError):
        raise
    except Exception as error:  # whatever a damaged file makes the parser raise
        raise InputError(path, "no readable TIFF file", "Fetch the file again") from error
    if spacing_mm is None:
        raise InputError(
            path,
            f"{array.shape[2]} slices do not say how far apart they are",
            "Give it in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
        )
    affine = affine_from_code(settings.orientation, spacing_mm)
    ordered, geometry = to_lps(array, affine)
    return GrayVolume(ordered, "raw", geometry, str(path), (path,), {"format": "TIFF"})


def _check_pages(path: Path, file: tifffile.TiffFile) -> None:
    """Refuse pages that are none, lie in a circle, differ in size, or are no brightness."""
    seen: set[int] = set()
    sizes, kinds = set(), set()
    for page in file.pages:
        if page.offset in seen:  # a page that points back to an earlier one
            raise ValueError("pages in a circle")
        seen.add(page.offset)
        sizes.add(page.shape)
        kinds.add(page.dtype)
    check_page(path, file.pages[0].aspage())
    is_described = file.series[0].kind not in ("uniform", "generic")
    if len(sizes) > 1 and not is_described:
        words = " and ".join(sorted({f"{s[1]} x {s[0]}" for s in sizes if len(s) > 1})[:2])
        raise InputError(
            path, f"{len(seen)} pages of {words} pixels", "Give pages of one size, or a folder"
        )
    if any(kind is None or kind.kind not in "iuf" for kind in kinds):
        raise InputError(path, "pixels that are no plain numbers", "Save it with 8 or 16 bit")


def _voxels(
    path: Path,
    file: tifffile.TiffFile,
    stack: PageStack | BlockStack,
    settings: VolumeSettings,
    staging: Path,
) -> da.Array:
    """Return the voxels lazily, (x, y, z), a chunk a slice."""
    number = stack.pages[0] if isinstance(stack, PageStack) else stack.page
    page = file.pages[number].aspage()
    check_page(path, page)
    slope, intercept = values_of_page(path, file, page)
    if isinstance(stack, PageStack):
        shape = page.imagelength, page.imagewidth
        check_shape(path, (len(stack.pages), *shape))
        read = partial(_read_one, path, stack)
        return stack_planes(path, read, len(stack.pages), shape)
    space = [side for side, one in zip(stack.shape, stack.picks, strict=True) if one is None]
    check_shape(path, (space[0], space[1], space[2]))
    stored: np.dtype[Any] = np.dtype(page.dtype).newbyteorder(file.byteorder)
    block, offset = path, stack.offset
    if offset is None:
        check_ratio(path, path.stat().st_size, math.prod(stack.shape) * stored.itemsize)
        version = f"{version_of(path)} {stack.page}"
        block = make_once(staging, version, ".raw", partial(_decode, path, stack.page))
        stored, offset = stored.newbyteorder("="), 0
    expected = offset + math.prod(stack.shape) * stored.itemsize
    if block.stat().st_size < expected:
        raise InputError(
            path, f"truncated: its voxels end before byte {expected}", "Fetch the file again"
        )
    voxels = FlatVoxels(
        block,
        stored,
        offset,
        stack.shape[::-1],
        picks=stack.picks[::-1],
        slope=slope,
        intercept=intercept,
    )
    axes = affine_from_code(settings.orientation, (1.0, 1.0, 1.0))
    name = f"tiff-{path}-{stack.page}-{stack.picks}"
    chunks = chunks_of_slices(axes, voxels.shape)
    block_array: da.Array = da.from_array(voxels, chunks=chunks, name=name, meta=np.empty(0))
    return block_array


def _read_one(path: Path, stack: PageStack, z: int) -> NDArray[np.float32]:
    return read_page(path, stack.pages[z], stack.channel)


def _decode(path: Path, number: int, target: Path) -> None:
    """Write the voxels of a page, as this machine stores numbers."""
    with open_one_file(path) as file:
        page = file.pages[number].aspage()
        check_page(path, page)
        dtype, shape = np.dtype(page.dtype).newbyteorder("="), page.shaped
        with target.open("wb") as made:
            made.truncate(math.prod(shape) * dtype.itemsize)
        for tile, (sample, z, row, col, _), _ in page.segments(maxworkers=1):
            if tile is None:
                continue
            inside = tile[: shape[1] - z, : shape[2] - row, : shape[3] - col]
            depth, rows, cols = inside.shape[:3]
            # Mapped for a tile: what is written counts as memory for as long as it is mapped.
            voxels = np.memmap(target, dtype, "r+", 0, shape)
            voxels[sample, z : z + depth, row : row + rows, col : col + cols] = inside
            del voxels
