"""From stored values to luminance: one window, one body threshold, one tone curve a volume.

They are found once, by the driver, from slices spread evenly over the volume, so
that no pixel depends on which worker reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from skimage.filters import threshold_multiotsu

from medcolor.domain import OUTSIDE, GrayVolume
from medcolor.errors import InputError
from medcolor.volume.open import read_slice
from medcolor.volume.settings import VolumeSettings

_HU_WINDOW = (-350.0, 650.0)
_PRESETS = {
    "brain": (40.0, 80.0),
    "soft-tissue": (40.0, 400.0),
    "soft tissue": (40.0, 400.0),
    "bone": (500.0, 2000.0),
    "lung": (-600.0, 1500.0),
}
"""Centre and width in HU, as radiology texts and viewers give them."""

_HU_BODY = -500.0
"""Half way between air and skin: where the smoothed edge of the body lies."""

_HU_OF_AIR = -1000.0
_HU_AIR = -900.0
_HU_HIGHEST = 4100.0
_THRESHOLD_SHARE = 0.45
"""Otsu lies between air and mean tissue; skin half filled with air is still skin."""

_CORNERS = 0.25
"""Share of padding around a circle, and a little. Where it is more, it may be all there is of air:
counted out, the darkest tissue would be taken for air."""

_KNOTS = 65
_SAMPLES_PER_SLICE = 20000


@dataclass(frozen=True)
class Window:
    """How stored values become what is shown and what is matched."""

    black: float
    """Stored value shown as 0."""

    white: float
    """Stored value shown as 1."""

    body_threshold: float
    """Luminance above which a pixel may be body. Below 0 where HU of air is needed."""

    tone: tuple[float, ...]
    """Matched luminance at evenly spaced luminances 0..1."""

    origin: str = ""
    """Where black and white come from, in words."""

    unit: Literal["HU", "raw"] = "raw"
    """Of stored values: Hounsfield units, or a scanner's own."""

    @property
    def air(self) -> float | None:
        """Luminance of air before it is cut off, where the unit says it."""
        return (_HU_OF_AIR - self.black) / (self.white - self.black) if self.unit == "HU" else None

    def value_of(self, luminance: float) -> float:
        """Return the stored value that is shown as a luminance."""
        return self.black + luminance * (self.white - self.black)

    def position(self, values: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
        """Return luminance before it is cut off at 0 and 1; air where nothing was scanned."""
        found = (values - self.black) / (self.white - self.black)
        # Finite, since the body is looked for in blurred slices, and below any threshold.
        air = min(0.0, 2 * self.body_threshold)
        return np.asarray(np.where(values == OUTSIDE, air, found), np.float32)

    def matched(self, luminance: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
        """Apply the tone curve."""
        knots = np.linspace(0, 1, len(self.tone))
        return np.asarray(np.interp(luminance, knots, self.tone), np.float32)


def find_window(volume: GrayVolume, settings: VolumeSettings, equalization: float) -> Window:
    """Find window, threshold and tone curve from sampled slices.

    Args:
        volume: The scan. Its padding is left out; of a volume in other units than Hounsfield's
            that is mostly padding, it counts as the darkest hundredth of what was scanned.
        settings: What is fixed by hand.
        equalization: 0 (match what is shown) .. 1 (match equally used grey levels).

    Raises:
        InputError: If the volume is of one value throughout.
    """
    samples = []
    for z in sampled_slices(volume, settings):
        values = read_slice(volume, z, settings).ravel()
        samples.append(values[:: max(1, len(values) // _SAMPLES_PER_SLICE)])
    scanned = _scanned(np.concatenate(samples), volume)
    return window_of_values(
        scanned,
        settings,
        equalization,
        unit=volume.unit,
        source=volume.source,
        # Of a phase image of MRI the values lie as those of CT do.
        may_be_hounsfield=volume.facts.get("modality", "") in ("", "CT"),
    )


def sampled_slices(volume: GrayVolume, settings: VolumeSettings) -> list[int]:
    """Return the slices, spread evenly over a scan, from which is found what holds for all."""
    depth = volume.geometry.shape[0]
    count = min(depth, settings.sampled_slices)
    return [int(z) for z in np.unique(np.round(np.linspace(0, depth - 1, count)))]


def _scanned(values: Float[np.ndarray, " sample"], volume: GrayVolume) -> np.ndarray:
    """Leave padding out; where it is most of what is not body, count it as the darkest there is."""
    is_outside = values == OUTSIDE
    scanned: np.ndarray = values[~is_outside]
    if not len(scanned):
        raise InputError(volume.source, "nothing but padding", "Give a scan that shows something")
    if volume.unit == "HU" or is_outside.mean() <= _CORNERS:
        return scanned
    return np.asarray(np.where(is_outside, np.percentile(scanned, 1), values), np.float32)


def window_of_values(
    values: Float[np.ndarray, ...],
    settings: VolumeSettings,
    equalization: float,
    *,
    unit: Literal["HU", "raw"] = "raw",
    source: str = "the image",
    may_be_hounsfield: bool = True,
) -> Window:
    """Find the window of some stored values; see `find_window`."""
    if values.min() == values.max():
        raise InputError(
            source, f"every voxel is {values.min():g}", "Give a scan that shows something"
        )
    levels = _find_levels(values.ravel(), unit, settings, source, may_be_hounsfield)
    black, white, cut = levels.black, levels.white, levels.cut
    threshold = (cut - black) / (white - black)
    if settings.body_threshold is not None:
        threshold = settings.body_threshold
    luminance = (values - black) / (white - black)
    body = np.clip(luminance[luminance > threshold], 0, 1)
    tone = tone_curve(body, equalization)
    return Window(black, white, float(threshold), tone, levels.origin, levels.unit)


@dataclass(frozen=True)
class _Levels:
    """Stored values that mean something."""

    black: float
    white: float
    cut: float
    """Between air and body."""

    origin: str
    unit: Literal["HU", "raw"]


def _find_levels(
    values: Float[np.ndarray, " sample"],
    unit: str,
    settings: VolumeSettings,
    source: str,
    may_be_hounsfield: bool,
) -> _Levels:
    """Return the values shown as black and white, and the value between air and body."""
    low, top = (float(value) for value in np.percentile(values, [1, 99.9]))
    # NIfTI does not say what it holds; only CT reaches from air at -1000 to bone.
    is_as_ct = low <= _HU_AIR and 0 < top <= _HU_HIGHEST
    is_hounsfield = unit == "HU" or (may_be_hounsfield and is_as_ct)
    chosen = _chosen_window(settings)
    if isinstance(settings.window, str) and not is_hounsfield:
        raise InputError(
            source,
            f"window {settings.window} is for Hounsfield units, found values {low:g}..{top:g}",
            "Give black and white: --set volume.window=[BLACK,WHITE]",
        )
    if is_hounsfield:
        black, white, origin = chosen or (*_HU_WINDOW, "Hounsfield units")
        return _Levels(black, white, _HU_BODY, origin, "HU")
    air, between = _air_and_threshold(np.clip(values, low, top))
    cut = air + _THRESHOLD_SHARE * (between - air)
    if chosen is not None:
        black, white, origin = chosen
        return _Levels(black, white, cut, origin, "raw")
    white = float(np.percentile(values[values > between], settings.white_percentile))
    origin = f"level of air and percentile {settings.white_percentile:g} of tissue"
    return _Levels(air, max(white, air + 1e-6), cut, origin, "raw")


def _chosen_window(settings: VolumeSettings) -> tuple[float, float, str] | None:
    """Return black, white and their origin where the user said them."""
    if isinstance(settings.window, tuple):
        return *settings.window, "given"
    if settings.window is not None:
        (center, width), origin = _PRESETS[settings.window], f"preset {settings.window}"
    elif settings.center_width is not None:
        (center, width), origin = settings.center_width, "given centre and width"
    else:
        return None
    return center - width / 2, center + width / 2, origin


def _air_and_threshold(values: Float[np.ndarray, " sample"]) -> tuple[float, float]:
    """Return the level of air and Otsu's threshold between it and the darkest tissue.

    Three classes: where something is very bright (bone in CT, fluid in T2), the two of
    Otsu's method would count dark tissue as air. The threshold is the middle of the two
    classes' means, which it equals where values lie between them; in a gap it is anywhere.
    """
    counts, edges = np.histogram(values, bins=256)
    centers = (edges[:-1] + edges[1:]) / 2
    classes = min(3, np.count_nonzero(counts))
    split = threshold_multiotsu(hist=(counts, centers), classes=classes)
    bins = np.split(np.arange(len(centers)), np.searchsorted(centers, split, side="right"))
    air, darkest = (np.average(centers[part], weights=counts[part]) for part in bins[:2])
    middle = float(air + darkest) / 2
    return float(np.median(values[values < middle])), middle


def tone_curve(body: Float[np.ndarray, " sample"], equalization: float) -> tuple[float, ...]:
    """Return a monotone curve between identity and the histogram's equalisation."""
    knots = np.linspace(0, 1, _KNOTS)
    if len(body) == 0:
        return tuple(knots.tolist())
    ranks = np.searchsorted(np.sort(body), knots, side="right") / len(body)
    curve = (1 - equalization) * knots + equalization * ranks
    return tuple(np.round(curve, 6).tolist())
