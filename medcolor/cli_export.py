"""`medcolor export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medcolor.cli_tell import tell


def export(
    volume: Annotated[str, typer.Argument(help="Volume written by colorize; local or s3://..")],
    target: Annotated[
        str,
        typer.Argument(
            help="*.nii, *.nii.gz, *.nrrd, *.tif; *.glb, *.ply: a surface; or a folder for PNG or "
            "DICOM slices."
        ),
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
    tissue: Annotated[
        str | None,
        typer.Option(
            metavar="[skin|muscle|organs|bone]",
            help="Of what a surface is made, as scenes know it; by default skin.",
        ),
    ] = None,
    triangles: Annotated[
        int | None, typer.Option(min=4, help="Most of them in a surface; by default all.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over what is there.")] = False,
) -> None:
    """Write VOLUME as files that other programs open: NIfTI, NRRD (3D Slicer), TIFF, PNG, DICOM.

    The suffix of TARGET decides; of a folder, --as does. DICOM is a series of true-colour
    slices in their places, for viewers and archives. GLB (Blender, the web) and PLY (3-D
    printers) are coloured surfaces; --level 1 and --triangles make them smaller.
    """
    from medcolor.api import export_volume
    from medcolor.cli_progress import progress
    from medcolor.export.options import ExportOptions, folder_format_of, tissue_of

    options = ExportOptions(
        rgb=rgb,
        folder_format=folder_format_of(folder_format),
        identity_from=identity_from,
        tissue=tissue_of(tissue),
        triangles=triangles,
    )
    with progress() as report:
        tell(
            export_volume(
                volume, target, level=level, options=options, force=force, progress=report
            )
        )
