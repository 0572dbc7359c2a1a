"""What lies about in a raw frame: the gray scale card, a paper label, markers in the gel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Mask = NDArray[np.bool_]

PATCHES = 20
"""Of the KODAK Gray Scale: densities 0.05, 0.15, .. 1.95."""

PAPERS = (
    (226, 240, 140), (240, 238, 232), (245, 190, 205), (244, 206, 150), (196, 232, 176),
    (250, 228, 96),
)  # fmt: skip
"""Yellow, white, pink, orange, green, strong yellow; sRGB."""


@dataclass(frozen=True)
class _Thing:
    """Something flat, turned and scaled, in the smallest upright box."""

    rgb: Picture
    mask: NDArray[np.bool_]


def patch_reflectances() -> NDArray[np.float64]:
    """Return the linear reflectances of the card's patches, white first."""
    return np.asarray(10 ** -(0.05 + 0.1 * np.arange(PATCHES)))


def draw_card(picture: Picture, body: Mask, rng: np.random.Generator) -> Mask | None:
    """Lay the card beside the body, at any side, turned, perhaps mirrored; None without room.

    Returns:
        Where it lies.
    """
    card = _card(rng)
    if rng.random() < 0.3:
        card = np.ascontiguousarray(card[:, ::-1])
    scale = rng.uniform(0.24, 0.34) * picture.shape[1] / card.shape[1]
    near = cv2.dilate(body.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for _ in range(100):
        thing = _turned(card, scale, float(rng.choice([0, 180, 90, 270]) + rng.uniform(-6, 6)))
        place = _place(picture.shape, thing, rng)
        if not (near[place] & thing.mask).any():
            return _paint(picture, thing, place)
    return None


def _card(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the card: a black frame, twenty patches, a grey back with print and three discs."""
    card = np.full((134, 430, 3), 26, np.uint8)
    reflectance = patch_reflectances()
    display = np.round(255 * (1.055 * reflectance ** (1 / 2.4) - 0.055))
    for number, value in enumerate(display[::-1]):
        card[8:58, 15 + 20 * number : 35 + 20 * number] = value
    card[58:126, 15:415] = 112
    for number, colour in enumerate(((205, 50, 110), (240, 230, 60), (30, 150, 160))):
        cv2.circle(card, (130 + 28 * number, 98), 10, colour, -1, cv2.LINE_AA)
    for number in range(PATCHES):
        place = (18 + 20 * number, 72)
        cv2.putText(card, str(19 - number), place, cv2.FONT_HERSHEY_PLAIN, 0.7, (40, 40, 40), 1)
    cv2.putText(card, "GRAY SCALE", (235, 108), cv2.FONT_HERSHEY_PLAIN, 1.4, (230, 230, 230), 2)
    card[90:112, 20:44] = round(rng.uniform(20, 240))
    return card


def draw_label(picture: Picture, taken: Mask, body: Mask, rng: np.random.Generator) -> Mask | None:
    """Lay a written paper label anywhere free, in part close to the body; None without room.

    Returns:
        Where it lies.
    """
    paper = _label(rng)
    scale = rng.uniform(0.06, 0.09) * picture.shape[1] / paper.shape[1]
    thing = _turned(paper, scale, rng.uniform(-7, 7))
    away = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, 5)
    most = 6.0 if rng.random() < 0.4 else np.inf
    for _ in range(3000):
        place = _place(picture.shape, thing, rng)
        if not (taken[place] & thing.mask).any() and away[place][thing.mask].min() <= most:
            return _paint(picture, thing, place)
    return None


def _label(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a paper with a darker upper edge and a number scribbled on it."""
    paper = np.empty((86, 110, 3), np.uint8)
    paper[:] = np.array(PAPERS[rng.integers(len(PAPERS))]) * rng.uniform(0.9, 1.0)
    paper[:12] = paper[:12] * rng.uniform(0.85, 1)
    ink = (30, 30, 40)
    text = str(rng.integers(1000, 3000))
    cv2.putText(paper, text, (8, 50), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 1.3, ink, 2, cv2.LINE_AA)
    cv2.line(paper, (18, 64), (92, int(rng.integers(56, 70))), ink, 2, cv2.LINE_AA)
    return paper


def draw_markers(picture: Picture, gel: Mask, rng: np.random.Generator) -> None:
    """Draw a white disc and brass markers into the gel."""
    rows, cols = np.nonzero(cv2.erode(gel.astype(np.uint8), np.ones((25, 25), np.uint8)))
    for number in range(3 if len(rows) else 0):
        at = rng.integers(len(rows))
        col, row = int(cols[at]), int(rows[at])
        if number == 0:
            cv2.circle(picture, (col, row), 10, (150, 165, 150), -1)
        else:
            cv2.line(picture, (col - 8, row - 3), (col + 8, row + 3), (150, 140, 105), 3)


def _turned(thing: NDArray[np.uint8], scale: float, turn_deg: float) -> _Thing:
    """Scale and turn a picture into the smallest upright box that holds it."""
    height, width = thing.shape[:2]
    place = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, scale)
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ place.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    place[:, 2] -= low
    cols, rows = (int(side) for side in np.ceil(high - low))
    drawn = cv2.warpAffine(
        thing, place, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mask = cv2.warpAffine(np.ones((height, width), np.float32), place, (cols, rows)) >= 0.5
    return _Thing(drawn.astype(np.float32), np.asarray(mask))


def _place(shape: tuple[int, ...], thing: _Thing, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a random place in the frame, as rows and columns."""
    rows, cols = thing.mask.shape
    row, col = (int(rng.integers(0, space)) for space in (shape[0] - rows, shape[1] - cols))
    return slice(row, row + rows), slice(col, col + cols)


def _paint(picture: Picture, thing: _Thing, place: tuple[slice, slice]) -> Mask:
    picture[place][thing.mask] = thing.rgb[thing.mask]
    where = np.zeros(picture.shape[:2], bool)
    where[place] = thing.mask
    return where
