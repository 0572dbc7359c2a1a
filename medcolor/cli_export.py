"""`medcolor export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    volume: Annotated[str, typer.Argument(help="Volume written by colorize; local or s3://..")],
    target: Annotated[
        str,
        typer.Argument(help="*.nii, *.nii.gz, *.nrrd, *.tif, or a folder for PNG or DICOM slices."),
    ],
    level: Annotated[int, typer.Option(min=0, help="Of the pyramid; 0 is the finest.")] = 0,
    folder_format: Annotated[
        str | None,
        typer.Option("--as", metavar="[png|dicom]", help="What a folder receives; by default png."),
    ] = None,
    rgb: Annotated[
        bool, typer.Option("--rgb", help="Opaque: leave alpha out (NIfTI RGB24, NRRD, TIFF, PNG).")
    ] = False,
    identity_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="DICOM file of the scan whose patient, study and frame of reference the DICOM "
            "series takes; without it the series names nobody.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over what is there.")] = False,
) -> None:
    """Write VOLUME as files that other programs open: NIfTI, NRRD (3D Slicer), TIFF, PNG, DICOM.

    The suffix of TARGET decides; of a folder, --as does. DICOM is a series of true-colour
    slices in their places, for viewers and archives.
    """
    from medcolor.api import export_volume
    from medcolor.cli_progress import progress
    from medcolor.export.options import ExportOptions, folder_format_of

    options = ExportOptions(
        rgb=rgb,
        folder_format=folder_format_of(folder_format),
        identity_from=identity_from,
    )
    with progress() as told:
        typer.echo(
            export_volume(volume, target, level=level, options=options, force=force, progress=told)
        )
