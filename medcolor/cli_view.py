"""`medcolor view`."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Annotated

import typer

from medcolor.cli_tell import tell


def view(
    volume: Annotated[str, typer.Argument(help="Volume written by colorize, on this machine.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To listen at; 0 takes a free one.")
    ] = 0,
) -> None:
    """Serve VOLUME to this machine's browser, and print links to Neuroglancer and NiiVue.

    The viewers are pages of the web, which your browser loads when you follow a link; the volume
    goes from this machine to this machine alone. Chrome, Edge and Firefox; Safari refuses.
    """
    from medcolor.api import view_volume
    from medcolor.cli_progress import progress

    with ExitStack() as stack:
        with progress() as report:
            shown = stack.enter_context(view_volume(volume, port=port, progress=report))
        tell(f"Neuroglancer  {shown.neuroglancer}")
        tell(f"NiiVue        {shown.niivue}")
        tell(f"OME-Zarr      {shown.store}")
        tell(f"NIfTI         {shown.nifti}")
        tell("Served to this machine alone until Ctrl-C.")
        with suppress(KeyboardInterrupt):
            shown.server.serve_forever()
