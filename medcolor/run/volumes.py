"""The volumes of a cohort's folder."""

from __future__ import annotations

from medcolor.storage import ObjectPath, Place, plain_name

ENDING = ".ome.zarr"


def cohort_names(place: Place) -> list[str]:
    """Return the names of the volumes in a cohort's folder; none if it is a volume, or nothing.

    Raises:
        InputError: What is before the ending of one is no plain name: `...ome.zarr` is the parent.
    """
    if (place / "zarr.json").is_file() or not place.is_dir():
        return []
    if isinstance(place, ObjectPath):
        found = {key.split("/")[0] for key, _ in place.walk()}
    else:
        found = {path.name for path in place.iterdir()}
    names = sorted(name for name in found if name.endswith(ENDING))
    for name in names:
        plain_name(name.removesuffix(ENDING), place / name, "Rename it")
    return names
