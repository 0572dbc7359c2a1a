"""What a coloured slice is worth: against the truth, against its scan, against its neighbour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float
from skimage.color import deltaE_ciede2000
from skimage.metrics import structural_similarity

from medcolor.color import grey_of, lab_to_srgb
from medcolor.storage.durable import replacing

Lab = Float[np.ndarray, "row col 3"]
Grey = Float[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]

_STILL = 0.02
"""Change of the scan's display grey from slice to slice below which colour should not change."""

_BORDER = 0.15
"""Change from which on another tissue begins, and colour should change."""

_SSIM_WINDOW_PX = 7


@dataclass(frozen=True)
class SliceFigures:
    """Figures of one method on one slice, means over the body; NaN where they mean nothing."""

    pixels: int
    ciede2000: float
    """Sharma et al. 2005 (doi:10.1002/col.20070); about 1 is just visible."""

    chroma: float
    """Distance in the a*, b* plane."""

    psnr: float
    """Of sRGB, dB."""

    ssim: float
    """Of sRGB (Wang et al. 2004, doi:10.1109/TIP.2003.819861), mean of its channels."""

    gradient: float
    """Correlation of the luminance gradients of scan and result: 1 keeps all structure."""

    structure: float
    """SSIM of the luminances of scan and result."""

    flicker: float
    """Distance in a*, b* from the next slice, where the scan does not change."""

    border: float
    """The same where the scan changes much: what smoothing along the stack must not take away."""

    colorful: float
    """Mean distance from grey in a*, b*."""


_COLUMNS = {
    "ciede2000": "CIEDE2000",
    "chroma": "chroma",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "gradient": "gradient",
    "structure": "structure",
    "flicker": "flicker",
    "border": "border",
    "colorful": "colorful",
}


def measure(
    result: Lab,
    truth: Lab | None,
    body: Mask,
    scan: Grey,
    following: tuple[Lab, Mask, Grey] | None = None,
) -> SliceFigures:
    """Compare a coloured slice with its truth, its scan and its successor.

    Args:
        result: CIE Lab.
        truth: CIE Lab; None leaves what needs it NaN.
        body: Pixels that count.
        scan: Display grey, 0..1.
        following: The next slice's result, body and scan.
    """
    pixels, nan = int(body.sum()), float("nan")
    if not pixels:
        return SliceFigures(0, *[nan] * len(_COLUMNS))
    rgb = np.where(body[..., None], lab_to_srgb(result), 0)
    grey, shown = np.where(body, grey_of(rgb), 0), np.where(body, scan, 0)
    errors = (nan,) * 4 if truth is None else _errors(result, truth, rgb, body)
    return SliceFigures(
        pixels,
        *errors,
        gradient_correlation(grey, shown, body),
        _similarity(grey, shown, body),
        *((nan, nan) if following is None else _steps((result, body, scan), following)),
        colorful=float(np.hypot(*result[body][:, 1:].T).mean()),
    )


def _errors(result: Lab, truth: Lab, rgb: Lab, body: Mask) -> tuple[float, float, float, float]:
    """Return CIEDE2000, chroma error, PSNR and SSIM; `rgb` is the result in sRGB."""
    found, expected = result[body], truth[body]
    true_rgb = np.where(body[..., None], lab_to_srgb(truth), 0)
    error = float(((rgb - true_rgb)[body] ** 2).mean())
    return (
        float(deltaE_ciede2000(found, expected).mean()),
        float(np.hypot(*(found - expected)[:, 1:].T).mean()),
        -10 * np.log10(max(error, 1e-10)),
        _similarity(rgb, true_rgb, body),
    )


def gradient_correlation(one: Grey, other: Grey, body: Mask) -> float:
    """Return the correlation of both images' gradients inside the body, its outline left out."""
    inner = cv2.erode(body.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    if inner.sum() < 2:
        return float("nan")
    slopes = [np.concatenate([g[inner] for g in np.gradient(image)]) for image in (one, other)]
    if min(slope.std() for slope in slopes) < 1e-6:
        return float("nan")
    return float(np.corrcoef(slopes[0], slopes[1])[0, 1])


def _similarity(one: np.ndarray, other: np.ndarray, body: Mask) -> float:
    """Return the mean SSIM inside the body; background is alike."""
    if min(body.shape) < _SSIM_WINDOW_PX:
        return float("nan")
    _, local = structural_similarity(
        one,
        other,
        win_size=_SSIM_WINDOW_PX,
        data_range=1.0,
        full=True,
        channel_axis=-1 if one.ndim == 3 else None,
    )
    return float(local[body].mean())


def _steps(one: tuple[Lab, Mask, Grey], following: tuple[Lab, Mask, Grey]) -> tuple[float, float]:
    """Return the mean chroma step to the next slice where the scan stands still, and at borders."""
    both = one[1] & following[1]
    change = np.abs(one[2] - following[2])
    step = np.hypot(*np.moveaxis((one[0] - following[0])[..., 1:], -1, 0))
    still, border = (
        float(step[where].mean()) if where.any() else float("nan")
        for where in (both & (change < _STILL), both & (change > _BORDER))
    )
    return still, border


LEGEND = """\
CIEDE2000, chroma: distance from the truth; flicker: of a*, b* from slice to slice where the
scan stands still. Less is better. PSNR (dB), SSIM: likeness to the truth; gradient, structure:
to the scan. More is better. border: step of a*, b* to the next slice where the scan changes;
colorful: mean distance from grey."""


class ColorReport:
    """Figures by case, method and slice."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: list[tuple[str, str, int, SliceFigures]] = []

    def add(self, case: str, method: str, z: int, figures: SliceFigures) -> None:
        """Keep the figures of a slice; one without a body is left out."""
        if figures.pixels:
            self._rows.append((case, method, z, figures))

    def mean(self, case: str, method: str) -> SliceFigures:
        """Return the means over a case's slices, weighted by their pixels."""
        kept = [figures for c, m, _, figures in self._rows if (c, m) == (case, method)]
        weight = np.array([figures.pixels for figures in kept], float)
        means = []
        for name in _COLUMNS:
            values = np.array([getattr(figures, name) for figures in kept])
            known = np.isfinite(values)
            total = weight[known].sum()
            means.append(float(values[known] @ weight[known] / total) if total else float("nan"))
        return SliceFigures(int(weight.sum()), *means)

    def methods(self, case: str) -> list[str]:
        """Return the methods of a case, in the order they came."""
        return list(dict.fromkeys(m for c, m, _, _ in self._rows if c == case))

    def table(self, case: str) -> str:
        """Return the means of a case as text."""
        names = "".join(f"{name:>10}" for name in _COLUMNS.values())
        lines = [f"{'':34}{names}"]
        for method in self.methods(case):
            mean = self.mean(case, method)
            values = "".join(f"{getattr(mean, name):10.3f}" for name in _COLUMNS)
            lines.append(f"{method:34}{values}")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write all figures as parquet, one row a slice and method."""
        rows: Iterable[dict[str, object]] = (
            {"case": case, "method": method, "z": z, **asdict(figures)}
            for case, method, z, figures in self._rows
        )
        with replacing(path) as part:
            pq.write_table(pa.Table.from_pylist(list(rows)), part)
