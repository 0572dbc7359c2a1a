"""One face for every kind of scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from medcolor.domain import GrayVolume
from medcolor.errors import InputError
from medcolor.volume.dicom import open_dicom_series
from medcolor.volume.files import list_images
from medcolor.volume.images import open_image_stack
from medcolor.volume.nifti import SUFFIXES, open_nifti
from medcolor.volume.settings import VolumeSettings


def open_volume(path: Path, settings: VolumeSettings, staging: Path) -> GrayVolume:
    """Open a NIfTI file, a DICOM series folder or a folder of slice images, lazily.

    Args:
        path: File or folder.
        settings: Spacing and orientation for image stacks.
        staging: Folder for what has to be inflated once.

    Raises:
        InputError: Absent, of no known kind, or not fit to be read.
    """
    if not path.exists():
        raise InputError(path, "no such file or folder", "Check the path")
    if path.is_file():
        if not path.name.lower().endswith(SUFFIXES):
            raise InputError(
                path,
                "not a kind of file that is read",
                "Give .nii, .nii.gz, or a folder of DICOM, PNG, JPEG or TIFF slices",
            )
        return open_nifti(path, staging)
    if list_images(path):
        return open_image_stack(path, settings)
    return open_dicom_series(path)


def read_slice(
    volume: GrayVolume, z: int, settings: VolumeSettings
) -> Float[np.ndarray, "row col"]:
    """Read one slice of stored values.

    Raises:
        InputError: NaN or infinity, unless settings.nonfinite_value replaces them.
    """
    values = np.asarray(volume.intensity[z].compute(scheduler="synchronous"), np.float32)
    finite = np.isfinite(values)
    if finite.all():
        return values
    if settings.nonfinite_value is None:
        raise InputError(
            f"{volume.source}, slice {z}",
            f"{int((~finite).sum())} voxels are NaN or infinite",
            "Mend the file, or name the value to take for them: --set volume.nonfinite_value=0",
        )
    return np.where(finite, values, np.float32(settings.nonfinite_value))
