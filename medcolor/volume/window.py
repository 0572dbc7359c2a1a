"""From stored values to luminance: one window, one body threshold, one tone curve a volume.

They are found once, by the driver, from slices spread evenly over the volume, so
that no pixel depends on which worker reads it; so are the kind of scan and its padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from skimage.filters import threshold_multiotsu

from medcolor.domain import OUTSIDE, GrayVolume
from medcolor.errors import InputError
from medcolor.volume.kind import HU_BODY, Kind, find_kind, find_kind_and_padding
from medcolor.volume.open import read_slice
from medcolor.volume.padding import Padding
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

_HU_OF_AIR = -1000.0
_THRESHOLD_SHARE = 0.45
"""Otsu lies between air and mean tissue; skin half filled with air is still skin."""

_TINY = 0.02
"""Share of a volume up to which a body is told from air by how far it lies from it alone."""

_SKEW = 4.0
"""Most that the percentile 90 of noise is as far from the median as the percentile 10: 1.4 for the
magnitude of Gaussian noise."""

_TAIL = 8.0
"""So far, in distances from the median to the percentile 90."""

_CORNERS = 0.25
"""Share of padding around a circle, and a little. Where it is more, it may be all there is of air:
counted out, the darkest tissue would be taken for air."""

_KNOTS = 65
_SAMPLES_PER_SLICE = 20000
_THIN_SIDE = 160
"""Rows and columns of a slice in which fills are looked for."""


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

    unit_origin: str = ""
    """Who says so, in words."""

    padding: Padding | None = None
    """A value that stands where nothing was scanned, which no header names."""

    @property
    def air(self) -> float | None:
        """Luminance of air before it is cut off, where the unit says it."""
        return (_HU_OF_AIR - self.black) / (self.white - self.black) if self.unit == "HU" else None

    def value_of(self, luminance: float) -> float:
        """Return the stored value that is shown as a luminance."""
        return self.black + luminance * (self.white - self.black)

    def __str__(self) -> str:
        """Return in a few words what is taken for what."""
        unit = "Hounsfield units" if self.unit == "HU" else "a scanner's own units"
        filled = "" if self.padding is None else f", {self.padding.value:g} is padding"
        return f"{unit} ({self.unit_origin}){filled}; shown {self.black:.4g} to {self.white:.4g}"

    def scanned(self, values: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
        """Return a slice that is `OUTSIDE` where it holds padding."""
        return values if self.padding is None else self.padding.without(values)

    def position(self, values: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
        """Return luminance before it is cut off at 0 and 1; air where nothing was scanned."""
        found = (values - self.black) / (self.white - self.black)
        # Finite, since the body is looked for in blurred slices, and below any threshold.
        air = min(0.0, 2 * self.body_threshold) if self.air is None else self.air
        return np.asarray(np.where(values == OUTSIDE, air, found), np.float32)

    def matched(self, luminance: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row col"]:
        """Apply the tone curve."""
        knots = np.linspace(0, 1, len(self.tone))
        return np.asarray(np.interp(luminance, knots, self.tone), np.float32)


def find_window(volume: GrayVolume, settings: VolumeSettings, equalization: float) -> Window:
    """Find kind, padding, window, threshold and tone curve from sampled slices.

    Args:
        volume: The scan. Its padding is left out; of a volume in other units than Hounsfield's
            that is mostly padding, it counts as the darkest hundredth of what was scanned.
        settings: What is fixed by hand.
        equalization: 0 (match what is shown) .. 1 (match equally used grey levels).

    Raises:
        InputError: If the volume is of one value throughout.
    """
    samples, thin = [], []
    for z in sampled_slices(volume, settings):
        values = read_slice(volume, z, settings)
        samples.append(values.ravel()[:: max(1, values.size // _SAMPLES_PER_SLICE)])
        thin.append(_thinned(values))
    sampled = np.concatenate(samples)
    kind, padding = find_kind_and_padding(thin, volume, settings)
    if padding is not None:
        # Of a value that tissue has, too, the samples inside the body are few.
        sampled = np.where(padding.holds(sampled), np.float32(OUTSIDE), sampled)
    scanned = _scanned(sampled, volume.source, kind.unit)
    found = window_of_values(scanned, settings, equalization, kind=kind, source=volume.source)
    return replace(found, padding=padding)


def _thinned(values: Float[np.ndarray, "row col"]) -> Float[np.ndarray, "row2 col2"]:
    """Return some rows and columns of a slice, its border among them."""
    kept = [np.unique(np.linspace(0, n - 1, _THIN_SIDE).astype(int)) for n in values.shape]
    return np.asarray(values[np.ix_(*kept)])


def sampled_slices(volume: GrayVolume, settings: VolumeSettings) -> list[int]:
    """Return the slices, spread evenly over a scan, from which is found what holds for all."""
    depth = volume.geometry.shape[0]
    count = min(depth, settings.sampled_slices)
    return [int(z) for z in np.unique(np.round(np.linspace(0, depth - 1, count)))]


def _scanned(values: Float[np.ndarray, " sample"], source: str, unit: str) -> np.ndarray:
    """Leave padding out; where it is most of what is not body, count it as the darkest there is."""
    is_outside = values == OUTSIDE
    scanned: np.ndarray = values[~is_outside]
    if not len(scanned):
        raise InputError(source, "nothing but padding", "Give a scan that shows something")
    if unit == "HU" or is_outside.mean() <= _CORNERS:
        return scanned
    return np.asarray(np.where(is_outside, np.percentile(scanned, 1), values), np.float32)


def window_of_values(
    values: Float[np.ndarray, ...],
    settings: VolumeSettings,
    equalization: float,
    *,
    kind: Kind | None = None,
    source: str = "the image",
) -> Window:
    """Find the window of some stored values, by default of unknown kind; see `find_window`."""
    if values.min() == values.max():
        raise InputError(
            source, f"every voxel is {values.min():g}", "Give a scan that shows something"
        )
    kind = kind or find_kind(values.ravel(), settings)
    levels = _find_levels(values.ravel(), kind.unit == "HU", settings, source)
    black, white, cut = levels.black, levels.white, levels.cut
    threshold = (cut - black) / (white - black)
    if settings.body_threshold is not None:
        threshold = settings.body_threshold
    luminance = (values - black) / (white - black)
    body = np.clip(luminance[luminance > threshold], 0, 1)
    tone = tone_curve(body, equalization)
    return Window(black, white, float(threshold), tone, levels.origin, kind.unit, kind.origin)


@dataclass(frozen=True)
class _Levels:
    """Stored values that mean something."""

    black: float
    white: float
    cut: float
    """Between air and body."""

    origin: str


def _find_levels(
    values: Float[np.ndarray, " sample"],
    is_hounsfield: bool,
    settings: VolumeSettings,
    source: str,
) -> _Levels:
    """Return the values shown as black and white, and the value between air and body."""
    low, top = (float(value) for value in np.percentile(values, [1, 99.9]))
    chosen = _chosen_window(settings)
    if isinstance(settings.window, str) and not is_hounsfield:
        raise InputError(
            source,
            f"window {settings.window} is for Hounsfield units, found values {low:g}..{top:g}",
            "Give black and white: --set volume.window=[BLACK,WHITE]; or if it is CT, "
            "--set volume.kind=ct",
        )
    if is_hounsfield:
        black, white, origin = chosen or (*_HU_WINDOW, "Hounsfield units")
        return _Levels(black, white, HU_BODY, origin)
    tiny = _tiny_body(values)
    if tiny is None:
        air, between = _air_and_threshold(np.clip(values, low, top))
    else:
        air = float(np.median(values))
        between = (air + float(np.median(tiny))) / 2
    cut = air + _THRESHOLD_SHARE * (between - air)
    if chosen is not None:
        black, white, origin = chosen
        return _Levels(black, white, cut, origin)
    white = float(np.percentile(values[values > between], settings.white_percentile))
    origin = f"level of air and percentile {settings.white_percentile:g} of tissue"
    return _Levels(air, max(white, air + 1e-6), cut, origin)


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


def _tiny_body(values: Float[np.ndarray, " sample"]) -> Float[np.ndarray, " tissue"] | None:
    """Return the values of a body that is hardly anything of a volume, and that no histogram shows.

    Noise of air has no such tail: the magnitude of Gaussian noise ends at 5 of its deviations, and
    what is counted here begins at 8.
    """
    low, air, high = np.percentile(values, [10, 50, 90])
    if high - air > _SKEW * (air - low):
        return None  # a body is there
    apart = values[values > air + _TAIL * (high - air)]
    return apart if 0 < len(apart) <= _TINY * len(values) else None


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
