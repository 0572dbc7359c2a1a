"""What the command says on standard output."""

from __future__ import annotations

import typer

from medcolor.errors import printable


def tell(words: object) -> None:
    """Print lines; what in them would steer a terminal, or is no character, appears as escapes.

    Names of files, and what stands in files, may hold anything.
    """
    typer.echo("\n".join(printable(line) for line in str(words).split("\n")))
