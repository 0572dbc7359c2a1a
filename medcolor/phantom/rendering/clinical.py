"""CT and MR with the contrast and the noise of a clinic's scanners, beside the plain ones.

The body is drawn at half the spacing and averaged, so that voxels at borders hold parts of
several tissues; CT has the noise of a routine examination, MR that of a receiver behind the
magnitude (Rician: Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618) and an uneven coil.
Labels and photographs are those of the plain phantom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.lattice import Lattice, Region
from medcolor.phantom.drawing.noise import smooth_noise, stream_key
from medcolor.phantom.phantom import Phantom, draw_labels
from medcolor.phantom.rendering.properties import PROPERTIES
from medcolor.phantom.rendering.scans import MRI_SCALE, ct_texture, spin_echo
from medcolor.phantom.rendering.volumes import grain, per_tissue, rounded, soften
from medcolor.phantom.tissues import Tissue

HU: dict[Tissue, int] = {
    Tissue.FAT: -100, Tissue.MUSCLE: 55, Tissue.TONGUE: 52, Tissue.HEART_MUSCLE: 45,
    Tissue.BLOOD: 45, Tissue.LIVER: 60, Tissue.GREY_MATTER: 38, Tissue.WHITE_MATTER: 32,
    Tissue.DEEP_GREY: 36, Tissue.CSF: 10, Tissue.CORTICAL_BONE: 1150, Tissue.SPONGY_BONE: 350,
    Tissue.YELLOW_MARROW: -60, Tissue.LUNG: -800, Tissue.SKIN: 40,
}  # fmt: skip
"""CT numbers that differ from the plain phantom's."""

CT_NOISE_HU = 8.0, 15.0
"""Standard deviation, by person."""

MRI_NOISE = 0.008, 0.014
"""Of each of the two receiver channels, as a share of the signal of free water; by person."""

MRI_BIAS = 0.15
"""Standard deviation of the coil's sensitivity, which changes over decimetres."""

_MOST_BIAS = 2.0
_BIAS_MM = 170.0
_CT_BLUR = 0.15
_SLAB = 16
"""Slices drawn at a time, so that memory is bounded."""


def render_clinical_ct(phantom: Phantom) -> NDArray[np.int16]:
    """CT numbers in HU, axes (z, y, x), as of a routine scan without contrast medium."""
    values = [HU.get(tissue, PROPERTIES[tissue].hu) for tissue in Tissue]
    hu = _averaged(phantom, lambda fine: per_tissue(fine, values) + ct_texture(fine))
    noise = soften(_normal(phantom, "clinical/ct"), (1, 2), _CT_BLUR)
    # Softening takes this share of the deviation along each of two axes.
    left = (1 - 2 * _CT_BLUR) * (1 - 2 * _CT_BLUR) + 2 * _CT_BLUR * _CT_BLUR
    hu = hu + noise * (phantom.person.vary("clinical/ct/noise", *CT_NOISE_HU) / left)
    return rounded(hu, -1024, 3071).astype(np.int16)


def render_clinical_mri(phantom: Phantom, contrast: Literal["T1", "T2"]) -> NDArray[np.uint16]:
    """Magnitude of a spin echo at 3 T in arbitrary units, axes (z, y, x).

    Args:
        phantom: the person.
        contrast: T1 (TR 550 ms, TE 12 ms) or T2 (TR 4500 ms, TE 95 ms).
    """
    values = [spin_echo(tissue, contrast) for tissue in Tissue]
    key = stream_key(phantom.seed, "mri/texture")

    def signal_of(fine: Phantom) -> Field:
        uneven = smooth_noise(key, fine.lattice.axes_mm(), 4.0)
        return per_tissue(fine, values) * (1 + 0.03 * uneven)

    signal = _averaged(phantom, signal_of) * coil_sensitivity(phantom, contrast)
    noise = phantom.person.vary(f"clinical/{contrast}/noise", *MRI_NOISE)
    real = signal + noise * _normal(phantom, f"clinical/{contrast}/real")
    imaginary = noise * _normal(phantom, f"clinical/{contrast}/imaginary")
    magnitude = np.sqrt(real * real + imaginary * imaginary)
    return rounded(magnitude * MRI_SCALE, 0, 65535).astype(np.uint16)


def coil_sensitivity(phantom: Phantom, contrast: Literal["T1", "T2"]) -> Field:
    """What the coil makes of a signal at every voxel, about 1."""
    key = stream_key(phantom.seed, f"clinical/bias/{contrast}")
    bias = smooth_noise(key, phantom.lattice.axes_mm(), _BIAS_MM)
    return 1 + MRI_BIAS * np.minimum(np.maximum(bias, -_MOST_BIAS), _MOST_BIAS)


def _normal(phantom: Phantom, name: str) -> Field:
    """White noise of unit standard deviation, normal to about a percent."""
    first, second, third, fourth = (grain(phantom, f"{name}/{k}") for k in range(4))
    return (first + second + third + fourth) * 0.5


def _averaged(phantom: Phantom, render: Callable[[Phantom], Field]) -> Field:
    """Render the body at half the spacing, and let every voxel see its own size."""
    return np.concatenate([_mean_of_halves(render(fine)) for fine in _finer(phantom)])


def _mean_of_halves(fine: Field) -> Field:
    """Return the integral over voxels of what is linear between samples at half their distance.

    Voxels are centred at the odd samples along each axis.
    """
    for axis in range(3):
        count = fine.shape[axis] // 2
        even = np.take(fine, np.arange(0, 2 * count + 1, 2), axis)
        centre = np.take(fine, np.arange(1, 2 * count, 2), axis)
        before, after = (np.take(even, np.arange(s, s + count), axis) for s in (0, 1))
        fine = centre * 0.5 + (before + after) * 0.25
    return fine


def _finer(phantom: Phantom) -> Iterator[Phantom]:
    """Yield the person at half the spacing in slabs, with a rim of half a voxel."""
    for lattice, labels in _finer_labels(phantom.seed, phantom.region, phantom.spacing_mm):
        yield Phantom(labels, lattice.spacing_mm, lattice.origin_mm, phantom.seed, phantom.region)


@lru_cache(maxsize=1)
def _finer_labels(
    seed: int, region: Region, spacing_mm: float
) -> list[tuple[Lattice, NDArray[np.uint8]]]:
    """Draw the slabs once for all modalities of a person."""
    whole = Lattice.of_region(region, spacing_mm)
    depth, rows, columns = whole.shape
    z, y, x = (2 * index - 1 for index in whole.first)
    slabs = []
    for start in range(0, depth, _SLAB):
        count = min(_SLAB, depth - start)
        shape = 2 * count + 1, 2 * rows + 1, 2 * columns + 1
        lattice = Lattice(spacing_mm / 2, (z + 2 * start, y, x), shape)
        slabs.append((lattice, draw_labels(seed, lattice)))
    return slabs
