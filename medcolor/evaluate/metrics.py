"""Colour errors inside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from skimage.color import deltaE_ciede2000


@dataclass
class ColorError:
    """Errors of one method, summed over pixels so that slices can be added up."""

    pixels: int = 0
    ciede2000_sum: float = 0.0
    chroma_sum: float = 0.0

    def add(
        self,
        result: Float[np.ndarray, "*grid 3"],
        truth: Float[np.ndarray, "*grid 3"],
        where: Bool[np.ndarray, "*grid"],
    ) -> None:
        """Compare two CIE Lab images where `where` is true."""
        found, expected = result[where], truth[where]
        self.pixels += len(found)
        self.ciede2000_sum += float(deltaE_ciede2000(found, expected).sum())
        difference = found[:, 1:] - expected[:, 1:]
        self.chroma_sum += float(np.sqrt((difference**2).sum(axis=1)).sum())

    @property
    def ciede2000(self) -> float:
        """Mean CIEDE2000 (Sharma et al. 2005, doi:10.1002/col.20070); about 1 is just visible."""
        return self.ciede2000_sum / max(self.pixels, 1)

    @property
    def chroma(self) -> float:
        """Mean distance in the a*, b* plane."""
        return self.chroma_sum / max(self.pixels, 1)


def error_table(title: str, errors: dict[str, ColorError]) -> str:
    """Return mean errors by method as text."""
    lines = [title, f"{'':28}  CIEDE2000   chroma"]
    lines += [
        f"{name:28}  {error.ciede2000:9.2f} {error.chroma:8.2f}" for name, error in errors.items()
    ]
    return "\n".join(lines)
