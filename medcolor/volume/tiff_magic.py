"""How a TIFF file begins."""

from __future__ import annotations

_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(head: bytes) -> bool:
    """Tell a TIFF or BigTIFF by its first bytes."""
    return head[:4] in _MAGICS
