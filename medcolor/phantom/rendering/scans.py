"""CT and MR renditions of a phantom."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.drawing.fields import Field
from medcolor.phantom.drawing.noise import smooth_noise, stream_key
from medcolor.phantom.phantom import Phantom
from medcolor.phantom.rendering.properties import PROPERTIES
from medcolor.phantom.rendering.volumes import grain, per_tissue, rounded, soften
from medcolor.phantom.tissues import Tissue

CT_NOISE_HU = 14.0
PARTIAL_VOLUME = 0.08
"""Share of each neighbour along an axis that a voxel sees."""
ECHO = {"T1": (550.0, 12.0), "T2": (4500.0, 95.0)}
"""Repetition and echo time of the spin echo, in ms."""
MRI_SCALE = 4000.0
MRI_NOISE = 0.008
"""Noise of each of the two receiver channels, as a share of the signal of free water."""


def render_ct(phantom: Phantom) -> NDArray[np.int16]:
    """CT numbers in HU, axes (z, y, x), as of a scan without contrast medium."""
    hu = per_tissue(phantom, [PROPERTIES[t].hu for t in Tissue])
    hu = hu + ct_texture(phantom)
    hu = soften(hu, (0, 1, 2), PARTIAL_VOLUME)
    noise = soften(grain(phantom, "ct"), (1, 2), 0.15)
    hu = hu + noise * CT_NOISE_HU
    return rounded(hu, -1024, 3071).astype(np.int16)


def ct_texture(phantom: Phantom) -> Field:
    """Unevenness in HU: trabeculae in spongy bone, gravity in the lung, a little everywhere."""
    amount = {
        Tissue.AIR: 0.0, Tissue.CAVITY: 0.0, Tissue.SPONGY_BONE: 75.0, Tissue.CORTICAL_BONE: 110.0,
        Tissue.LUNG: 22.0, Tissue.FAECES: 60.0, Tissue.CHYME: 14.0, Tissue.FAT: 6.0,
    }  # fmt: skip
    axes = phantom.lattice.axes_mm()
    fine = smooth_noise(stream_key(phantom.seed, "ct/texture"), axes, 4.0)
    texture = fine * per_tissue(phantom, [amount.get(t, 4.0) for t in Tissue])
    weight = per_tissue(phantom, [1.0 if t is Tissue.LUNG else 0.0 for t in Tissue])
    depth = axes[1].astype(np.float32)[:, None]
    return texture + weight * depth * 0.5


def spin_echo(tissue: Tissue, contrast: Literal["T1", "T2"]) -> float:
    """Signal of a spin echo, PD (1 - exp(-TR/T1)) exp(-TE/T2); free water at rest gives 1."""
    repetition, echo = ECHO[contrast]
    p = PROPERTIES[tissue]
    signal = p.proton_density * (1 - math.exp(-repetition / p.t1_ms)) * math.exp(-echo / p.t2_ms)
    return round(signal, 5)


def render_mri(phantom: Phantom, contrast: Literal["T1", "T2"]) -> NDArray[np.uint16]:
    """Magnitude of a spin echo at 3 T in arbitrary units, axes (z, y, x).

    Args:
        phantom: the person.
        contrast: T1 (TR 550 ms, TE 12 ms) or T2 (TR 4500 ms, TE 95 ms).
    """
    axes = phantom.lattice.axes_mm()
    signal = per_tissue(phantom, [spin_echo(t, contrast) for t in Tissue])
    uneven = smooth_noise(stream_key(phantom.seed, "mri/texture"), axes, 4.0)
    signal = signal * (1 + 0.03 * uneven)
    signal = soften(signal, (0, 1, 2), PARTIAL_VOLUME)
    bias = smooth_noise(stream_key(phantom.seed, f"mri/bias/{contrast}"), axes, 170.0)
    bias = np.minimum(np.maximum(bias, -2.5), 2.5)
    signal = signal * (1 + 0.07 * bias)
    real = signal + MRI_NOISE * grain(phantom, f"mri/{contrast}/real")
    imaginary = MRI_NOISE * grain(phantom, f"mri/{contrast}/imaginary")
    magnitude = np.sqrt(real * real + imaginary * imaginary)
    return rounded(magnitude * MRI_SCALE, 0, 65535).astype(np.uint16)
