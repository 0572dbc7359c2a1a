"""Where the axes of an OME-Zarr image run to in the body: NGFF's RFC-4, written and read.

`"orientation": {"type": "anatomical", "value": "right-to-left"}` on an axis of space says from
where to where coordinates rise. https://ngff.openmicroscopy.org/rfc/4
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.domain import Affine
from medcolor.errors import InputError
from medcolor.volume.geometry import SIDES

_LETTERS = {
    "right-to-left": "L",
    "left-to-right": "R",
    "anterior-to-posterior": "P",
    "posterior-to-anterior": "A",
    "inferior-to-superior": "S",
    "superior-to-inferior": "I",
}
"""What is read, and the side each runs to. Words for animals and organs (dorsal, rostral, apical)
mean no certain direction in a human body."""

_LPS = {"z": "inferior-to-superior", "y": "anterior-to-posterior", "x": "right-to-left"}

_ROUGHLY_ALIGNED_DEG = 30.0
"""Angle between an axis and the body's from which it is left out: the RFC asks for bodies that are
roughly aligned to the axes."""

_log = logging.getLogger(__name__)


def orientations_of(affine: Affine) -> dict[str, dict[str, str]]:
    """Return what to write on the axes z, y, x of a volume in LPS; nothing if it lies aslant.

    Args:
        affine: Voxel index (x, y, z, 1) to mm in RAS.
    """
    columns = np.array(affine, float)[:3, :3]
    toward = np.diag(columns) / np.linalg.norm(columns, axis=0) * [-1, -1, 1]
    if not (toward > np.cos(np.radians(_ROUGHLY_ALIGNED_DEG))).all():
        return {}
    return {name: {"type": "anatomical", "value": value} for name, value in _LPS.items()}


def orientation_code(folder: Path, axes: list[dict[str, Any]], presumed: str) -> tuple[str, bool]:
    """Return where x, y and z run to, as three letters, and whether the image says all of it.

    Args:
        folder: What an error names.
        axes: Of the image, in any order; x, y, z among them.
        presumed: What holds where the image does not say.

    Raises:
        InputError: Two axes run along one of the body's; the image says one or two of them, and
            other than is presumed.
    """
    found = {str(axis["name"]).lower(): _letter(folder, axis) for axis in axes}
    stated = {name: found[name] for name in "xyz" if found[name]}
    of_body = [SIDES[letter][0] for letter in stated.values()]
    if len(set(of_body)) < len(of_body):
        raise InputError(
            folder, "two of its axes run along the same axis of the body", "Mend its metadata"
        )
    if len(stated) == 3:
        return "".join(stated.values()), True
    for name, letter in zip("xyz", presumed, strict=True):
        if stated.get(name, letter) != letter:
            raise InputError(
                folder,
                f"its metadata state that {name} runs to {stated[name]}, but nothing of all axes, "
                f"and volume.orientation is {presumed}",
                "Set volume.orientation to what is true of all three",
            )
    return presumed, False


def _letter(folder: Path, axis: dict[str, Any]) -> str:
    """Return the side to which an axis runs; nothing if it does not say, or not of a human body."""
    orientation = axis.get("orientation")
    if not isinstance(orientation, dict) or orientation.get("type") != "anatomical":
        return ""
    letter = _LETTERS.get(str(orientation.get("value")), "")
    if not letter:
        _log.warning(
            "%s: the orientation of an axis is in words that mean no certain direction in a human "
            "body; volume.orientation is taken for it",
            folder.name,
        )
    return letter
