"""What part of a library that is asked for by name."""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.settings import Settings


@dataclass(frozen=True, kw_only=True)
class LibrarySettings(Settings):
    """Which photographs of a named library are fetched; a folder or an index has what it has."""

    region: str | None = None
    """Part of the body, as `medcolor data list` names them (`phantom`: head, trunk, whole);
    unset: the whole body. Less is fetched sooner, but the scan must show nothing else."""

    every_mm: float = 5.0
    """Distance between photographs. Those of the male's whole body, 1 mm apart, are several
    gigabytes."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not self.every_mm > 0:
            raise ValueError("every_mm must be > 0")
