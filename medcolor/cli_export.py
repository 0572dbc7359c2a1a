"""`medcolor export`."""

from __future__ import annotations

from typing import Annotated

import typer

from medcolor.cli_tell import tell


def export(
    volume: Annotated[str, typer.Argument(help="Volume written by colorize; local or s3://..")],
    target: Annotated[
        str, typer.Argument(help="*.nii, *.nii.gz, *.nrrd, *.tif, or a folder for PNG slices.")
    ],
    level: Annotated[int, typer.Option(min=0, help="Of the pyramid; 0 is the finest.")] = 0,
    force: Annotated[bool, typer.Option(help="Write over what is there.")] = False,
) -> None:
    """Write VOLUME as a file that other programs open: NIfTI, NRRD (3D Slicer), TIFF or PNG."""
    from medcolor.api import export_volume
    from medcolor.cli_progress import progress

    with progress() as told:
        tell(export_volume(volume, target, level=level, force=force, progress=told))
