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
from medcolor.domain import ReferenceSlice
from medcolor.errors import EmptyFrameError
from medcolor.reference.orientation import VIEW, check_frame_orientation, to_view
from medcolor.settings import Settings

_VISIBLE_HUMAN = "LAI"
_LEAST_BODY_SHARE = 0.002


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(Settings):
    """How photographs are read."""

    orientation: str = "auto"
    """Where columns, rows and numbers of the frames run to: one of L/R, one of P/A, one of S/I;
    the first two in either order. LAI is the Visible Human: rows run from posterior to anterior
    (flipped against CT), numbers from head to feet. LPS is a frame that already looks like a
    radiological image. auto: found from the scan; left and right as in LAI or LPS where the
    body is too symmetric to tell. Read as LAI where there is no stack to find it from."""

    background_tolerance: float = 14.0
    """Distance in CIE Lab from the border's colour up to which a pixel is background."""

    air_blueness: float = 4.0
    """A pixel whose b* lies below minus this is gel or paint, not tissue."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        check_frame_orientation(self.orientation)
        if self.background_tolerance <= 0:
            raise ValueError("background_tolerance must be > 0")

    @property
    def presumed_orientation(self) -> str:
        """Three letters: those given, or of the Visible Human."""
        return _VISIBLE_HUMAN if self.orientation == "auto" else self.orientation


def prepare_photograph(
    rgb: UInt8[np.ndarray, "row col 3"],
    reference_id: str,
    settings: ReferenceSettings,
    turn: str = VIEW,
) -> ReferenceSlice:
    """Mask, orient and crop one frame.

    Args:
        rgb: The frame.
        reference_id: Its name.
        settings: How it is presumed to lie, and what is background.
        turn: How it was found to lie once read as presumed: one of `orientation.CODES`.

    Raises:
        EmptyFrameError: If nothing but background, gel or paint is found.
    """
    rgb = to_view(to_view(rgb, settings.presumed_orientation[:2]), turn)
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
