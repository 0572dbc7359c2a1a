"""One channel of one level of an OME-Zarr image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr
from numpy.typing import NDArray

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.storage import plain_key
from medcolor.volume.anatomical import orientation_code
from medcolor.volume.bounds import MOST_CHUNK_BYTES, check_affine
from medcolor.volume.choice import chosen_volume
from medcolor.volume.geometry import affine_from_code, chunks_of_slices, to_lps
from medcolor.volume.ome_zarr_image import ZarrImage, find_image
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import put_together, version_of
from medcolor.volume.units import in_millimetres
from medcolor.volume.zarr_bounds import bounded, check_metadata
from medcolor.volume.zarr_slices import ZarrSlices


def open_ome_zarr(folder: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open an image with axes of t, c, z, y, x, in that order, some of them absent.

    Args:
        folder: The image, or several in the layout of bioformats2raw.
        settings: `series`, `level`, `channel`, `time_point`; `orientation` says where x, y and z
            run to unless medcolor wrote it or its axes say so (RFC-4); `spacing_mm` where it says
            no scale (before 0.4).
        staging: Folder where an image whose slices are not axial is put together.

    Raises:
        InputError: No such image, level or channel; several and none chosen.
    """
    try:
        image = find_image(folder, settings)
        level = _level(image, settings)
        stored = _array(image, level)
        if stored.dtype.kind not in "iuf":
            raise InputError(folder, f"voxels of type {stored.dtype}", "Convert the image")
        names = [str(axis["name"]).lower() for axis in image.axes]
        if names[-3:] != ["z", "y", "x"] or len(names) != stored.ndim:
            raise InputError(folder, f"axes {names}, expected .., z, y, x", "Give a volume")
        files = _files(image.folder)
        stored = bounded(folder, stored, sum(one.stat().st_size for one in files))
        index = _chosen(folder, [_key(axis) for axis in image.axes[:-3]], stored.shape, settings)
        scale, origin, told = _in_millimetres(image, level, settings)
    except (OSError, InputError):
        raise
    except Exception as error:  # whatever damaged metadata make of Zarr
        raise InputError(
            folder, "no readable OME-Zarr image", "Give an OME-Zarr 0.1 to 0.5 folder"
        ) from error
    affine, is_placed = _affine(image, scale, origin, settings)
    check_affine(folder, affine)
    z, rows, cols = stored.shape[-3:]
    is_axial = chunks_of_slices(affine, (cols, rows, z))[2] == 1
    most = max(1, MOST_CHUNK_BYTES // (rows * cols * stored.dtype.itemsize))
    array = da.from_array(
        ZarrSlices(folder, stored, index),
        chunks=(1 if is_axial else min(most, stored.chunks[-3]), rows, cols),
        name=f"zarr-{image.folder}-{index}",
    )
    values = array.astype(np.float32).transpose(2, 1, 0)
    if not is_axial:
        version = "\n".join([*map(version_of, files), str((index, settings.level, affine))])
        values = put_together(values, affine, version, staging)
    volume, geometry = to_lps(values, affine, (f"level {settings.level}", *told))
    facts: dict[str, str | float] = {"format": "OME-Zarr"}
    return GrayVolume(volume, "raw", geometry, str(folder), files, facts, is_placed=is_placed)


def _files(folder: Path) -> tuple[Path, ...]:
    """Return all files of an image, in order; not the marks of copies from buckets."""
    found = (path for path in folder.rglob("*") if not path.name.endswith(".version"))
    return tuple(sorted(path for path in found if path.is_file()))


def _level(image: ZarrImage, settings: VolumeSettings) -> dict[str, Any]:
    """Return what the metadata say of the chosen level."""
    datasets = image.multiscale["datasets"]
    if settings.level >= len(datasets):
        raise InputError(
            image.folder, f"{len(datasets)} levels", f"Give volume.level below {len(datasets)}"
        )
    return dict(datasets[settings.level])


def _array(image: ZarrImage, level: dict[str, Any]) -> zarr.Array[Any]:
    key = plain_key(level["path"], image.folder, "Mend its metadata")
    check_metadata(image.folder / key)
    stored = image.group.get(key)
    if not isinstance(stored, zarr.Array):
        raise InputError(image.folder, f"no array {key!r:.40} of this level", "Fetch it again")
    return stored


def _in_millimetres(
    image: ZarrImage, level: dict[str, Any], settings: VolumeSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]:
    """Return scale and origin along z, y, x in mm, and what to tell of them."""
    steps = [
        *level.get("coordinateTransformations", ()),
        *image.multiscale.get("coordinateTransformations", ()),
    ]
    if not any(step["type"] == "scale" for step in steps):
        if settings.spacing_mm is None:
            raise InputError(
                image.folder,
                "its metadata do not say how far apart voxels are (no scale)",
                "Give it in mm along z, y, x: --set volume.spacing_mm=[1,1,1]",
            )
        return np.array(settings.spacing_mm), np.zeros(3), ()
    scale, origin = _placement(image.folder, steps, len(image.axes))
    units = [axis.get("unit") for axis in image.axes[-3:]]
    lengths, told = in_millimetres(image.folder, units, settings.length_unit)
    return scale[-3:] * lengths, origin[-3:] * lengths, told


def _key(axis: dict[str, Any]) -> str:
    """Return the setting that chooses along an axis that is none of space; its name if none does.

    The type of an axis says what it is, and may be left out.
    """
    name, kind = str(axis["name"]).lower(), str(axis.get("type") or "").lower()
    if kind == "time" or (not kind and name in ("t", "time")):
        return "time_point"
    if kind == "channel" or (not kind and name in ("c", "channel")):
        return "channel"
    return name


def _chosen(
    folder: Path, keys: list[str], shape: tuple[int, ...], settings: VolumeSettings
) -> tuple[int, ...]:
    """Return the indices along the axes that are none of space."""
    counts = {"channel": 1, "time_point": 1}
    for key, side in zip(keys, shape, strict=False):
        if counts.get(key, 2) > 1 and side > 1:
            raise InputError(
                folder,
                f"an axis {key!r:.20} of {side}, expected at most one of channels and one of time "
                "points",
                "Save one of its parts",
            )
        counts[key] = max(side, counts.get(key, 1))
    channel, time_point = chosen_volume(
        folder, settings, channels=counts["channel"], time_points=counts["time_point"]
    )
    picks = {"channel": channel, "time_point": time_point}
    return tuple(
        picks.get(key, 0) if side > 1 else 0 for key, side in zip(keys, shape, strict=False)
    )


def _placement(
    folder: Path, steps: list[dict[str, Any]], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and translation of every axis: the level's, then the image's."""
    scale, origin = np.ones(count), np.zeros(count)
    for step in steps:
        if step["type"] == "identity":
            continue
        if step["type"] not in ("scale", "translation") or step["type"] not in step:
            raise InputError(
                folder,
                "a transformation of coordinates that is neither scale nor translation",
                "Save it as OME-Zarr 0.4 or 0.5",
            )
        by = np.array(step[step["type"]], float)
        if by.shape != (count,) or (step["type"] == "scale" and not (by > 0).all()):
            raise InputError(
                folder,
                f"a {step['type']} of {by.size} numbers, expected {count}, of a scale above 0",
                "Mend its metadata",
            )
        if step["type"] == "scale":
            scale, origin = scale * by, origin * by
        else:
            origin = origin + by
    return scale, origin


def _affine(
    image: ZarrImage,
    scale: NDArray[np.float64],
    origin: NDArray[np.float64],
    settings: VolumeSettings,
) -> tuple[NDArray[np.float64], bool]:
    """Return index (x, y, z) to mm in RAS, and whether the image says where its axes run to.

    Args:
        image: What is read.
        scale: Along z, y, x, in mm.
        origin: The same.
        settings: `orientation` of axes that do not say.
    """
    own = image.attributes.get("medcolor", {}).get("affine_ras_mm")
    if own is not None:
        finest = np.array(own, float)
        directions = finest[:3, :3] / np.linalg.norm(finest[:3, :3], axis=0)
        affine = np.eye(4)
        affine[:3, :3] = directions * scale[::-1]
        affine[:3, 3] = finest[:3, 3] + directions @ origin[::-1]
        return affine, True
    z, y, x = (float(side) for side in scale)
    code, is_stated = orientation_code(image.folder, image.axes, settings.orientation)
    affine = affine_from_code(code, (z, y, x))
    affine[:3, 3] = np.sign(affine[:3, :3]) @ origin[::-1]
    return affine, is_stated
