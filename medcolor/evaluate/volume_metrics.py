"""What the colours of a volume are worth as a whole: palette, tissues, contrast, structure.

Errors pixel by pixel reward a veil: where a border is a pixel beside its place, the mean of both
colours errs least. So these ask whether the colours are there (palette), whether tissues have
theirs and differ as they should (tissues, contrast), and whose structure is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float
from skimage.color import deltaE_ciede2000

from medcolor.evaluate.local_structure import LocalStructure
from medcolor.storage.durable import replacing

Lab = Float[np.ndarray, "row col 3"]
Mask = Bool[np.ndarray, "row col"]
Figures = dict[str, float]
"""Figures by name, in the order of a table's columns; NaN where they mean nothing."""

_DIRECTIONS = 64
_QUANTILES = np.linspace(0.005, 0.995, 199)

LEGEND = """\
palette: distance of the distributions of colours, slice by slice, wherever the colours are (sliced
Wasserstein); of tissues: CIEDE2000 of their mean colours. Less is better. contrast: share of the
truth's contrast of muscle and fat, along its own axis (1 is all). kept: share of the scan's local
variance that the colours show; more is better. invented: share of the colours' that the scan does
not explain; the truth's own says how much photographs show that scans do not."""


def palette_distance(
    found: Float[np.ndarray, "pixel 3"], expected: Float[np.ndarray, "other 3"]
) -> float:
    """Return the sliced Wasserstein distance of two clouds of colours.

    Rabin et al. 2011 (doi:10.1007/978-3-642-24785-9_37): the mean over 64 directions of the mean
    difference of the quantiles 0.5, 1, .. 99.5 %.
    """
    directions = np.random.default_rng(0).normal(size=(_DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    one, other = (
        np.quantile(colors.astype(np.float64) @ directions.T, _QUANTILES, axis=0)
        for colors in (found, expected)
    )
    return float(np.abs(one - other).mean())


class TissueColors:
    """Sums of the colours of tissues, found and true."""

    def __init__(self) -> None:
        """Start empty."""
        self._sums: dict[str, Float[np.ndarray, "2 3"]] = {}
        self._counts: dict[str, int] = {}

    def add(self, result: Lab, truth: Lab, tissues: Mapping[str, Mask]) -> None:
        """Add a slice."""
        for name, where in tissues.items():
            sums = np.stack([lab[where].sum(axis=0, dtype=np.float64) for lab in (result, truth)])
            self._sums[name] = self._sums.get(name, 0) + sums
            self._counts[name] = self._counts.get(name, 0) + int(where.sum())

    def mean(self, name: str) -> Float[np.ndarray, "2 3"] | None:
        """Return the mean colour of a tissue, found and true; None if it was not there."""
        count = self._counts.get(name, 0)
        return self._sums[name] / count if count else None

    @property
    def differences(self) -> Figures:
        """CIEDE2000 of the mean colours of every tissue."""
        means = {name: self.mean(name) for name in self._sums}
        return {
            name: float("nan") if mean is None else float(deltaE_ciede2000(mean[1], mean[0]))
            for name, mean in means.items()
        }

    @property
    def contrast(self) -> float:
        """Difference of fat and muscle along that of the truth, as a share of it."""
        fat, muscle = self.mean("fat"), self.mean("muscle")
        if fat is None or muscle is None:
            return float("nan")
        found, true = fat - muscle
        return float(found @ true / (true @ true))


class VolumeMeasure:
    """Gathers the figures of one method from the slices of a volume."""

    def __init__(self) -> None:
        """Start empty."""
        self._palette: list[float] = []
        self._tissues, self._structure = TissueColors(), LocalStructure()

    def compare(self, result: Lab, truth: Lab, body: Mask, tissues: Mapping[str, Mask]) -> None:
        """Add a slice whose truth is known.

        Args:
            result: CIE Lab.
            truth: CIE Lab.
            body: Pixels that count; none, and nothing is added.
            tissues: Where each is; contrast needs `muscle` and `fat`.
        """
        if body.any():
            self._palette.append(palette_distance(result[body], truth[body]))
            self._tissues.add(result, truth, tissues)

    def relate(self, result: Lab, scan: Float[np.ndarray, "row col"], body: Mask) -> None:
        """Add a slice of the scan: HU, or other values brought to -150..150."""
        self._structure.add(result, scan, body)

    @property
    def figures(self) -> Figures:
        """All of it."""
        return {
            "palette": float(np.mean(self._palette)) if self._palette else float("nan"),
            **self._tissues.differences,
            "contrast": self._tissues.contrast,
            "kept": self._structure.kept,
            "invented": self._structure.invented,
        }


def figures_table(rows: Mapping[str, Figures]) -> str:
    """Return figures of methods, by name, as text; the first says the columns."""
    names = list(next(iter(rows.values())))
    head = f"{'':34}" + "".join(f"{name:>10}" for name in names)
    lines = [
        f"{method:34}" + "".join(f"{figures[name]:10.2f}" for name in names)
        for method, figures in rows.items()
    ]
    return "\n".join([head, *lines])


def write_figures(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as parquet."""
    names = dict.fromkeys(name for row in rows for name in row)
    with replacing(path) as part:
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), part)
