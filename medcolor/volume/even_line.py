"""Even places along a line, from positions that headers have rounded.

Two decimals fewer make 1.25 mm gaps of 1.2 and 1.3 mm. So it is not the gaps that are held
to one size, but the positions to the even line that fits them best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from medcolor.errors import InputError

_TOLERANCE = 0.1
"""Of the distance between two slices: how far from its even place one may lie."""

_TOLERANCE_MM = 1e-3
_ROUNDED = 0.2
"""The same of positions in which rounding to the decimals that they have explains the distance.
One slice missing of a stack leaves four or more a quarter or farther from any even line."""

_EXACT_MM = 1e-6
_DECIMALS = (0, 1, 2, 3)
_WORTH_TELLING = 0.01
"""Of the distance between two slices: farther from an even place than this is worth a word."""

_MOST_SLICES = 100_000
HARDLY = 1e-3
"""Of the distance between two slices: nearer than this to one, it is that one."""

RESAMPLE = "Fetch what is missing, or resample: --set volume.uneven=resample"
Between = tuple[tuple[int, int, float], ...]
"""Of each slice of an even stack: the one below, the one above, and the weight of the latter."""


@dataclass(frozen=True)
class EvenLine:
    """Places `start + number * spacing`, in mm, on which the slices lie."""

    numbers: Int[np.ndarray, " slice"]
    """From 0, rising; one that is left out is a slice that is missing."""

    start: float
    spacing: float
    worst_mm: float
    """Largest distance of a slice from its place."""

    @property
    def is_whole(self) -> bool:
        """Whether no slice is missing."""
        return int(self.numbers[-1]) == len(self.numbers) - 1


def even_line(along: Float[np.ndarray, " slice"]) -> EvenLine | None:
    """Return the even places of slices, some perhaps missing; None if they lie unevenly.

    Args:
        along: Rising positions in mm, at least two.
    """
    gaps = np.diff(along)
    usual = (np.median(gaps), gaps.mean(), gaps.min())
    lines = (_fitted(along, gaps, float(one)) for one in usual)
    return next((line for line in lines if line is not None), None)


def _fitted(
    along: Float[np.ndarray, " slice"], gaps: Float[np.ndarray, " gap"], usual: float
) -> EvenLine | None:
    """Count gaps in the usual one, and fit a line to the places.

    Of the lines that rounding allows the one with the shortest decimal number of mm is taken, which
    is what somebody has set; else that of least squares.
    """
    steps = np.rint(gaps / usual)
    if steps.min() < 1:
        return None
    numbers = np.concatenate([[0.0], np.cumsum(steps)])
    spread = numbers - numbers.mean()
    spacing = float(spread @ (along - along.mean()) / (spread @ spread))
    half_mm, whole = _half_decimal(along), numbers.astype(np.int64)
    for short in (round(spacing, decimals) for decimals in _DECIMALS):
        start, worst_mm = _middle(along - short * numbers)
        share = _ROUNDED if len(along) > 3 else _TOLERANCE
        if worst_mm <= min(half_mm, share * short) + _EXACT_MM:
            return EvenLine(whole, start, short, worst_mm)
    start, worst_mm = _middle(along - spacing * numbers)
    is_near = worst_mm <= _TOLERANCE * spacing + _TOLERANCE_MM
    return EvenLine(whole, start, spacing, worst_mm) if is_near else None


def _middle(values: Float[np.ndarray, " slice"]) -> tuple[float, float]:
    """Return the value from which the farthest is as near as can be, and how far that is."""
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2, (high - low) / 2


def _half_decimal(along: Float[np.ndarray, " slice"]) -> float:
    """Return half of the last decimal that positions have; 0 if they have more than three."""
    for decimals in _DECIMALS:
        if np.allclose(along, np.round(along, decimals), rtol=0, atol=_EXACT_MM):
            return 0.5 * float(10.0**-decimals)
    return 0.0


def even_places(
    place: object, along: Float[np.ndarray, " slice"], may_resample: bool, steps: list[str]
) -> tuple[Between, float, float]:
    """Return where the slices of an even stack lie between those there are, their start and step.

    A slice that is there is taken as it is wherever it lies at an even place.

    Args:
        place: What errors name.
        along: Rising positions in mm, at least two.
        may_resample: Otherwise what is uneven is an error.
        steps: Gets in words what was done.

    Raises:
        InputError: Uneven, and not to be resampled; or slices out of all proportion.
    """
    line = even_line(along)
    if line is not None and line.is_whole:
        if line.worst_mm > _WORTH_TELLING * line.spacing:
            off_mm = f"up to {line.worst_mm:.2g} mm"
            steps.append(f"positions taken for rounded ones of an even stack, {off_mm} from it")
        return tuple((z, z, 0.0) for z in range(len(along))), line.start, line.spacing
    if not may_resample:
        raise _uneven(place, along, line)
    gaps = np.diff(along)
    if (along[-1] - along[0]) / gaps.min() > _MOST_SLICES:
        raise InputError(
            place,
            f"slices {gaps.min():g} and {gaps.max():g} mm apart",
            "Take out the stray ones",
        )
    between, start, spacing = _filled(along, line) if line else _resampled(along)
    made = sum(HARDLY < weight < 1 - HARDLY for _, _, weight in between)
    count = f"{len(along)} slices resampled to {len(between)}"
    steps.append(f"{count}, {spacing:g} mm apart: {made} interpolated")
    return between, start, spacing


def _uneven(place: object, along: Float[np.ndarray, " slice"], line: EvenLine | None) -> InputError:
    """Name the gap that differs most from the others."""
    gaps = np.diff(along)
    usual = line.spacing if line else float(np.median(gaps))
    worst = int(np.abs(gaps - usual).argmax())
    what = f"{gaps[worst]:g} mm after the sorted slice {worst}, else {usual:.4g} mm"
    return InputError(place, f"uneven slices: {what}", RESAMPLE)


def _filled(along: Float[np.ndarray, " slice"], line: EvenLine) -> tuple[Between, float, float]:
    """Put something between slices only where some are missing."""
    places = np.arange(int(line.numbers[-1]) + 1)
    below = np.clip(np.searchsorted(line.numbers, places, "right") - 1, 0, len(along) - 2)
    width = np.diff(line.numbers)[below]
    weights = (places - line.numbers[below]) / width
    between = zip(below.tolist(), (below + 1).tolist(), weights.tolist(), strict=True)
    return tuple(between), line.start, line.spacing


def _resampled(along: Float[np.ndarray, " slice"]) -> tuple[Between, float, float]:
    """Put slices at even places between those there are, as near as the nearest two."""
    gaps = np.diff(along)
    count = round((along[-1] - along[0]) / gaps.min()) + 1
    even = np.linspace(along[0], along[-1], count)
    below = np.clip(np.searchsorted(along, even + 1e-6) - 1, 0, len(along) - 2)
    weights = np.clip((even - along[below]) / gaps[below], 0, 1)
    between = zip(below.tolist(), (below + 1).tolist(), weights.tolist(), strict=True)
    return tuple(between), float(along[0]), float((along[-1] - along[0]) / (count - 1))
