"""Slices and photographs as the network sees them: in square pixels, at the working size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from medcolor.body import (
    body_box,
    pad_to_cells,
    resize,
    resize_mask,
    square_shape,
    working_shape,
)
from medcolor.color import grey_of, srgb_to_lab
from medcolor.domain import Box, ReferenceSlice, TargetSlice
from medcolor.features.extract import Picture, extract_pyramids
from medcolor.features.network import PlacedNetwork
from medcolor.features.pyramid import FeaturePyramid
from medcolor.features.settings import FeatureSettings
from medcolor.gpu import on_device, upload
from medcolor.matching.settings import MatchingSettings


@runtime_checkable
class MatchedSettings(Protocol):
    """What decides which features a photograph needs."""

    @property
    def features(self) -> FeatureSettings:
        """What the network sees."""

    @property
    def matching(self) -> MatchingSettings:
        """Which levels are compared."""


@dataclass(frozen=True)
class Crop:
    """The body of a slice at the working size, in square pixels."""

    z: int
    box: Box
    grey: Float[np.ndarray, "row col"]
    matched: Float[np.ndarray, "row col"]
    body: Bool[np.ndarray, "row col"]

    @property
    def picture(self) -> Picture:
        """What the network sees."""
        return self.matched, self.body


def described_picture(target: TargetSlice) -> Picture:
    """Return what of a slice is described: as it is matched, uncut, in square pixels."""
    outline = _outline(target)
    return resize(target.matched_luminance, outline.shape), outline


def _outline(target: TargetSlice) -> Bool[np.ndarray, "row2 col2"]:
    """Return the body of a slice on square pixels."""
    if target.outline is not None:
        return target.outline
    return resize_mask(target.body, square_shape(target.body.shape, target.pixel))


def crop_slice(target: TargetSlice, settings: FeatureSettings) -> Crop | None:
    """Cut out the body and scale it to the working size; None without one."""
    box = body_box(target)
    if box is None:
        return None
    shape = working_shape(box, settings.working_size_px, pixel=target.pixel)
    grey, matched = (
        resize(image[box.slices], shape) for image in (target.luminance, target.matched_luminance)
    )
    outline = _outline(target)
    inside = outline[_on_grid(box, target.body.shape, outline.shape).slices]
    return Crop(target.z, box, grey, matched, resize_mask(inside, shape))


def _on_grid(box: Box, shape: tuple[int, int], other: tuple[int, int]) -> Box:
    """Return a box of an image of one shape in the same image of another."""
    rows, cols = (new / old for new, old in zip(other, shape, strict=True))
    first_row, first_col = int(box.row_start * rows), int(box.col_start * cols)
    return Box(
        first_row,
        max(first_row + 1, round(box.row_stop * rows)),
        first_col,
        max(first_col + 1, round(box.col_stop * cols)),
    )


@dataclass(frozen=True)
class PreparedReference:
    """A photograph at the working size, ready to be matched many times."""

    reference_id: str
    lab: Float[Tensor, "1 3 row col"]
    """Padded to whole cells, as the features are, and beside them."""

    pyramid: FeaturePyramid

    @property
    def nbytes(self) -> int:
        """Memory it takes, features and picture."""
        return self.lab.nbytes + self.pyramid.nbytes


def prepare_reference(
    reference: ReferenceSlice, network: PlacedNetwork, settings: MatchedSettings
) -> PreparedReference:
    """Scale a reference to the working size and extract its features."""
    return prepare_references([reference], network, settings)[0]


def prepare_references(
    references: Sequence[ReferenceSlice], network: PlacedNetwork, settings: MatchedSettings
) -> list[PreparedReference]:
    """Scale references to the working size and extract their features together."""
    small = [_scale(one, settings.features.working_size_px) for one in references]
    pictures = [(grey_of(rgb), tissue) for rgb, tissue in small]
    labs = [np.moveaxis(pad_to_cells(srgb_to_lab(rgb)), 2, 0)[None] for rgb, _ in small]

    def extract() -> list[PreparedReference]:
        pyramids = extract_pyramids(network, pictures, settings.matching.finest_features)
        if len(pyramids) > 1 and network.device.type != "cpu":
            pyramids = [one.apart() for one in pyramids]  # they are not forgotten together
        return [
            PreparedReference(
                one.reference_id, upload(np.ascontiguousarray(lab), network.device), pyramid
            )
            for one, lab, pyramid in zip(references, labs, pyramids, strict=True)
        ]

    return on_device(network.device, extract)


def _scale(
    reference: ReferenceSlice, size_px: int
) -> tuple[Float[np.ndarray, "row col 3"], Bool[np.ndarray, "row col"]]:
    rows, cols = reference.tissue.shape
    shape = working_shape(Box(0, rows, 0, cols), size_px)
    rgb = resize(reference.rgb, shape).astype(np.float32) / 255
    return rgb, resize_mask(reference.tissue, shape)
