"""What the axes of an NRRD file are: three of space, and what lists several volumes.

Kinds of axes: https://teem.sourceforge.net/nrrd/format.html#kinds. 3D Slicer writes sequences and
diffusion as a `list`, ITK the components of vectors and colours as kinds of their own.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import InputError

Role = Literal["space", "channel", "time_point"]

_SPACE = ("domain", "space")
_VOLUMES = ("time", "list")
_UNSAID = ("none", "???", "")
_TIME_SPACE = "-time"


def space_of(header: dict[str, Any]) -> str:
    """Return the space without its time: LPST is LPS."""
    space = str(header.get("space", "")).lower()
    is_short = len(space) == 4 and space.endswith("t")
    return space[:-1] if is_short else space.removesuffix(_TIME_SPACE)


def directions_of(header: dict[str, Any], count: int) -> NDArray[np.float64] | None:
    """Return the direction of each axis in space, NaN of an axis that has none.

    Args:
        header: As pynrrd reads it.
        count: Of axes.

    Returns:
        (axis, 3); None where the file gives no directions, or not as many.
    """
    stated = header.get("space directions")
    if stated is None or len(stated) != count:
        return None
    found = np.full((count, 3), np.nan)
    for axis, direction in enumerate(stated):
        row = np.asarray([] if direction is None else direction, float).ravel()
        if row.size not in (0, 3, 4):
            return None
        if row.size and not (row.size == 4 and not row[:3].any()):  # the fourth is time
            found[axis] = row[:3]
    return found


def roles_of(path: object, header: dict[str, Any], shape: tuple[int, ...]) -> tuple[Role, ...]:
    """Tell for each axis whether it is of space, or what is chosen along it.

    Raises:
        InputError: Not three are of space, or several of one other kind.
    """
    kinds = [str(kind).lower() for kind in header.get("kinds") or [""] * len(shape)]
    if len(kinds) != len(shape):
        raise InputError(path, f"{len(kinds)} kinds, expected {len(shape)}", "Mend its header")
    directions = directions_of(header, len(shape))
    where = np.zeros((len(shape), 3)) if directions is None else directions
    has_none = np.asarray(np.isnan(where).any(axis=1))
    is_known = len(shape) == 3 or bool(has_none.any())
    roles = [
        _role(kind, axis, bool(none), is_known)
        for axis, (kind, none) in enumerate(zip(kinds, has_none, strict=True))
    ]
    others = [role for role, side in zip(roles, shape, strict=True) if role != "space" and side > 1]
    if roles.count("space") != 3 or len(set(others)) < len(others):
        words = " ".join(kind or "?" for kind in kinds)
        raise InputError(
            path,
            f"axes of kinds {words:.80}, expected 3 of space, and at most one of channels and one "
            "of time points",
            "Mend its kinds, or save one grey volume",
        )
    return tuple(roles)


def _role(kind: str, axis: int, has_none: bool, is_known: bool) -> Role:
    """Return what an axis is.

    Args:
        kind: In lower case.
        axis: Its number: numbers of one voxel come first, whole volumes last.
        has_none: Other axes have a direction in space, and this one none.
        is_known: Whether an axis of unsaid kind that may have a direction is one of space.
    """
    if kind in _VOLUMES:
        return "time_point"
    if kind in _UNSAID and has_none:
        return "channel" if axis == 0 else "time_point"
    if kind in _SPACE:
        return "time_point" if has_none else "space"
    return "space" if kind in _UNSAID and is_known else "channel"
