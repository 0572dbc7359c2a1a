"""One channel of one level of an OME-Zarr image, 0.4 or 0.5."""

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
from medcolor.storage.zarr_stores import AbsentShardError, reading_store
from medcolor.volume.anatomical import orientation_code
from medcolor.volume.bounds import check_affine, check_shape
from medcolor.volume.choice import chosen
from medcolor.volume.geometry import affine_from_code, chunks_of_slices, to_lps
from medcolor.volume.settings import VolumeSettings
from medcolor.volume.staging import put_together, version_of
from medcolor.volume.units import known_millimetres

_METADATA = ("zarr.json", ".zattrs", ".zgroup")


def is_ome_zarr(folder: Path) -> bool:
    """Tell a Zarr group by its metadata."""
    return any((folder / name).is_file() for name in _METADATA)


def open_ome_zarr(folder: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open an image with axes of t, c, z, y, x, in that order, some of them absent.

    Args:
        folder: The group.
        settings: `level`, `channel`, `time_point`; `orientation` says where x, y and z run to
            unless medcolor wrote it or its axes say so (RFC-4).
        staging: Folder where an image whose slices are not axial is put together.

    Raises:
        InputError: No such image, level or channel; several and none chosen.
    """
    try:
        group = zarr.open_group(str(folder), mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        if "medcolor" in attributes:  # of ours an absent shard is lost, of others' it is empty
            group = zarr.open_group(reading_store(folder), mode="r")
        image: dict[str, Any] = attributes.get("ome", attributes)["multiscales"][0]
        names = [str(axis["name"]).lower() for axis in image["axes"]]
        datasets = image["datasets"]
        if settings.level >= len(datasets):
            raise InputError(
                folder, f"{len(datasets)} levels", f"Give volume.level below {len(datasets)}"
            )
        stored = group[plain_key(datasets[settings.level]["path"], folder, "Mend its metadata")]
        scale, origin = _placement(folder, image, datasets[settings.level], len(names))
        units = [_unit(folder, axis) for axis in image["axes"]]
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            folder, "no readable OME-Zarr image", "Give an OME-Zarr 0.4 or 0.5 folder"
        ) from error
    if (
        not isinstance(stored, zarr.Array)
        or names[-3:] != ["z", "y", "x"]
        or len(names) != stored.ndim
    ):
        raise InputError(folder, f"axes {names}, expected .., z, y, x", "Give a volume")
    if stored.dtype.kind not in "iuf":
        raise InputError(folder, f"voxels of type {stored.dtype}", "Convert the image")
    index = [
        _chosen(folder, name, side, settings)
        for name, side in zip(names[:-3], stored.shape[:-3], strict=True)
    ]
    check_shape(folder, stored.shape[-3:])
    affine, is_placed = _affine(
        folder, attributes, image, (scale * units, origin * units), settings
    )
    check_affine(folder, affine)
    files = tuple(
        sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and not path.name.endswith(".version")  # of copies from buckets
        )
    )
    z, rows, cols = stored.shape[-3:]
    is_axial = chunks_of_slices(affine, (cols, rows, z))[2] == 1
    array = da.from_array(
        _Slices(folder, stored, tuple(index)),
        chunks=(1 if is_axial else stored.chunks[-3], rows, cols),
        name=f"zarr-{folder}-{index}",
    )
    values = array.astype(np.float32).transpose(2, 1, 0)
    if not is_axial:
        version = "\n".join([*map(version_of, files), str((index, settings.level, affine))])
        values = put_together(values, affine, version, staging)
    volume, geometry = to_lps(values, affine, (f"level {settings.level}",))
    facts: dict[str, str | float] = {"format": "OME-Zarr"}
    return GrayVolume(volume, "raw", geometry, str(folder), files, facts, is_placed=is_placed)


class _Slices:
    """The chosen volume as dask slices it; a chunk of several slices is kept for the next ones."""

    ndim = 3

    def __init__(self, folder: Path, stored: zarr.Array[Any], index: tuple[int, ...]) -> None:
        self._folder, self._stored, self._index = folder, stored, index
        self.shape, self.dtype = stored.shape[-3:], stored.dtype

    def __getitem__(self, where: tuple[slice, ...]) -> NDArray[Any]:
        index: Any = (*self._index, *where)
        try:
            return np.asarray(self._stored[index])
        except OSError:
            raise
        except AbsentShardError as error:
            raise InputError(
                self._folder, f"{error.key} is gone or empty", "Fetch the image again"
            ) from None
        except Exception as error:  # codecs raise what they like
            raise InputError(
                self._folder, "a chunk of it is damaged", "Fetch the image again"
            ) from error


def _chosen(folder: Path, name: str, count: int, settings: VolumeSettings) -> int:
    """Return the index along an axis that is no axis of space."""
    if name == "t":
        return chosen(folder, "time_point", count, settings, what="time points")
    return chosen(folder, "channel", count, settings, what="channels")


def _unit(folder: Path, axis: dict[str, Any]) -> float:
    """Return the millimetres of an axis's unit; without one, millimetres are meant."""
    is_space = axis.get("type") == "space" or str(axis["name"]).lower() in ("z", "y", "x")
    return known_millimetres(folder, axis.get("unit")) if is_space else 1.0


def _placement(
    folder: Path, image: dict[str, Any], dataset: dict[str, Any], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and translation of every axis: the level's, then the image's."""
    scale, origin = np.ones(count), np.zeros(count)
    steps = [*dataset["coordinateTransformations"], *image.get("coordinateTransformations", [])]
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
    folder: Path,
    attributes: dict[str, Any],
    image: dict[str, Any],
    placement: tuple[NDArray[np.float64], NDArray[np.float64]],
    settings: VolumeSettings,
) -> tuple[NDArray[np.float64], bool]:
    """Return index (x, y, z) to mm in RAS, and whether the image says where its axes run to."""
    scale, origin = placement
    own = attributes.get("medcolor", {}).get("affine_ras_mm")
    if own is not None:
        finest = np.array(own, float)
        directions = finest[:3, :3] / np.linalg.norm(finest[:3, :3], axis=0)
        affine = np.eye(4)
        affine[:3, :3] = directions * scale[:-4:-1]
        affine[:3, 3] = finest[:3, 3] + directions @ origin[:-4:-1]
        return affine, True
    z, y, x = (float(side) for side in scale[-3:])
    code, is_stated = orientation_code(folder, image["axes"], settings.orientation)
    affine = affine_from_code(code, (z, y, x))
    affine[:3, 3] = np.sign(affine[:3, :3]) @ origin[:-4:-1]
    return affine, is_stated
