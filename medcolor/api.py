"""The Python face of medcolor; the command line calls the same functions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from medcolor.config import RunSettings
    from medcolor.export.options import ExportOptions
    from medcolor.export.view import View
    from medcolor.progress import ProgressReport
    from medcolor.run.cohort import CohortPlan, CohortReport
    from medcolor.run.estimate import Estimate
    from medcolor.run.report import RunReport
    from medcolor.run.tasks import Runner
    from medcolor.run.verify import Verified
    from medcolor.storage import Place

PathLike = str | os.PathLike[str]
"""A path, or an address: `file://`, `s3://`, `gs://`, `az://`."""


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
        target: NIfTI file, folder of one DICOM series, or folder of slice images. This and the
            next two may lie in a bucket: `s3://`, `gs://`, `az://`.
        references: Folder of colour cross-sections, an index built from one, or, as a `str`, the
            name of a library: `visible-human-male`, `visible-human-female`, `phantom`. That
            is fetched, prepared and indexed into the cache on first use; see `settings.library`.
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
    from medcolor.run.named_library import photographs_at
    from medcolor.run.serial import SerialRunner
    from medcolor.storage import place_of
    from medcolor.storage.outputs import volume_to_write
    from medcolor.volume.open import refuse_unread

    chosen, works, told = settings or RunSettings(), runner or SerialRunner(), progress or Silent()
    scan, volume = place_of(target), volume_to_write(output)
    if isinstance(scan, Path):
        refuse_unread(scan)
    photographs = photographs_at(references, chosen, works, told)
    return colorize(scan, photographs, volume, chosen, works, told, force=force)


def colorize_cohort(
    manifest: PathLike,
    references: PathLike,
    output: PathLike,
    *,
    settings: RunSettings | None = None,
    runner: Runner | None = None,
    progress: ProgressReport | None = None,
    force: bool = False,
) -> CohortReport:
    """Colour many volumes in one job; those that an earlier run made of the same are kept.

    Args:
        manifest: YAML or parquet file of `name` and `target`, or a pattern of paths; local or in
            a bucket.
        references: As of `colorize_volume`; indexed once.
        output: Folder that receives `NAME.ome.zarr` and `summary.parquet`.
        settings: By default all defaults.
        runner: By default this process.
        progress: Told how many volumes are done.
        force: Look again at all volumes, also at those whose files have not changed.

    Returns:
        What became of each; a volume that cannot be made holds no other up.

    Raises:
        InputError: No such manifest or photographs.
    """
    from medcolor.config import RunSettings
    from medcolor.progress import Silent
    from medcolor.run.cohort import colorize_members
    from medcolor.run.cohort_manifest import read_cohort
    from medcolor.run.named_library import photographs_at
    from medcolor.run.serial import SerialRunner
    from medcolor.storage.outputs import folder_to_write

    chosen, works, told = settings or RunSettings(), runner or SerialRunner(), progress or Silent()
    members, folder = read_cohort(os.fspath(manifest)), folder_to_write(output, "a cohort")
    photographs = photographs_at(references, chosen, works, told)
    return colorize_members(members, photographs, folder, chosen, works, told, force=force)


def plan_cohort(
    manifest: PathLike,
    references: PathLike,
    output: PathLike,
    *,
    settings: RunSettings | None = None,
    runner: Runner | None = None,
) -> CohortPlan:
    """Tell what `colorize_cohort` would do; nothing is written."""
    from medcolor.config import RunSettings
    from medcolor.run.cohort import plan_members
    from medcolor.run.cohort_manifest import read_cohort
    from medcolor.run.named_library import photographs_at
    from medcolor.run.serial import SerialRunner
    from medcolor.storage.outputs import folder_to_write

    chosen, works = settings or RunSettings(), runner or SerialRunner()
    members = read_cohort(os.fspath(manifest))
    photographs = photographs_at(references, chosen, works, None)
    folder = folder_to_write(output, "a cohort")
    return plan_members(members, photographs, folder, chosen, works)


def plan_volume(
    target: PathLike,
    references: PathLike,
    output: PathLike,
    *,
    settings: RunSettings | None = None,
    runner: Runner | None = None,
) -> Estimate:
    """Tell what `colorize_volume` would take: slabs, time, memory, space; nothing is written.

    Args and errors are those of `colorize_volume`; a library by name must be in the cache.
    """
    from medcolor.config import RunSettings
    from medcolor.run.estimate import estimate
    from medcolor.run.named_library import photographs_at
    from medcolor.run.serial import SerialRunner
    from medcolor.storage import place_of
    from medcolor.storage.outputs import volume_to_write

    chosen, works = settings or RunSettings(), runner or SerialRunner()
    photographs = photographs_at(references, chosen, works, None)
    return estimate(place_of(target), photographs, volume_to_write(output), chosen, works)


def render_volume(
    volume: PathLike,
    output: PathLike,
    *,
    settings: RunSettings | None = None,
    runner: Runner | None = None,
    progress: ProgressReport | None = None,
) -> Place:
    """Draw a coloured volume: turntable, sections grey beside colour, video, web page.

    Args:
        volume: OME-Zarr folder written by `colorize_volume`, or a folder of several: each
            gets a folder of its own, and all of them a page.
        output: Folder to write: `frames/`, `grey/`, `sections/`, `turntable.mp4`, `index.html`
            and others. It and the volume may lie in a bucket.
        settings: Its `scene` and `render` parts decide the pictures.
        runner: By default this process.
        progress: Told how far the run is; by default nobody.

    Returns:
        The page.

    Raises:
        InputError: No coloured volume there, or one whose run has not come to its end or that has
            lost or damaged shards; an output that holds something else; the extra `render` is not
            installed.
        RunError: No OpenGL to draw with; some of several volumes could not be drawn.
    """
    from medcolor.config import RunSettings
    from medcolor.extras import require
    from medcolor.progress import Silent
    from medcolor.run.pictures import write_pictures
    from medcolor.run.serial import SerialRunner
    from medcolor.storage import place_of
    from medcolor.storage.outputs import folder_to_write

    chosen, works, told = settings or RunSettings(), runner or SerialRunner(), progress or Silent()
    require("render", "render", "drawing")
    folder = folder_to_write(output, "a set of pictures")
    return write_pictures(place_of(volume), folder, chosen, works, told)


def export_volume(
    volume: PathLike,
    target: PathLike,
    *,
    level: int = 0,
    options: ExportOptions | None = None,
    force: bool = False,
    progress: ProgressReport | None = None,
) -> Path:
    """Write one level of a coloured volume as files that other programs open.

    Args:
        volume: OME-Zarr folder written by `colorize_volume`, local or in a bucket.
        target: `*.nii`, `*.nii.gz`, `*.nrrd` (3D Slicer), `*.tif`; `*.glb`, `*.ply` for the surface
            of a tissue; or a folder for slices.
        level: Of the pyramid; 0 is the finest.
        options: What a folder receives (PNG or DICOM), whether alpha is left out, of what a surface
            is; see `medcolor.export.options`.
        force: Write over what is there.
        progress: Told the slices; by default nobody.

    Returns:
        `target`.

    Raises:
        InputError: No such volume, one that is unfinished or has lost or damaged shards; options
            that do not suit the file; something is there already.
    """
    from medcolor.errors import InputError
    from medcolor.export.write import export
    from medcolor.progress import Silent
    from medcolor.run.integrity import refuse_unfinished
    from medcolor.storage import place_of

    source, file = place_of(volume), place_of(target)
    if not isinstance(file, Path):
        raise InputError(file, "files are exported to local places", "Give a path")
    refuse_unfinished(source)
    return export(source, file, progress or Silent(), options, level=level, force=force)


def view_volume(
    volume: PathLike, *, port: int = 0, progress: ProgressReport | None = None
) -> AbstractContextManager[View]:
    """Make a coloured volume ready for viewers of the web, and serve it to this machine alone.

        with medcolor.view_volume("t1.ome.zarr") as view:
            print(view.neuroglancer, view.niivue)
            view.server.serve_forever()

    Args:
        volume: OME-Zarr folder written by `colorize_volume`, local.
        port: To listen at; 0 takes one that is free.
        progress: Told the slices of what is written for NiiVue; by default nobody.

    Raises:
        InputError: No such volume, one that is unfinished, has lost shards or lies in a bucket; a
            port that is taken.
    """
    from medcolor.export.view import viewing
    from medcolor.progress import Silent
    from medcolor.run.integrity import refuse_unfinished
    from medcolor.storage import place_of

    source = place_of(volume)
    refuse_unfinished(source)
    return viewing(source, progress or Silent(), port)


def verify_volume(volume: PathLike, *, progress: ProgressReport | None = None) -> list[Verified]:
    """Check every byte of a coloured volume against its checksums.

    What is damaged is struck off the ledger beside the volume: `colorize_volume` with the same
    arguments then makes it again, and keeps the rest.

    Args:
        volume: OME-Zarr folder written by `colorize_volume`, or a folder of several; local or in a
            bucket.
        progress: Told the shards; by default nobody.

    Returns:
        What was found of each volume; `is_whole` tells whether anything is wrong.

    Raises:
        InputError: No coloured volume.
    """
    from medcolor.progress import Silent
    from medcolor.run.verify import verify
    from medcolor.storage import place_of

    return verify(place_of(volume), progress or Silent())
