"""Light of a frame, and the drawings that it is the mean of.

Cinematic light is VTK's volumetric scattering: every sample asks how much light reaches it through
the volume, so that shadows are cast. VTK hides the steps of its rays behind a pattern on the
screen, which scattered light makes coarse. Here a frame is the mean of several drawings without
it, each with steps of another length, edges moved within a pixel, and the lamp elsewhere: steps
and stairs average away, and shadows are soft.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Light = Literal["studio", "cinematic", "flat"]

SCATTERING = 1.0
"""VTK's blending of shading by gradients (0) and by scattering (2)."""

REACH = 0.15
"""How far light is followed toward the lamp, of the volume's diagonal."""

_STEP = 1 / 0.35
"""Mean length of a ray's steps in one of several drawings, of that in a single one."""

_STEPS_VARY = 0.5
"""Longest less shortest, of the mean."""

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

    offset_px: tuple[float, float] = (0.0, 0.0)
    """By how much the picture is moved to the left and down, -0.5..0.5."""

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
    """Return a drawing; lamps, offsets and steps are spread evenly, whatever the count."""
    part, turn = (number + 0.5) / count, number * _GOLDEN % 1
    radius, angle = _LAMP_DEG * math.sqrt(part), 2 * math.pi * turn
    left, above = light_deg
    lamp = left + radius * math.cos(angle), above + radius * math.sin(angle)
    is_fill = number % _FILL_EVERY == _FILL_EVERY - 1
    return Pass(
        (0.0, 0.0) if is_fill else lamp,
        (part - 0.5, (turn + 0.5) % 1 - 0.5),
        _STEP * (1 + _STEPS_VARY * (turn - 0.5)),
    )
