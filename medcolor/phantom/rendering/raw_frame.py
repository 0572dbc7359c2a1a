"""Raw frames of a cryomacrotome around a phantom's cut face, in the manner of the Visible Human's.

The body lies in a block of blue gel with frost and dark blotches, the block in black surroundings
beside a rail; a gray scale card and a paper label may lie on it. Then comes the light: its colour,
its brightness, its fall-off, the noise of the camera. Where the body is, is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medcolor.color import linear_to_srgb, srgb_to_linear
from medcolor.phantom.rendering.raw_objects import draw_card, draw_label, draw_markers
from medcolor.phantom.tissues import Tissue

Picture = NDArray[np.float32]
"""sRGB, 0..255, (row, col, channel)."""

SHAPE = (608, 1024)
"""Half the Visible Human's."""

_MOST_SCALE = 5.0
"""Pixels a voxel: at 4 mm about the Visible Human's own scale; beyond it voxels would show."""


@dataclass(frozen=True)
class RawFrame:
    """A frame and what is true of it."""

    rgb: NDArray[np.uint8]
    """(row, col, channel); rows run from posterior to anterior."""
    body: NDArray[np.bool_]
    light: tuple[float, float, float]
    """Red, green and blue of the light in the middle, linear; 1 is neutral and full."""
    has_card: bool
    has_label: bool


def make_raw_frame(section: NDArray[np.uint8], labels: NDArray[np.uint8], *, seed: int) -> RawFrame:
    """Photograph one cut face.

    Args:
        section: sRGB of the face on gel, (row, col, channel), radiological view.
        labels: its tissues, (row, col).
        seed: of everything but the body.
    """
    rng = np.random.default_rng(seed)
    gel = _gel(rng)
    picture = _surroundings(rng)
    block = _block(rng)
    cv2.copyTo(gel, block.astype(np.uint8), picture)
    picture, body = _lay_body(picture, gel, block, section, labels, rng)
    draw_markers(picture, block & ~body, rng)
    card = draw_card(picture, body, rng) if rng.random() < 0.75 else None
    taken = body if card is None else body | card
    label = draw_label(picture, taken, body, rng) if rng.random() < 0.8 else None
    rgb, light = _expose(picture, rng)
    return RawFrame(rgb, body, light, card is not None, label is not None)


