"""What a ledger records of a slab that is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medcolor.storage import Place, read_object


@dataclass(frozen=True)
class Marker:
    """Speaks for the files of a slab, and is written after them."""

    checksum: str
    """Of its voxels; empty for votes."""

    sizes: dict[str, int]
    """Bytes of its files, by their paths below the volume, or the votes."""

    def content(self, identity: str, seconds: float) -> dict[str, Any]:
        """Return what is written, with whose it is and the seconds that the slab took."""
        return {
            "identity": identity,
            "checksum": self.checksum,
            "seconds": round(seconds, 3),
            "bytes": self.sizes,
        }


def read_marker(place: Place, identity: str) -> Marker | None:
    """Read a marker; None if there is none, or of another identity, or one that records less."""
    found = read_object(place)
    if found is None or found.get("identity") != identity:
        return None
    try:
        sizes = {str(key): int(size) for key, size in found["bytes"].items()}
        return Marker(str(found["checksum"]), sizes)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
