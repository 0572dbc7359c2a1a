"""Optional parts of an installation, by pip's extras: what they need, and what names them."""

from __future__ import annotations

import importlib.util
import sys

from medcolor.errors import InputError

MODULES = {
    "ray": ("ray",),
    "render": ("pyvista", "vtkmodules", "av"),
    "cloud": ("obstore",),
    "dicom": ("pydicom", "gdcm"),
}
"""By extra, the modules that its packages bring; pyproject.toml names the packages."""


def missing_modules(extra: str) -> list[str]:
    """Return which modules of an extra are not installed; nothing is imported."""
    return [name for name in MODULES[extra] if not _is_installed(name)]


def require(extra: str, place: object, what: str) -> None:
    """Refuse work that needs an extra which is not installed, before any of it is done.

    Args:
        extra: A key of MODULES.
        place: What the error names.
        what: Needs it, in the words of the error.

    Raises:
        InputError: Naming the pip command that brings it.
    """
    missing = missing_modules(extra)
    if missing:
        raise InputError(
            place,
            f"{what} needs {', '.join(missing)}: not installed",
            f"Run: {install_command(extra)}",
        )


def install_command(*extras: str) -> str:
    """Return the command that brings extras."""
    return f"pip install 'medcolor[{','.join(extras)}]'"


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
