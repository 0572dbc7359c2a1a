"""Colour spaces: sRGB, linear light, CIE 1976 L*a*b*, and the paper's gamma.

sRGB after IEC 61966-2-1, CIE Lab (D65, 2 degrees) after CIE 15:2004. All functions
take and give float32 arrays with the channels last and are exact at grey: a grey
pixel has a* = b* = 0 (OpenCV's float conversion leaves up to 0.05 there).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Rgb = Float[np.ndarray, "*grid 3"]
Lab = Float[np.ndarray, "*grid 3"]
Grey = Float[np.ndarray, "*grid"]

_RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
# Scaled so that white (1, 1, 1) is exactly X = Y = Z = 1: grey then has equal X, Y, Z.
_RGB_TO_WHITE_XYZ = (_RGB_TO_XYZ / _RGB_TO_XYZ.sum(axis=1, keepdims=True)).astype(np.float32)
_WHITE_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ / _RGB_TO_XYZ.sum(axis=1, keepdims=True)).astype(
    np.float32
)
_EPSILON = 216 / 24389
_KAPPA = 24389 / 27


def srgb_to_linear(srgb: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Remove the sRGB transfer curve; 0..1 in, 0..1 out."""
    srgb = np.asarray(srgb, np.float32)
    return np.where(
        srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4
    ).astype(np.float32)


def linear_to_srgb(linear: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    """Apply the sRGB transfer curve; values below 0 stay below 0."""
    linear = np.asarray(linear, np.float32)
    return np.where(
        linear <= 0.0031308,
        linear * 12.92,
        1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055,
    ).astype(np.float32)


def srgb_to_lab(srgb: Rgb) -> Lab:
    """Convert sRGB 0..1 to L* 0..100 and a*, b* (about -100..100)."""
    white_xyz = _mix(_RGB_TO_WHITE_XYZ, srgb_to_linear(srgb))
    f = np.where(white_xyz > _EPSILON, np.cbrt(white_xyz), (_KAPPA * white_xyz + 16) / 116)
    return np.stack(
        [
            116 * f[..., 1] - 16,
            500 * (f[..., 0] - f[..., 1]),
            200 * (f[..., 1] - f[..., 2]),
        ],
        axis=-1,
    ).astype(np.float32)


def lab_to_srgb(lab: Lab) -> Rgb:
    """Convert L*a*b* to sRGB; colours outside the gamut are clipped to 0..1."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    white_xyz = np.where(f**3 > _EPSILON, f**3, (116 * f - 16) / _KAPPA).astype(np.float32)
    return np.asarray(np.clip(linear_to_srgb(_mix(_WHITE_XYZ_TO_RGB, white_xyz)), 0, 1))


def lightness(srgb_grey: Grey) -> Grey:
    """Return L* (0..100) of grey sRGB values 0..1."""
    linear = srgb_to_linear(srgb_grey)
    return np.where(linear > _EPSILON, 116 * np.cbrt(linear) - 16, _KAPPA * linear).astype(
        np.float32
    )


def grey_of(srgb: Rgb) -> Grey:
    """Return the sRGB grey (0..1) that has the luminance of each colour."""
    luminance = _mix(_RGB_TO_WHITE_XYZ[1:2], srgb_to_linear(srgb))[..., 0]
    return np.asarray(np.clip(linear_to_srgb(luminance), 0, 1))


def _mix(
    matrix: Float[np.ndarray, "out 3"], values: Float[np.ndarray, "*grid 3"]
) -> Float[np.ndarray, "*grid out"]:
    """Multiply each pixel by a matrix.

    Written out: BLAS may round differently with another number of threads, and
    pixels must not depend on that.
    """
    first, second, third = values[..., 0], values[..., 1], values[..., 2]
    return np.stack([a * first + b * second + c * third for a, b, c in matrix], axis=-1)


def encode_gamma(display: Float[np.ndarray, ...], gamma: float) -> Float[np.ndarray, ...]:
    """Return display values 0..1 raised to `gamma`: equation 3 of the paper with alpha = 1.

    The paper encodes with 1/2 before equation 1 and decodes with 2 after it.
    """
    return np.asarray(np.clip(display, 0, 1) ** gamma, np.float32)
