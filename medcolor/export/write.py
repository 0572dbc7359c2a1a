"""A coloured volume as a file that other programs open; the file's name says as what.

All are written slab by slab, under another name, and moved into place when they are whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from medcolor.errors import InputError
from medcolor.export.exported import Exported
from medcolor.export.folder import holds_export_alone, write_png_folder
from medcolor.export.nifti import write_nifti
from medcolor.export.nrrd import write_nrrd
from medcolor.export.options import SURFACES, ExportOptions, Format, format_of
from medcolor.export.tiff import write_tiff
from medcolor.extras import require
from medcolor.progress import ProgressReport
from medcolor.storage import Place
from medcolor.storage.durable import flush, replacing
from medcolor.volume.levels import Level
from medcolor.volume.store import read_about, read_affine, read_levels, read_slices

_SLAB_SLICES = 16

Writer = Callable[[Path, Exported], None]
_OF_VOXELS: dict[Format, Writer] = {
    "nifti": write_nifti,
    "nrrd": write_nrrd,
    "tiff": write_tiff,
    "png": write_png_folder,
}


def export(
    volume: Place,
    target: Path,
    progress: ProgressReport,
    options: ExportOptions | None = None,
    *,
    level: int = 0,
    force: bool = False,
) -> Path:
    """Write one level of a coloured volume; the name of `target` says as what.

    Args:
        volume: Written by `medcolor colorize`.
        target: `.nii`, `.nii.gz`, `.nrrd`, `.tif`, `.tiff`; `.glb`, `.ply` of a surface; without a
            suffix a folder.
        progress: Told the slices.
        options: What a folder receives, of what a surface is, and more.
        level: 0 is the finest.
        force: Write over what is there.

    Raises:
        InputError: No such volume or level, an unknown suffix, options that do not suit the file,
            or something is there already.
    """
    chosen = options or ExportOptions()
    levels = read_levels(volume)
    if not 0 <= level < len(levels):
        raise InputError(volume, f"{len(levels)} levels", f"Give a level below {len(levels)}")
    exported = _exported(volume, levels[level], progress, rgb=chosen.rgb)
    write = _writer_of(format_of(target, chosen), target, volume, chosen, progress)
    _refuse_to_replace(target, volume, force=force)
    with replacing(target) as part:
        write(part, exported)
        if target.is_dir():
            flush(part)
            shutil.rmtree(target)
    return target


def _exported(volume: Place, level: Level, progress: ProgressReport, *, rgb: bool) -> Exported:
    channels: Literal[3, 4] = 3 if rgb else 4

    def slices() -> Iterator[UInt8[np.ndarray, "row col _"]]:
        progress.begin("export", level.shape[0])
        for start in range(0, level.shape[0], _SLAB_SLICES):
            stop = min(start + _SLAB_SLICES, level.shape[0])
            for rgba in read_slices(volume, level.index, range(start, stop)):
                yield np.ascontiguousarray(rgba[..., :channels])
                progress.advance(1)

    return Exported(level, np.array(read_affine(volume, level.index)), channels, slices)


def _refuse_to_replace(target: Path, volume: Place, *, force: bool) -> None:
    """Refuse to write over anything but a file, or a folder that holds an earlier export alone.

    Raises:
        InputError: Something is there; without `force` anything, with it what is no export.
    """
    if isinstance(volume, Path):
        source, place = volume.resolve(), target.resolve()
        if place in (source, *source.parents) or source in place.parents:
            raise InputError(target, "is the volume, holds it or lies in it", "Name another place")
    if not target.exists():
        return
    if not force:
        raise InputError(target, "exists", "Name another file, or write over it with --force")
    if target.is_dir() and (target.is_symlink() or not holds_export_alone(target)):
        raise InputError(target, "a folder that is no earlier export", "Name another folder")


def _writer_of(
    kind: Format, target: Path, volume: Place, options: ExportOptions, progress: ProgressReport
) -> Writer:
    """Return what writes files of a kind.

    Raises:
        InputError: An extra that it needs is not installed.
    """
    if kind == "dicom":
        return _dicom_writer(target, volume, options)
    if kind in SURFACES:
        return _surface_writer(target, volume, options, progress)
    return _OF_VOXELS[kind]


def _dicom_writer(target: Path, volume: Place, options: ExportOptions) -> Writer:
    require("dicom", target, "DICOM")
    from medcolor.export.dicom import write_dicom_series
    from medcolor.export.dicom_identity import read_identity

    def write(path: Path, exported: Exported) -> None:
        identity = read_identity(options.identity_from, exported) if options.identity_from else None
        write_dicom_series(path, exported, read_about(volume).credit, identity)

    return write


def _surface_writer(
    target: Path, volume: Place, options: ExportOptions, progress: ProgressReport
) -> Writer:
    if options.triangles is not None:
        require("render", target, "--triangles")
    from medcolor.export.glb import write_glb
    from medcolor.export.ply import write_ply
    from medcolor.export.surface import SurfaceSource, make_surface
    from medcolor.render.overview import read_overview

    write_form = write_ply if target.suffix.lower() == ".ply" else write_glb

    def write(path: Path, exported: Exported) -> None:
        about = read_about(volume)
        source = SurfaceSource(
            lambda slices: read_slices(volume, exported.level.index, slices),
            read_overview(volume, read_levels(volume), exported.level),
            exported.affine_lps,
            about.grey,
            about.credit,
            str(volume),
        )
        made = make_surface(source, options.tissue or "skin", options.triangles, progress)
        write_form(path, made)

    return write
