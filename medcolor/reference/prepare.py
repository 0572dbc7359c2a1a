"""One photograph of a cross-section: find the body, turn it like the scan, crop it.

The background may be white, black or blue gel: whatever colour the border of the
frame has and is reachable from it. Cavities that were painted or filled with gel
are air, and give their colour to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from medcolor.body import bounding_box, largest_parts
from medcolor.color import srgb_to_lab
from medcolor.domain import ReferenceSlice, check_orientation
from medcolor.errors import EmptyFrameError
from medcolor.settings import Settings

_LEAST_BODY_SHARE = 0.002


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(Settings):
    """How photographs are read."""

    orientation: str = "LAI"
    """Where columns, rows and numbers of the frames run to: L/R, P/A, S/I. LAI is the
    Visible Human: rows run from posterior to anterior (flipped against CT), numbers
    from head to feet. LPS is a frame that already looks like a radiological image."""

    numbers_are_mm: bool = True
    """Whether the number in a frame's name is its position along the body in mm."""

    background_tolerance: float = 14.0
    """Distance in CIE Lab from the border's colour up to which a pixel is background."""

    air_blueness: float = 4.0
    """A pixel whose b* lies below minus this is gel or paint, not tissue."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        check_orientation(self.orientation)
        if self.background_tolerance <= 0:
            raise ValueError("background_tolerance must be > 0")


def prepare_photograph(
    rgb: UInt8[np.ndarray, "row col 3"], reference_id: str, settings: ReferenceSettings
) -> ReferenceSlice:
    """Mask, orient and crop one frame.

    Raises:
        EmptyFrameError: If nothing but background, gel or paint is found.
    """
    if settings.orientation[0] == "R":
        rgb = rgb[:, ::-1]
    if settings.orientation[1] == "A":
        rgb = rgb[::-1]
    rgb = np.ascontiguousarray(rgb)
    lab = srgb_to_lab(rgb.astype(np.float32) / 255)
    body = largest_parts(~_background(lab, settings.background_tolerance))
    box = bounding_box(body)
    if box is None or body.mean() < _LEAST_BODY_SHARE:
        raise EmptyFrameError(
            reference_id,
            "one colour throughout, expected a cross-section on a plain background",
            "Take the frame out of the folder",
        )
    tissue = body & (lab[..., 2] > -settings.air_blueness)
    if not tissue.any():
        raise EmptyFrameError(reference_id, "no tissue, only gel or paint", "Take the frame out")
    return ReferenceSlice(reference_id, rgb[box.slices], tissue[box.slices])


def _background(
    lab: Float[np.ndarray, "row col 3"], tolerance: float
) -> Bool[np.ndarray, "row col"]:
    """Return the pixels of the border's colour that are connected to the border."""
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    distance = np.sqrt(((lab - np.median(border, axis=0)) ** 2).sum(axis=-1))
    like = distance < tolerance
    return np.asarray(like & ~_enclosed(like))


def _enclosed(mask: Bool[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Return the parts of `mask` that do not reach the border."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    open_labels = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    is_open = np.zeros(count, bool)
    is_open[open_labels] = True
    return np.asarray(mask & ~is_open[labels])
