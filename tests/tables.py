"""Reading the tables that `medcolor evaluate` prints."""

from __future__ import annotations

import re


def figures(table: str) -> dict[str, tuple[float, float]]:
    """Return {method: (CIEDE2000, chroma)}."""
    rows = re.findall(r"^(\S[^\n]*?)\s{2,}(\d+\.\d+)\s+(\d+\.\d+)$", table, re.MULTILINE)
    return {name: (float(first), float(second)) for name, first, second in rows}
