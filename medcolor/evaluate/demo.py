"""The demo: one procedural person's MRI takes the colours of another's cryosections."""

from __future__ import annotations

from pathlib import Path

from medcolor.api import colorize_volume, render_volume
from medcolor.config import load_settings
from medcolor.errors import RunError
from medcolor.evaluate.across import Case, judge_case, write_case
from medcolor.evaluate.judge import LEGENDS, tables_of
from medcolor.evaluate.metrics import ColorReport
from medcolor.extras import require
from medcolor.progress import ProgressReport
from medcolor.volume.images import write_png

_CASE = Case("head", "t1", 2.0)
_SETTINGS = (
    *("render.frames=24", "render.size_px=400"),
    # Cut open, beside the scan: brain, bone, muscle and fat are seen, and not skin alone.
    *("scene.clip_sagittal=[0,0.5]", "scene.start_deg=40", "scene.sweep_deg=100"),
)


def run_demo(output: Path, progress: ProgressReport) -> str:
    """Write scan, photographs, coloured volume and pictures; return what to look at.

    Raises:
        InputError: The extra `render` is not installed.
        RunError: If a slab was given up.
    """
    require("render", "demo", "drawing")
    settings = load_settings(None, _SETTINGS)
    progress.begin("phantom", 1)
    files = write_case(_CASE, output)
    progress.advance(1)
    volume = output / "head.ome.zarr"
    report = colorize_volume(
        files.scan, files.photographs, volume, settings=settings, progress=progress
    )
    if not report.is_complete:
        raise RunError(volume, f"{len(report.failures)} slabs failed", "Run the demo again")
    figures = ColorReport()
    judgement = judge_case(_CASE, files, volume, figures)
    write_png(output / "scan-result-truth.png", judgement.sheet)
    page = render_volume(volume, output / "pictures", settings=settings, progress=progress)
    return (
        "Figures inside the body, against the phantom's truth:\n"
        f"{tables_of(_CASE.name, figures, judgement)}\n{LEGENDS}\n\nOpen {page}"
    )
