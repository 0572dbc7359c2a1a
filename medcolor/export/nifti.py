"""NIfTI-1 in colour: RGBA32 (type 2304) or RGB24 (type 128)."""

from __future__ import annotations

import gzip
from pathlib import Path

from medcolor.export.exported import Exported
from medcolor.volume.color_nifti import color_header

GZIP_LEVEL = 4


def write_nifti(path: Path, volume: Exported) -> None:
    """Write one file, packed if its name says so: ITK-SNAP, MRIcroGL, NiiVue, nibabel."""
    head = color_header(volume.level.shape, volume.affine, volume.channels)
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.write(head)
            file.writelines(pixels.tobytes() for pixels in volume.slices())
            return
        with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as stream:
            stream.write(head)
            for pixels in volume.slices():
                stream.write(pixels.tobytes())
