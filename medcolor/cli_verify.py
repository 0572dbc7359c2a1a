"""`medcolor verify`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from medcolor.cli_tell import tell


def verify(
    volume: Annotated[
        str, typer.Argument(help="Volume written by colorize, or a folder of several; or s3://..")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Tell it as JSON.")] = False,
) -> None:
    """Check every byte of VOLUME; what is damaged, the command that made it makes good."""
    from medcolor.api import verify_volume
    from medcolor.cli_progress import progress

    with progress() as told:
        found = verify_volume(volume, progress=told)
    if as_json:
        tell(json.dumps([one.as_json() for one in found]))
    else:
        tell("\n".join(map(str, found)))
    raise typer.Exit(0 if all(one.is_whole for one in found) else 1)
