"""Phantoms as files, laid out like the real material: NIfTI scans, numbered photographs.

The photographs look like Visible Human frames: rows run from posterior to anterior,
numbers from head to feet in millimetres. So the product reads them with its defaults.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, cast, get_args

import nibabel as nib
import numpy as np
from jaxtyping import Shaped

from medcolor.errors import InputError
from medcolor.phantom import (
    Phantom,
    Region,
    make_phantom,
    render_clinical_ct,
    render_clinical_mri,
    render_cryosection,
    render_ct,
    render_mri,
)
from medcolor.volume.geometry import affine_from_code
from medcolor.volume.images import write_png

Modality = Literal["ct", "t1", "t2"]
Scanner = Literal["plain", "clinical"]
"""plain: as drawn, a little soft and noisy. clinical: averaged from a finer drawing, with the
noise of a routine examination and an uneven coil."""

MODALITIES: tuple[Modality, ...] = ("ct", "t1", "t2")
_FIRST_NUMBER = 1000
_LIBRARY_SEED, _LIBRARY_MM = 1, 2.0


def write_person(
    folder: Path, seed: int, region: str, spacing_mm: float, scanner: str = "plain"
) -> str:
    """Write every modality and the photographs of one person; return what was written.

    Raises:
        InputError: No such region or scanner, or a negative seed.
    """
    chosen, phantom = scanner_of(scanner), _make(seed, region, spacing_mm)
    scans = [write_scan(phantom, modality, folder, chosen) for modality in MODALITIES]
    photographs = write_photographs(phantom, folder / "photographs")
    return "\n".join(str(path) for path in (*scans, photographs))


def write_library(folder: Path, region: str, every_mm: float) -> Path:
    """Write the cryosections of one person, `every_mm` or more apart; return the folder.

    Raises:
        InputError: No such region.
    """
    return write_photographs(_make(_LIBRARY_SEED, region, _LIBRARY_MM), folder, every_mm=every_mm)


def _make(seed: int, region: str, spacing_mm: float) -> Phantom:
    regions = get_args(Region)
    if region not in regions or seed < 0:
        problem = f"seed {seed}, region {region!r}"
        raise InputError("phantom", problem, f"Give a seed >= 0 and one of {', '.join(regions)}")
    return make_phantom(seed, region=cast(Region, region), spacing_mm=spacing_mm)


def scanner_of(name: str) -> Scanner:
    """Return a scanner by its name.

    Raises:
        InputError: There is none.
    """
    scanners = get_args(Scanner)
    if name not in scanners:
        raise InputError(f"--scanner {name}", "no such scanner", f"Give {' or '.join(scanners)}")
    return cast(Scanner, name)


def write_scan(
    phantom: Phantom, modality: Modality, folder: Path, scanner: Scanner = "plain"
) -> Path:
    """Write one modality of a phantom as `<modality>.nii.gz`."""
    ct, mri = {
        "plain": (render_ct, render_mri),
        "clinical": (render_clinical_ct, render_clinical_mri),
    }[scanner]
    array = ct(phantom) if modality == "ct" else mri(phantom, _contrast(modality))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{modality}.nii.gz"
    spacing = phantom.spacing_mm
    affine = affine_from_code("LPS", (spacing, spacing, spacing))
    image = nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def _contrast(modality: Modality) -> Literal["T1", "T2"]:
    return "T1" if modality == "t1" else "T2"


def write_photographs(
    phantom: Phantom,
    folder: Path,
    *,
    background: Literal["gel", "black"] = "gel",
    every_mm: float = 0.0,
) -> Path:
    """Write the cryosections of a phantom as PNG frames named by their position in mm.

    They are as far apart as its slices, or as the next multiple of that from `every_mm`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames: Shaped[np.ndarray, "z y x 3"] = render_cryosection(phantom, background)
    step = max(1, math.ceil(every_mm / phantom.spacing_mm))
    for index in range(len(frames) - 1, -1, -step):
        from_top = len(frames) - 1 - index
        number = _FIRST_NUMBER + round(from_top * phantom.spacing_mm)
        write_png(folder / f"{number:04d}.png", np.ascontiguousarray(frames[index, ::-1]))
    return folder
