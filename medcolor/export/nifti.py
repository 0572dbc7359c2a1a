"""NIfTI-1 in colour: RGBA32 (type 2304) or RGB24 (type 128)."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from medcolor.export.exported import Exported

GZIP_LEVEL = 4


def write_nifti(path: Path, volume: Exported) -> None:
    """Write one file, packed if its name says so: ITK-SNAP, MRIcroGL, NiiVue, nibabel."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.dtype([(name, "u1") for name in "RGBA"[: volume.channels]]))
    header.set_data_shape(volume.level.shape[::-1])
    header.set_sform(volume.affine, "scanner")
    header.set_qform(volume.affine, "scanner")
    header.set_xyzt_units("mm")
    header["vox_offset"] = 352
    head = header.binaryblock + bytes(4)
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.write(head)
            file.writelines(pixels.tobytes() for pixels in volume.slices())
            return
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as stream:
            stream.write(head)
            for pixels in volume.slices():
                stream.write(pixels.tobytes())
