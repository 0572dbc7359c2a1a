"""How far a coloured volume keeps its scan's structure, and how far its colours flicker.

No truth is needed: real scans have none.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from medcolor.body import resize, resize_mask, square_shape
from medcolor.color import srgb_to_lab
from medcolor.config import RunSettings
from medcolor.errors import InputError
from medcolor.evaluate.metrics import ColorReport, measure
from medcolor.progress import ProgressReport
from medcolor.volume.open import open_volume
from medcolor.volume.store import read_levels, read_slices
from medcolor.volume.target import TargetReader

_COLUMNS = ("gradient", "structure", "flicker", "border", "colorful")


def evaluate_structure(
    volume: Path, scan: Path, settings: RunSettings, progress: ProgressReport
) -> str:
    """Return structure kept, and chroma steps along z, as text.

    Args:
        volume: Written by colorize from `scan`.
        scan: The scan.
        settings: Those it was coloured with; `volume` and `features.equalization` count.
        progress: Told how far it is.

    Raises:
        InputError: If the two differ in shape.
    """
    shape = read_levels(volume)[0].shape
    with tempfile.TemporaryDirectory() as staging:
        opened = open_volume(scan, settings.volume, Path(staging))
        if opened.geometry.shape != shape:
            raise InputError(
                scan,
                f"its shape is {opened.geometry.shape}, that of {volume} {shape}",
                "Give the scan the volume was coloured from, with the same settings",
            )
        read = TargetReader.finding(opened, settings.volume, settings.features.equalization)
        report, following = ColorReport(), None
        progress.begin("measure", shape[0])
        for z in range(shape[0] - 1, -1, -1):
            target = read(z)
            rgb = read_slices(volume, 0, range(z, z + 1))[0, ..., :3].astype(np.float32) / 255
            square = square_shape(target.body.shape, target.pixel)
            lab, grey = (resize(one, square) for one in (srgb_to_lab(rgb), target.luminance))
            body = resize_mask(target.body, square)
            figures = measure(lab, None, body, grey, following)
            report.add(volume.name, "medcolor", z, figures)
            following = lab, body, grey
            progress.advance(1)
    mean = report.mean(volume.name, "medcolor")
    return "  ".join(f"{name} {getattr(mean, name):.3f}" for name in _COLUMNS)