def _noise(rng: np.random.Generator, period_px: float) -> Picture:
    """Return smooth noise of about unit variance over the frame."""
    rows, cols = (max(2, round(side / period_px)) for side in SHAPE)
    coarse = rng.normal(0, 1.4, (rows, cols)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _gel(rng: np.random.Generator) -> Picture:
    """Blue gel: its hue, clouds, frozen streaks, veins of frost, dark blotches."""
    base = np.array([34, 96, 136]) * rng.uniform(0.7, 1.25) + rng.uniform(-14, 14, 3)
    clouds = 1 + 0.18 * _noise(rng, 130.0) + 0.08 * _noise(rng, 22.0) + 0.05 * _noise(rng, 6.0)
    picture = np.maximum(base, 12) * np.clip(clouds, 0.35, 1.8)[..., None]
    veins = np.exp(-((_noise(rng, 45.0) / 0.1) ** 2)) * rng.uniform(0.0, 0.5)
    picture += (np.array([120, 175, 190]) - picture) * veins[..., None]
    dark = np.zeros(SHAPE, np.float32)
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    for _ in range(rng.integers(0, 5)):
        row, col = rng.uniform(0.1, 0.9, 2) * SHAPE
        reach = rng.uniform(15, 45)
        distance = ((rows - row) ** 2 + (cols - col) ** 2) / reach**2
        dark = np.maximum(dark, np.exp(-distance) * rng.uniform(0.6, 1))
    picture += (np.array([22, 28, 33]) - picture) * dark[..., None]
    return np.asarray(picture, np.float32)


def _surroundings(rng: np.random.Generator) -> Picture:
    """Black all round, with a frosted rail and its specks at the left."""
    picture = np.full((*SHAPE, 3), rng.uniform(10, 20, 3), np.float32)
    picture += 2 * _noise(rng, 200.0)[..., None]
    left = round(rng.uniform(0.05, 0.11) * SHAPE[1])
    right = left + round(rng.uniform(0.01, 0.04) * SHAPE[1])
    frost = np.clip(70 + 45 * _noise(rng, 12.0), 8, 190)[:, left:right, None]
    picture[:, left:right] = frost * np.array([0.75, 1.0, 1.05], np.float32)
    for _ in range(120):
        row, col = rng.integers(0, SHAPE[0]), rng.integers(0, right)
        colour = rng.uniform(30, 140, 3).tolist()
        cv2.circle(picture, (int(col), int(row)), int(rng.integers(0, 2)), colour, -1)
    return picture


def _block(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return the gel block: an upright rectangle with cut corners and a rough upper edge."""
    rows, cols = SHAPE
    top, bottom = rng.uniform(0.01, 0.05) * rows, rng.uniform(0.84, 0.96) * rows
    left, right = rng.uniform(0.1, 0.14) * cols, rng.uniform(0.88, 0.95) * cols
    cut = rng.uniform(0.02, 0.05, 8) * cols
    corners = [
        (left + cut[0], top), (right - cut[1], top), (right, top + cut[2]),
        (right, bottom - cut[3]), (right - cut[4], bottom), (left + cut[5], bottom),
        (left, bottom - cut[6]), (left, top + cut[7]),
    ]  # fmt: skip
    mask = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return np.asarray(mask > 0)


def _lay_body(
    picture: Picture,
    gel: Picture,
    block: NDArray[np.bool_],
    section: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    rng: np.random.Generator,
) -> tuple[Picture, NDArray[np.bool_]]:
    """Put the face, turned a little, into the block; hollows show this block's gel."""
    solid = (labels != Tissue.AIR) & (labels != Tissue.CAVITY)
    place = _placement(labels[::-1] != Tissue.AIR, block, rng)
    size = SHAPE[::-1]
    cover = cv2.warpAffine(solid[::-1].astype(np.float32), place, size, flags=cv2.INTER_CUBIC)
    outline = (labels[::-1] != Tissue.AIR).astype(np.float32)
    body = cv2.warpAffine(outline, place, size, flags=cv2.INTER_CUBIC) >= 0.5
    face = cv2.warpAffine(section[::-1].astype(np.float32), place, size, flags=cv2.INTER_LINEAR)
    under = np.where(body[..., None], gel, picture)
    share = np.clip(cover * 2 - 0.5, 0, 1)[..., None]
    return (under + (face - under) * share).astype(np.float32), body


def _placement(
    outline: NDArray[np.bool_], block: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the affine map that lays the outline's box into the upper part of the block."""
    rows, cols = (np.flatnonzero(outline.any(axis=axis)) for axis in (1, 0))
    inside = [np.flatnonzero(block.any(axis=axis)) for axis in (1, 0)]
    room = [0.76 * len(inside[0]), 0.95 * len(inside[1])]
    fit = min(room[0] / (np.ptp(rows) + 1), room[1] / (np.ptp(cols) + 1))
    scale = min(fit * rng.uniform(0.75, 1), _MOST_SCALE)
    middle = (float(cols.mean()), float(rows.mean()))
    place = cv2.getRotationMatrix2D(middle, rng.uniform(-4, 4), scale)
    spare = [
        (space - scale * (np.ptp(r) + 1)) / 2 for space, r in zip(room, (rows, cols), strict=True)
    ]
    row = inside[0][0] + 0.04 * len(inside[0]) + room[0] / 2 + spare[0] * rng.uniform(-0.8, 0.8)
    col = inside[1].mean() + spare[1] * rng.uniform(-0.8, 0.8)
    place[:, 2] += (col - middle[0], row - middle[1])
    return np.asarray(place)


def _expose(
    picture: Picture, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], tuple[float, float, float]]:
    """Light the scene and photograph it."""
    light = rng.uniform(0.65, 1.05) * np.array(
        [rng.uniform(0.87, 1.15), 1, rng.uniform(0.87, 1.15)]
    )
    rows, cols = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    shade = 1 - rng.uniform(0, 0.12) * (rows**2 + cols**2)
    linear = srgb_to_linear(np.clip(picture, 0, 255) / 255) * light * shade[..., None]
    noisy = 255 * linear_to_srgb(linear) + rng.normal(0, rng.uniform(0.5, 2.5), picture.shape)
    red, green, blue = (float(value) for value in light)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8), (red, green, blue)
