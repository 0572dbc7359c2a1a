"""The volumes of a cohort's folder."""

from __future__ import annotations

from medcolor.storage import ObjectPath, Place

ENDING = ".ome.zarr"


def cohort_names(place: Place) -> list[str]:
    """Return the names of the volumes in a cohort's folder; none if it is a volume, or nothing."""
    if (place / "zarr.json").is_file() or not place.is_dir():
        return []
    if isinstance(place, ObjectPath):
        found = {key.split("/")[0] for key, _ in place.walk()}
    else:
        found = {path.name for path in place.iterdir()}
    return sorted(name for name in found if name.endswith(ENDING))
