"""Whose photographs they are: the line that travels with what takes its colours from them."""

from __future__ import annotations

from medcolor.storage import Place, write_atomic

CREDITS = "CREDITS.txt"
_LINES, _MOST = 2, 300


def copy_credits(photographs: Place, prepared: Place) -> None:
    """Let the credit of frames travel with what was prepared from them."""
    file = _find(photographs)
    if file is not None:
        write_atomic(prepared / CREDITS, file.read_bytes())


def read_credit(photographs: Place) -> str:
    """Return the credit of photographs; empty if nobody is named.

    Args:
        photographs: Folder or index. Its `CREDITS.txt`, or that of the folder it lies in, names the
            library and its source in the first two lines, as `data pull` writes them.
    """
    file = _find(photographs)
    if file is None:
        return ""
    lines = file.read_bytes().decode("utf-8", errors="replace").splitlines()
    named = [line.strip().rstrip(".") for line in lines if line.strip()][:_LINES]
    return f"{'. '.join(named)[:_MOST]}." if named else ""


def _find(photographs: Place) -> Place | None:
    found = [folder / CREDITS for folder in (photographs, photographs.parent)]
    return next((file for file in found if file.is_file()), None)
