"""`medcolor data`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from medcolor.cli_tell import tell
from medcolor.errors import InputError

data_app = typer.Typer(no_args_is_help=True, help="Public data: the Visible Human.")


@data_app.command("list")
def data_list() -> None:
    """List datasets, modalities, regions with the numbers of their sections, and the terms."""
    from medcolor.data.catalog import describe_catalog

    tell(describe_catalog())


@data_app.command("pull")
def data_pull(
    name: Annotated[str, typer.Argument(help="A name of `medcolor data list`.")],
    output: Annotated[Path, typer.Argument(help="Folder to write, or to complete.")],
    modality: Annotated[str, typer.Option(help="What kind of images.")] = "cryosection",
    region: Annotated[str | None, typer.Option(help="Part of the body; or all of it.")] = None,
    numbers: Annotated[
        str | None, typer.Option("--range", help="Sections FROM-TO, e.g. 1001-1100.")
    ] = None,
    every_mm: Annotated[
        float | None, typer.Option(help="Distance of the images by their numbers; or all of them.")
    ] = None,
) -> None:
    """Fetch a part of NAME; what is there is kept, what was cut off is continued."""
    from medcolor.cli_progress import progress
    from medcolor.data.catalog import find_dataset
    from medcolor.data.pull import pull

    chosen = None
    if numbers is not None:
        match = re.fullmatch(r"(\d+)-(\d+)", numbers)
        if match is None:
            raise InputError(f"--range {numbers}", "expected FROM-TO", "Give e.g. 1001-1100")
        chosen = int(match[1]), int(match[2])
    dataset = find_dataset(name)
    with progress() as told:
        done = pull(
            dataset,
            output,
            told,
            modality=modality,
            region=region,
            numbers=chosen,
            every_mm=every_mm,
        )
    tell(done)
