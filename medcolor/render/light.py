"""Light of a frame, and the drawings that it is the mean of.

Cinematic light is VTK's volumetric scattering: for every sample the light that reaches it through
the volume is found, so that shadows are cast. VTK hides the steps of its rays behind a pattern that
stands still on the screen, and scattered light makes it strong. So a frame is the mean of several
drawings, each moved by a pixel and moved back: neighbours of the pattern fall on one point of the
body and cancel, and a bilateral filter takes what is left. The lamp moves, too, which makes it
large and its shadows soft.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from medcolor.render.scene import Light

SCATTERING = 1.0
"""VTK's blending of shading by gradients (0) and by scattering (2)."""

REACH = 0.15
"""How far light is followed toward the lamp, of the volume's diagonal."""

INTENSITY = 1.2
"""Of the lamp: scattering takes that much of its light."""

_STEP = 1 / 0.35
"""Length of a ray's steps in one of several drawings, of that in a single one."""

_CORNERS_PX = ((0, 0), (1, 1), (1, 0), (0, 1))
"""Columns and rows: those of VTK's pattern that cancel best."""

_LEFT = 25.0
"""Of the pattern, in levels of 255: larger steps of the picture are edges, and stay."""

_LAMP_DEG = 20.0
"""Radius of the lamp, seen from the body."""

_FILL_EVERY = 4
"""Each so many drawings the light is the camera's own: shadows are not black."""

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Pass:
    """One drawing of a frame."""

    light_deg: tuple[float, float]
    """Where light comes from, as of the scene."""

    shift_px: tuple[int, int] = (0, 0)
    """By how many pixels the picture is moved to the left and down, >= 0."""

    offset_px: tuple[float, float] = (0.0, 0.0)
    """The same within a pixel, -0.5..0.5: it smooths edges, and is not undone."""

    step: float = 1.0
    """Length of the steps of a ray, of the scene's."""


def passes_of(light: Light, light_deg: tuple[float, float], count: int) -> tuple[Pass, ...]:
    """Return the drawings of one frame.

    Args:
        light: Cinematic frames are drawn `count` times, others once.
        light_deg: Where the lamp stands, to the left of the camera and above it.
        count: At least 1.
    """
    if light != "cinematic":
        return (Pass(light_deg),)
    return tuple(_pass(number, light_deg, count) for number in range(count))


def _pass(number: int, light_deg: tuple[float, float], count: int) -> Pass:
    """Return a drawing; lamps and offsets are spread evenly, whatever the count."""
    part, turn = (number + 0.5) / count, number * _GOLDEN % 1
    radius, angle = _LAMP_DEG * math.sqrt(part), 2 * math.pi * turn
    left, above = light_deg
    lamp = left + radius * math.cos(angle), above + radius * math.sin(angle)
    is_fill = number % _FILL_EVERY == _FILL_EVERY - 1
    return Pass(
        (0.0, 0.0) if is_fill else lamp,
        _shift(number),
        (part - 0.5, (turn + 0.5) % 1 - 0.5),
        _STEP,
    )


def _shift(number: int) -> tuple[int, int]:
    """Return the corners of a square, then of squares twice as large: dense whatever the count.

    The first is none, so that no pixel at the border is without a drawing.
    """
    left, down, side = 0, 0, 1
    while number:
        corner = _CORNERS_PX[number % 4]
        left, down = left + side * corner[0], down + side * corner[1]
        number, side = number // 4, 2 * side
    return left, down


class Mean:
    """The mean of drawings that were moved, each moved back."""

    def __init__(self, size_px: int) -> None:
        """Begin with none."""
        self._total = np.zeros((size_px, size_px, 3), np.float32)
        self._count = np.zeros((size_px, size_px, 1), np.float32)

    def add(self, picture: UInt8[np.ndarray, "row col 3"], shift_px: tuple[int, int]) -> None:
        """Add a drawing that was moved to the left and down; what left the picture is not in it."""
        left, down = shift_px
        size = len(picture)
        whole = slice(0, size - down), slice(left, size)
        self._total[whole] += picture[down:, : size - left]
        self._count[whole] += 1

    def value(self) -> Float[np.ndarray, "row col 3"]:
        """Return the mean, 0..255."""
        return np.asarray(self._total / self._count)

    def picture(self) -> UInt8[np.ndarray, "row col 3"]:
        """Return the mean, without what is left of the pattern."""
        smooth = cv2.bilateralFilter(self.value(), 5, _LEFT, 1.5)
        return np.asarray(np.rint(smooth), np.uint8)
