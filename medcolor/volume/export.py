"""A coloured volume as files other programs open: NIfTI, NRRD, TIFF, folders of PNG or TIFF.

All are written slab by slab, under another name, and moved into place when they are whole.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import tifffile
from jaxtyping import Float, UInt8

from medcolor.errors import InputError
from medcolor.progress import ProgressReport
from medcolor.storage import Place, read_object, write_json
from medcolor.storage.durable import flush, replacing
from medcolor.volume.levels import Level
from medcolor.volume.store import read_affine, read_levels, read_slices

_SLAB_SLICES = 16
_GZIP_LEVEL = 4
_GEOMETRY = "geometry.json"
_RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])


@dataclass(frozen=True)
class Exported:
    """What is written: one level of a volume."""

    level: Level
    affine: Float[np.ndarray, "4 4"]
    """Voxel index (x, y, z, 1) to mm in RAS."""

    slices: Callable[[], Iterator[UInt8[np.ndarray, "row col 4"]]]
    """From the feet up."""

    @property
    def affine_lps(self) -> Float[np.ndarray, "4 4"]:
        """The same to mm in LPS."""
        return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine)


def export(
    volume: Place, target: Path, progress: ProgressReport, *, level: int = 0, force: bool = False
) -> Path:
    """Write one level of a coloured volume; the name of `target` says as what.

    Args:
        volume: Written by `medcolor colorize`.
        target: `.nii`, `.nii.gz`, `.nrrd`, `.tif`, `.tiff`; a folder for `.png` slices where it
            ends in `.png` or has no suffix.
        progress: Told the slices.
        level: 0 is the finest.
        force: Write over what is there.

    Raises:
        InputError: No such volume or level, an unknown suffix, or something is there already.
    """
    levels = read_levels(volume)
    if not 0 <= level < len(levels):
        raise InputError(volume, f"{len(levels)} levels", f"Give a level below {len(levels)}")
    write = _writer_of(target)
    _refuse_to_replace(target, volume, force=force)
    chosen = levels[level]

    def slices() -> Iterator[UInt8[np.ndarray, "row col 4"]]:
        progress.begin("export", chosen.shape[0])
        for start in range(0, chosen.shape[0], _SLAB_SLICES):
            stop = min(start + _SLAB_SLICES, chosen.shape[0])
            for rgba in read_slices(volume, level, range(start, stop)):
                yield np.ascontiguousarray(rgba)
                progress.advance(1)

    with replacing(target) as part:
        write(part, Exported(chosen, np.array(read_affine(volume, level)), slices))
        if target.is_dir():
            flush(part)
            shutil.rmtree(target)
    return target


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
    if target.is_dir() and (target.is_symlink() or not _holds_export_alone(target)):
        raise InputError(target, "a folder that is no earlier export", "Name another folder")


def _holds_export_alone(folder: Path) -> bool:
    """Tell a folder of numbered slices and their geometry from all others."""
    there = [*folder.iterdir()]
    slices = [one for one in there if re.fullmatch(r"\d{5}\.png", one.name) and one.is_file()]
    is_export = "affine_ras_mm" in (read_object(folder / _GEOMETRY) or {})
    return not there or (is_export and len(slices) == len(there) - 1)


def _writer_of(target: Path) -> Callable[[Path, Exported], None]:
    name = target.name.lower()
    for suffixes, write in (
        ((".nii", ".nii.gz"), _write_nifti),
        ((".nrrd",), _write_nrrd),
        ((".tif", ".tiff"), _write_tiff),
    ):
        if name.endswith(suffixes):
            return write
    if target.suffix == "" or target.is_dir():
        return _write_folder
    raise InputError(
        target,
        "not a kind of file that is written",
        "Give .nii, .nii.gz, .nrrd, .tif, or a folder for PNG slices",
    )


def _write_nifti(path: Path, volume: Exported) -> None:
    """NIfTI-1, RGBA32 (type 2304): ITK-SNAP, MRIcroGL, nibabel."""
    header = nib.Nifti1Header()
    header.set_data_dtype(_RGBA)
    header.set_data_shape(volume.level.shape[::-1])
    header.set_sform(volume.affine, "scanner")
    header.set_qform(volume.affine, "scanner")
    header.set_xyzt_units("mm")
    header["vox_offset"] = 352
    _write_stream(path, header.binaryblock + bytes(4), volume, packed=path.suffix == ".gz")


def _write_nrrd(path: Path, volume: Exported) -> None:
    """NRRD, gzip: 3D Slicer opens it as a vector volume and draws alpha as opacity."""
    x, y, z = volume.level.shape[::-1]

    def vector(values: Float[np.ndarray, 3]) -> str:
        return "(" + ",".join(repr(float(value)) for value in values) + ")"

    affine = volume.affine_lps
    lines = [
        "NRRD0005",
        "type: uint8",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: 4 {x} {y} {z}",
        "space directions: none " + " ".join(vector(affine[:3, axis]) for axis in range(3)),
        "kinds: RGBA-color domain domain domain",
        "encoding: gzip",
        f"space origin: {vector(affine[:3, 3])}",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode())
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            for rgba in volume.slices():
                packed.write(rgba.tobytes())


def _write_stream(path: Path, head: bytes, volume: Exported, *, packed: bool) -> None:
    with path.open("wb") as file:
        if not packed:
            file.write(head)
            file.writelines(rgba.tobytes() for rgba in volume.slices())
            return
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as stream:
            stream.write(head)
            for rgba in volume.slices():
                stream.write(rgba.tobytes())


def _write_tiff(path: Path, volume: Exported) -> None:
    """Pages of a BigTIFF, RGB and unassociated alpha."""
    z_mm, y_mm, x_mm = volume.level.spacing_mm
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(
            volume.slices(),
            shape=(*volume.level.shape, 4),
            dtype="uint8",
            photometric="rgb",
            extrasamples=["unassalpha"],
            compression="zlib",
            resolution=(10 / x_mm, 10 / y_mm),
            resolutionunit="CENTIMETER",
            metadata={"axes": "ZYXS", "spacing": z_mm, "unit": "mm"},
        )


def _write_folder(path: Path, volume: Exported) -> None:
    """Numbered PNG slices, feet first, and where they lie."""
    path.mkdir()
    for z, rgba in enumerate(volume.slices()):
        bgra = rgba[..., [2, 1, 0, 3]]
        (path / f"{z:05d}.png").write_bytes(cv2.imencode(".png", bgra)[1].tobytes())
    about = {
        "affine_ras_mm": volume.affine.tolist(),
        "spacing_mm_zyx": volume.level.spacing_mm,
        "orientation": "LPS",
        "alpha": "straight",
    }
    write_json(path / _GEOMETRY, about)
