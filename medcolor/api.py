"""The Python face of medcolor; the command line calls the same two functions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medcolor.config import RunSettings
    from medcolor.progress import ProgressReport
    from medcolor.run.report import RunReport
    from medcolor.run.tasks import Runner

PathLike = str | os.PathLike[str]


def colorize_volume(
    target: PathLike,
    references: PathLike,
    output: PathLike,
    *,
    settings: RunSettings | None = None,
    runner: Runner | None = None,
    progress: ProgressReport | None = None,
    force: bool = False,
) -> RunReport:
    """Give a grey volume the colours of photographed cross-sections.

    Args:
        target: NIfTI file, folder of one DICOM series, or folder of slice images.
        references: Folder of colour cross-sections, or an index built from one.
        output: OME-Zarr folder to write (*.ome.zarr); an unfinished one is resumed. What
            the run remembers lies beside it in `<output>.run`.
        settings: By default all defaults; see `medcolor settings`.
        runner: By default this process. `medcolor.run.ray_pool.RayRunner` uses Ray.
        progress: Told how far the run is; by default nobody.
        force: Begin anew if `output` was begun with other settings or inputs.

    Returns:
        What was done; `is_complete` is False if slabs were given up.

    Raises:
        InputError: Unusable input or settings; nothing was written.
        RunError: The run ended early; finished slabs are kept and resumed.
    """
    # Heavy modules load on use: `import medcolor` and `--help` stay quick.
    from medcolor.config import RunSettings
    from medcolor.progress import Silent
    from medcolor.run.driver import colorize
    from medcolor.run.serial import SerialRunner

    return colorize(
        Path(target),
        Path(references),
        Path(output),
        settings or RunSettings(),
        runner or SerialRunner(),
        progress or Silent(),
        force=force,
    )


def render_volume(
    volume: PathLike,
    output: PathLike,
    *,
    settings: RunSettings | None = None,
    progress: ProgressReport | None = None,
) -> Path:
    """Draw a coloured volume: turntable, sections grey beside colour, video, web page.

    Args:
        volume: OME-Zarr folder written by `colorize_volume`.
        output: Folder to write; `frames/`, `sections/`, `turntable.mp4`, `index.html`
            and `render.json`.
        settings: Its `render` part decides the pictures.
        progress: Told how far the run is; by default nobody.

    Returns:
        The page.

    Raises:
        InputError: No coloured volume there.
        RunError: No OpenGL to draw with.
    """
    from medcolor.config import RunSettings
    from medcolor.progress import Silent
    from medcolor.render.picture_set import write_picture_set

    chosen = settings or RunSettings()
    return write_picture_set(Path(volume), Path(output), chosen.render, progress or Silent())
