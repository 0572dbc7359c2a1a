"""Who the phantom is: a few measures drawn from the seed, each in a plausible range.

All anatomy is written for one reference person of 1.75 m ("canonical" coordinates, see canvas.py);
these measures bend it into somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.phantom.drawing.fields import Number
from medcolor.phantom.drawing.noise import draw


@dataclass(frozen=True)
class Person:
    """Measures of one person. Scales multiply the reference person's size."""

    seed: int
    head_width: float
    head_length: float
    head_height: float
    face_height: float
    """Stretches everything from the eyes to the chin."""
    neck_width: float
    neck_length: float
    shoulder_width: float
    chest_width: float
    chest_depth: float
    waist_width: float
    belly_depth: float
    hip_width: float
    trunk_length: float
    fatness: float
    """Multiplies subcutaneous and visceral fat; 1 is lean, 2 is stout."""
    muscularity: float
    ventricle_size: float
    sulcus_width: float
    skull_thickness: float
    tilt: float
    """Sideways lean of the head, mm per mm of height."""
    nod: float
    """Forward lean of the head, mm per mm of height."""
    half_turn: float
    """Tangent of half the angle by which the head is turned."""
    breast: float
    """Size of the breasts; 0 has none."""

    def vary(self, name: str, low: Number, high: Number) -> float:
        """A further measure of this person in `low`..`high`, by its own random stream."""
        return round(low + (high - low) * draw(self.seed, name), 4)


_RANGES = {
    "head_width": (0.91, 1.07),
    "head_length": (0.91, 1.07),
    "head_height": (0.94, 1.05),
    "face_height": (0.90, 1.10),
    "neck_width": (0.90, 1.10),
    "neck_length": (0.85, 1.10),
    "shoulder_width": (0.90, 1.06),
    "chest_width": (0.88, 1.08),
    "chest_depth": (0.86, 1.14),
    "waist_width": (0.86, 1.13),
    "belly_depth": (0.82, 1.18),
    "hip_width": (0.92, 1.06),
    "trunk_length": (0.91, 1.07),
    "fatness": (0.5, 2.3),
    "muscularity": (0.85, 1.12),
    "ventricle_size": (0.75, 1.5),
    "sulcus_width": (0.75, 1.35),
    "skull_thickness": (0.85, 1.2),
    "tilt": (-0.05, 0.05),
    "nod": (-0.06, 0.06),
    "half_turn": (-0.05, 0.05),
}


def make_person(seed: int) -> Person:
    """The person of `seed`; every measure has its own stream, so adding one moves no other."""
    measures = {
        name: round(low + (high - low) * draw(seed, name), 4)
        for name, (low, high) in _RANGES.items()
    }
    has_breasts = draw(seed, "has_breasts") < 0.5
    breast = round(0.6 + 0.5 * draw(seed, "breast"), 4) if has_breasts else 0.0
    return Person(seed=seed, breast=breast, **measures)
