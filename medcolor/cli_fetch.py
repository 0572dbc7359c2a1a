"""`medcolor fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medcolor.cli_tell import tell
from medcolor.errors import InputError


def fetch(
    source: Annotated[str, typer.Argument(help="Pictures or volume: s3://.., gs://.., az://..")],
    target: Annotated[Path | None, typer.Argument(help="Folder to write, or to complete.")] = None,
    only: Annotated[
        str, typer.Option(help="Of a picture set: all, video, frames, sections or page.")
    ] = "all",
    latest: Annotated[
        bool, typer.Option("--latest", help="Of several picture sets the one finished last.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List, and fetch nothing.")] = False,
) -> None:
    """Bring pictures or volumes from object storage; what is there is kept, all is verified."""
    from medcolor import fetch as fetching
    from medcolor.cli_progress import progress
    from medcolor.storage import ObjectPath, place_of

    place = place_of(source)
    if not isinstance(place, ObjectPath):
        raise InputError(place, "is here already", "Give s3://.., gs://.. or az://..")
    part = next((one for one in fetching.PARTS if one == only), None)
    if part is None:
        raise InputError(f"--only {only}", "no such part", f"Give {', '.join(fetching.PARTS)}")
    if latest:
        place = fetching.latest_set(place)
        tell(place)
    if listing:
        for one in fetching.list_objects(place, part):
            tell(f"{one.size:>12}  {one.key}")
        return
    if target is None:
        raise InputError("fetch", "no folder to write to", "Give TARGET, or --list")
    with progress() as told:
        done = fetching.fetch(place, target, told, part=part)
    tell(done)
