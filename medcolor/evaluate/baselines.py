"""What a result is measured against: no colours, one colour, and colours by grey level."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from medcolor.color import lightness, srgb_to_lab

Grey = Float[np.ndarray, "row col"]
Lab = Float[np.ndarray, "row col 3"]

Colorizer = Callable[[Grey], Lab]
"""Takes display grey, 0..1, and returns CIE Lab."""

_BINS = 256
_WELSH_SAMPLES = 2000
_WELSH_WINDOW_PX = 5


class GreyTransfer:
    """A one-dimensional transfer function, grey 0..1 to CIE Lab, fitted as the mean of each level.

    Fitted to a reference photograph it is the look-up of Welsh et al. without
    neighbourhoods; fitted to the truth it is the best transfer function anyone could
    have drawn, known only with hindsight.
    """

    def __init__(self) -> None:
        """Start without samples."""
        self._sum = np.zeros((_BINS, 3))
        self._count = np.zeros(_BINS)

    def fit(self, grey: Float[np.ndarray, " sample"], lab: Float[np.ndarray, "sample 3"]) -> None:
        """Add samples."""
        level = _level(grey)
        self._count += np.bincount(level, minlength=_BINS)
        for channel in range(3):
            self._sum[:, channel] += np.bincount(level, weights=lab[:, channel], minlength=_BINS)

    def __call__(self, grey: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid 3"]:
        """Return the Lab colours of grey values; levels never seen take their neighbours'."""
        seen = np.flatnonzero(self._count)
        table = np.stack(
            [
                np.interp(np.arange(_BINS), seen, self._sum[seen, channel] / self._count[seen])
                for channel in range(3)
            ],
            axis=-1,
        )
        return np.asarray(table[_level(grey)], np.float32)


def _level(grey: Float[np.ndarray, "*grid"]) -> Int[np.ndarray, "*grid"]:
    return np.asarray(np.clip(np.rint(grey * (_BINS - 1)), 0, _BINS - 1), np.int64)


def grey_in_lab(grey: Grey) -> Lab:
    """Return display grey as it is."""
    return srgb_to_lab(np.repeat(grey[..., None], 3, axis=-1))


class MeanColor:
    """The reference's mean a*, b* everywhere; the scan's own lightness."""

    def __init__(self, colors: Float[np.ndarray, "sample 3"]) -> None:
        """Take the reference's colours, CIE Lab."""
        self._mean = colors[:, 1:].mean(axis=0)

    def __call__(self, grey: Grey) -> Lab:
        """Colour an image."""
        return with_lightness(lightness(grey), np.broadcast_to(self._mean, (*grey.shape, 2)))


class Reinhard:
    """Statistics of the reference (Reinhard et al. 2001, doi:10.1109/38.946629), in CIE Lab.

    A grey image has no spread of chroma to scale: it gets the reference's mean chroma, and
    its lightness the reference's mean and deviation.
    """

    def __init__(
        self, colors: Float[np.ndarray, "sample 3"], greys: Float[np.ndarray, " pixel"]
    ) -> None:
        """Take the colours of the reference, CIE Lab, and the greys of the scan."""
        own, other = lightness(greys), colors[:, 0]
        self._scale = float(other.std() / max(own.std(), 1e-6))
        self._from, self._to, self._mean = own.mean(), other.mean(), colors[:, 1:].mean(axis=0)

    def __call__(self, grey: Grey) -> Lab:
        """Colour an image."""
        moved = np.clip((lightness(grey) - self._from) * self._scale + self._to, 0, 100)
        return with_lightness(moved, np.broadcast_to(self._mean, (*grey.shape, 2)))


class Welsh:
    """Matching of lightness and its deviation (Welsh et al. 2002, doi:10.1145/566654.566576).

    The reference's lightness is moved to the scan's mean and deviation; each pixel takes the
    chroma of the sample nearest in (lightness + deviation) / 2 and keeps its lightness.
    """

    def __init__(
        self,
        references: list[tuple[Lab, np.ndarray]],
        greys: Float[np.ndarray, " pixel"],
        random: np.random.Generator,
    ) -> None:
        """Take the reference's images, CIE Lab with their body, and the greys of the scan."""
        own = lightness(greys)
        light = np.concatenate([lab[body][:, 0] for lab, body in references])
        scale = own.std() / max(float(light.std()), 1e-6)
        features, colors = [], []
        for lab, body in references:
            moved = ((lab[..., 0] - light.mean()) * scale + own.mean()).astype(np.float32)
            features.append(_light_and_deviation(moved)[body])
            colors.append(lab[body][:, 1:])
        chosen = random.permutation(len(light))[:_WELSH_SAMPLES]
        self._colors = np.concatenate(colors)[chosen]
        self._tree = cKDTree(np.concatenate(features)[chosen])

    def __call__(self, grey: Grey) -> Lab:
        """Colour an image."""
        own = lightness(grey)
        nearest = self._tree.query(_light_and_deviation(own).reshape(-1, 2))[1]
        return with_lightness(own, self._colors[nearest].reshape(*grey.shape, 2))


def _light_and_deviation(light: Grey) -> Float[np.ndarray, "row col 2"]:
    size = _WELSH_WINDOW_PX, _WELSH_WINDOW_PX
    mean, square = (cv2.blur(part, size) for part in (light, light * light))
    return np.stack([light, np.sqrt(np.maximum(square - mean * mean, 0))], axis=-1)


def with_lightness(light: Grey, chroma: Float[np.ndarray, "row col 2"]) -> Lab:
    """Return CIE Lab of a lightness and a chroma."""
    return np.concatenate([light[..., None], chroma], axis=-1).astype(np.float32)


def by_statistics(
    references: list[tuple[Lab, np.ndarray]],
    colors: Float[np.ndarray, "sample 3"],
    greys: Float[np.ndarray, " pixel"],
    look_up: dict[str, Colorizer],
) -> dict[str, Colorizer]:
    """Return what colours by statistics of references alone, plain ones first.

    Args:
        references: Images for Welsh, CIE Lab with their body.
        colors: CIE Lab of all references' pixels.
        greys: Display grey of the scan's body.
        look_up: A transfer function of the references, by the name to list it under.
    """
    return {
        "grey": grey_in_lab,
        "mean colour": MeanColor(colors),
        **look_up,
        "Welsh": Welsh(references, greys, np.random.default_rng(0)),
        "Reinhard": Reinhard(colors, greys),
    }
