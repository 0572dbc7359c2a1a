"""What kind of scan it is: CT in Hounsfield units, or values of a scanner's own; and its padding.

The user's word counts most, then the header's, then how the values are distributed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from medcolor.domain import OUTSIDE, GrayVolume
from medcolor.errors import InputError
from medcolor.volume.hounsfield import are_hounsfield
from medcolor.volume.padding import Padding, find_corner_fill, find_lowest_fill
from medcolor.volume.settings import VolumeSettings

HU_BODY = -500.0
"""Half way between air and skin: where the smoothed edge of the body lies."""

_HU_AIR = -1100.0, -900.0
_log = logging.getLogger(__name__)

_SELDOM_BUT_CT = -20.0
"""Other scans hold few values below."""


@dataclass(frozen=True)
class Kind:
    """Unit of the values of a scan, and who says so."""

    unit: Literal["HU", "raw"]
    """Hounsfield units, or a scanner's own."""

    origin: str
    """In words."""

    doubt: str = ""
    """Why it may be otherwise, in words; empty if there is no reason to think so."""


def find_kind(
    values: Float[np.ndarray, " sample"],
    settings: VolumeSettings,
    unit: Literal["HU", "raw"] = "raw",
    modality: str = "",
) -> Kind:
    """Find the kind of a scan.

    Args:
        values: Sampled from all of it, padding left out.
        settings: `kind` is the user's word.
        unit: That the header names; raw if it names none.
        modality: As DICOM has it; empty if the header does not say.
    """
    if settings.kind != "auto":
        return Kind("HU" if settings.kind == "ct" else "raw", f"volume.kind={settings.kind}")
    if unit == "HU":
        return Kind("HU", "header")
    # Of a phase image of MRI the values lie as those of CT do.
    if modality not in ("", "CT"):
        return Kind("raw", f"header: {modality}")
    if are_hounsfield(values):
        return Kind("HU", "distribution of its values")
    return Kind("raw", "distribution of its values", _doubt(values, modality))


def _doubt(values: Float[np.ndarray, " sample"], modality: str) -> str:
    """Return what speaks for CT though the distribution does not."""
    if modality == "CT":
        return "the header says CT, but not that its values are Hounsfield units"
    low = float(np.percentile(values, 1))
    if low > _SELDOM_BUT_CT:
        return ""
    return f"values from {low:.4g} on, but not distributed as Hounsfield units of a body"


def find_kind_and_padding(
    slices: Sequence[Float[np.ndarray, "_row _col"]], volume: GrayVolume, settings: VolumeSettings
) -> tuple[Kind, Padding | None]:
    """Find the kind of a scan and the fill that its header does not name; warn of guesses.

    Args:
        slices: Sampled from all of it, with their borders.
        volume: Of which they are.
        settings: `kind` and `padding` are the user's word.

    Raises:
        InputError: If nothing was scanned.
    """
    values = np.concatenate([one.ravel() for one in slices])
    values = values[values != OUTSIDE]
    if not len(values):
        raise InputError(volume.source, "nothing but padding", "Give a scan that shows something")
    about = settings, volume.unit, str(volume.facts.get("modality", ""))
    padding = _padding_below(slices, settings)
    kind = find_kind(values if padding is None else values[~padding.holds(values)], *about)
    is_found = settings.padding == "auto"
    if is_found and padding is not None and _HU_AIR[0] <= padding.value <= _HU_AIR[1]:
        # Air that was made even, or cut off, looks like a fill; a fill of this value is good air.
        as_air = find_kind(values, *about)
        kind, padding = (as_air, None) if as_air.unit == "HU" else (kind, padding)
    if is_found and padding is None and kind.unit == "HU":
        padding = find_corner_fill(slices, above=HU_BODY)
    if kind.doubt:
        _log.warning(
            "scan: %s; taken for a scanner's own units. If they are Hounsfield units: "
            "--set volume.kind=ct",
            kind.doubt,
        )
    # Nothing is emptier than air: of CT a fill below it is no guess.
    if is_found and padding is not None and (kind.unit != "HU" or padding.only_at_border):
        _log.warning(
            "scan: %g, %.1f %% of the voxels, is taken to stand where nothing was scanned. "
            "If it was: --set volume.padding=none",
            padding.value,
            100 * padding.holds(values).mean(),
        )
    return kind, padding


def _padding_below(
    slices: Sequence[Float[np.ndarray, "_row _col"]], settings: VolumeSettings
) -> Padding | None:
    """Return the fill that is given, or the one found below all that was scanned."""
    if settings.padding == "auto":
        return find_lowest_fill(slices)
    if settings.padding == "none":
        return None
    return Padding(settings.padding, settings.padding, only_at_border=False)
