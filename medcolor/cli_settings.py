"""Options of commands that have settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from medcolor.config import RunSettings

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file (YAML).", show_default=False)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, e.g. volume.spacing_mm=[1,1,1]. Repeatable."),
]


def chosen_settings(config: Path | None, overrides: list[str] | None) -> RunSettings:
    """Return the settings of a file with single ones changed, or all defaults."""
    from medcolor.config import load_settings

    return load_settings(config, overrides or [])
