"""A whole body through reading, windowing, a constant colour, writing and the pyramid.

    python jobs/bench_volume.py [--slices 1878]

A synthetic CT of 512 x 512 pixels is written as NIfTI, read and windowed slab by slab, given one
colour with the luminance as alpha, and written with its pyramid, by the product's own functions.
Beside it plain zarr-python writes the same voxels of level 0, ready in memory, with the same
shards and codec. Printed are megavoxels a second of both, alternately, slab by slab in one run,
their ratio, and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import zarr

from medcolor.domain import VolumeGeometry
from medcolor.run.threads import usable_cores
from medcolor.volume.levels import Level
from medcolor.volume.open import open_volume
from medcolor.volume.pyramid import coarse_slab
from medcolor.volume.settings import StoreSettings, VolumeSettings
from medcolor.volume.store import create_store, write_slab
from medcolor.volume.target import TargetReader

_SIDE = 512
_COLOR = (200, 150, 110)
_SETTINGS = StoreSettings()


def write_scan(path: Path, slices: int) -> None:
    """Write a body of noise in air: what compresses like a CT."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((_SIDE, _SIDE, slices))
    header.set_sform(np.diag([-0.9, -0.9, 1.0, 1.0]), "scanner")
    header["vox_offset"] = 352
    noise = np.random.default_rng(0)
    rows, cols = np.mgrid[:_SIDE, :_SIDE] / _SIDE - 0.5
    body = (rows / 0.3) ** 2 + (cols / 0.42) ** 2 < 1
    grain = noise.integers(-20, 60, (16, _SIDE, _SIDE)).astype(np.int16)
    with path.open("wb") as file:
        file.write(header.binaryblock + bytes(4))
        for z in range(slices):
            file.write(np.where(body, grain[z % 16] + z % 97, -1000).astype(np.int16).tobytes())


def write_plainly(array: zarr.Array[Any], slices: range, voxels: np.ndarray) -> float:
    """Write voxels (c, z, y, x) with zarr alone; return the seconds."""
    begin = time.perf_counter()
    array[:, slices.start : slices.stop] = voxels
    return time.perf_counter() - begin


def color(read: TargetReader, slices: range, rgba: np.ndarray) -> np.ndarray:
    """Return RGBA of one colour, alpha the luminance, in the buffer that holds the colour."""
    for number, z in enumerate(slices):
        rgba[number, ..., 3] = np.rint(255 * read.luminance(z))
    return rgba[: len(slices)]


def run(folder: Path, slices: int) -> None:
    """Write, measure, print."""
    scan = folder / "scan.nii"
    write_scan(scan, slices)
    volume = open_volume(scan, VolumeSettings(), folder / "staging")
    begin = time.perf_counter()
    read = TargetReader.finding(volume, VolumeSettings(), 0.5)
    print(f"window of {slices} slices: {time.perf_counter() - begin:.2f} s")
    output = folder / "scan.ome.zarr"
    levels = create_store(output, volume.geometry, _SETTINGS, {})
    plain = create_store(folder / "plain.ome.zarr", volume.geometry, _SETTINGS, {})
    array = zarr.open_array(str(folder / "plain.ome.zarr"), path="0", mode="r+")
    assert plain == levels
    ours = theirs = 0.0
    buffer = np.empty((_SETTINGS.slab_slices, _SIDE, _SIDE, 4), np.uint8)
    buffer[...] = (*_COLOR, 0)
    for number in range(levels[0].slab_count(_SETTINGS.slab_slices)):
        slab = levels[0].slab(number, _SETTINGS.slab_slices)
        begin = time.perf_counter()
        rgba = color(read, slab, buffer)
        write_slab(output, 0, slab, rgba)
        ours += time.perf_counter() - begin
        ready = np.ascontiguousarray(np.moveaxis(rgba, -1, 0))
        theirs += write_plainly(array, slab, ready)
    voxels = slices * _SIDE * _SIDE / 1e6
    begin = time.perf_counter()
    write_pyramid(output, levels, volume.geometry)
    pyramid = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{slices} x {_SIDE} x {_SIDE}, {usable_cores()} cores: read, window, write "
        f"{voxels / ours:.1f} Mvoxel/s; zarr alone {voxels / theirs:.1f} Mvoxel/s; "
        f"ratio {theirs / ours:.2f}; pyramid {pyramid:.1f} s; peak memory {peak:.2f} GB"
    )


def write_pyramid(output: Path, levels: tuple[Level, ...], geometry: VolumeGeometry) -> None:
    """Write the coarser levels slab by slab."""
    assert levels[0].shape == geometry.shape
    for level in levels[1:]:
        for number in range(level.slab_count(_SETTINGS.slab_slices)):
            slab = level.slab(number, _SETTINGS.slab_slices)
            write_slab(output, level.index, slab, coarse_slab(output, level, slab))


def main() -> None:
    """Read the arguments and run in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--slices", type=int, default=1878)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), parser.parse_args().slices)


if __name__ == "__main__":
    main()
