"""What kind of scan it is: CT in Hounsfield units, or values of a scanner's own.

The user's word counts most, then the header's, then how the values are distributed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from medcolor.volume.hounsfield import are_hounsfield
from medcolor.volume.settings import VolumeSettings

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
