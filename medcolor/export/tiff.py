"""BigTIFF of pages, RGB and unassociated alpha, for Fiji."""

from __future__ import annotations

from pathlib import Path

import tifffile

from medcolor.export.exported import Exported


def write_tiff(path: Path, volume: Exported) -> None:
    """Write one file, a page a slice."""
    z_mm, y_mm, x_mm = volume.level.spacing_mm
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(
            volume.slices(),
            shape=(*volume.level.shape, volume.channels),
            dtype="uint8",
            photometric="rgb",
            extrasamples=["unassalpha"] if volume.channels == 4 else None,
            compression="zlib",
            resolution=(10 / x_mm, 10 / y_mm),
            resolutionunit="CENTIMETER",
            metadata={"axes": "ZYXS", "spacing": z_mm, "unit": "mm"},
        )
