"""Reading the tables that `medcolor evaluate color` prints."""

from __future__ import annotations

import re


def figures(table: str) -> dict[str, tuple[float, ...]]:
    """Return {method: (CIEDE2000, chroma, PSNR, ..)} of the last table."""
    rows = re.findall(r"^(\S[^\n]*?)((?:\s+(?:-?\d+\.\d+|nan)){9})$", table, re.MULTILINE)
    return {name: tuple(float(value) for value in values.split()) for name, values in rows}
