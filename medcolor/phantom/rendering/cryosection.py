"""Colour photographs of the frozen person's cut faces, in the manner of the Visible Human's.

Every tissue has a base colour and a texture: a mottle, a grain, and a second colour that shows in
threads (fat between muscle fibres, septa between fat lobules, blood in marrow). All patterns are
tied to places in the body, so neighbouring slices agree and any part of the stack is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.drawing.fields import Field, Number
from medcolor.phantom.drawing.noise import smooth_noise, stream_key
from medcolor.phantom.phantom import Phantom
from medcolor.phantom.rendering.properties import PROPERTIES
from medcolor.phantom.rendering.volumes import grain, per_tissue, rounded, soften
from medcolor.phantom.tissues import Tissue

Background = Literal["gel", "black"]

BLACK = (9, 9, 10)
SOFTNESS = 0.13
GRAIN = 1.6
"""Film grain, in steps of 255."""


@dataclass(frozen=True)
class Texture:
    """How a tissue departs from its base colour."""

    mottle: Number = 0.05
    """Relative brightness of patches of a centimetre."""
    speckle: Number = 0.03
    """Relative brightness of spots of some millimetres."""
    second: tuple[int, int, int] = (0, 0, 0)
    """sRGB of the second colour."""
    fibres: Number = 0.0
    """How far threads along the body take the second colour, 0..1."""
    septa: Number = 0.0
    """How far walls between lobules take the second colour, 0..1."""


PLAIN = Texture()
TEXTURES: dict[Tissue, Texture] = {
    Tissue.AIR: Texture(0.03, 0.02, (66, 118, 152), septa=0.05),
    Tissue.SKIN: Texture(0.06, 0.06),
    Tissue.FAT: Texture(0.05, 0.03, (146, 104, 76), septa=0.5),
    Tissue.MUSCLE: Texture(0.10, 0.07, (134, 97, 76), fibres=0.75),
    Tissue.TONGUE: Texture(0.08, 0.06, (172, 124, 98), fibres=0.7),
    Tissue.HEART_MUSCLE: Texture(0.08, 0.05, (150, 104, 82), fibres=0.4),
    Tissue.CORTICAL_BONE: Texture(0.03, 0.03),
    Tissue.SPONGY_BONE: Texture(0.10, 0.10, (204, 180, 126), septa=0.75),
    Tissue.YELLOW_MARROW: Texture(0.06, 0.06, (168, 92, 62), septa=0.5),
    Tissue.GREY_MATTER: Texture(0.05, 0.02),
    Tissue.WHITE_MATTER: Texture(0.04, 0.015),
    Tissue.DEEP_GREY: Texture(0.06, 0.03, (186, 156, 100), fibres=0.25),
    Tissue.GLAND: Texture(0.06, 0.05, (188, 156, 110), septa=0.5),
    Tissue.PANCREAS: Texture(0.06, 0.05, (204, 174, 122), septa=0.5),
    Tissue.LUNG: Texture(0.12, 0.12, (92, 38, 30), septa=0.6),
    Tissue.LIVER: Texture(0.05, 0.05, (112, 70, 46), septa=0.3),
    Tissue.SPLEEN: Texture(0.05, 0.05),
    Tissue.BLOOD: Texture(0.10, 0.05),
    Tissue.FAECES: Texture(0.12, 0.12, (110, 88, 48), septa=0.4),
    Tissue.CHYME: Texture(0.10, 0.06, (150, 124, 70), septa=0.3),
    Tissue.KIDNEY_CORTEX: Texture(0.05, 0.05),
    Tissue.KIDNEY_MEDULLA: Texture(0.05, 0.03, (120, 70, 54), fibres=0.4),
    Tissue.MUCOSA: Texture(0.08, 0.06),
}


def render_cryosection(phantom: Phantom, background: Background = "gel") -> NDArray[np.uint8]:
    """The stack of photographs, sRGB, axes (z, y, x, channel).

    Args:
        phantom: the person.
        background: what surrounds the person and fills the hollows: the blue gel of the frozen
            block, or nothing ("black").
    """
    patterns = _Patterns.of(phantom)
    light = _lighting(phantom)
    image = np.empty((*phantom.labels.shape, 3), np.uint8)
    for channel in range(3):
        base = [_colour(t, background)[channel] for t in Tissue]
        second = [_texture(t, background).second[channel] for t in Tissue]
        colour = per_tissue(phantom, base)
        colour = colour + (per_tissue(phantom, second) - colour) * patterns.threads
        colour = colour * patterns.brightness
        colour = soften(colour * light[channel], (1, 2), SOFTNESS)
        colour = colour + grain(phantom, f"photo/{channel}") * GRAIN
        image[..., channel] = rounded(colour, 0, 255).astype(np.uint8)
    return image


def _colour(tissue: Tissue, background: Background) -> tuple[int, int, int]:
    if tissue in (Tissue.AIR, Tissue.CAVITY):
        return PROPERTIES[Tissue.AIR].rgb if background == "gel" else BLACK
    return PROPERTIES[tissue].rgb


def _texture(tissue: Tissue, background: Background) -> Texture:
    if tissue in (Tissue.AIR, Tissue.CAVITY):
        return TEXTURES[Tissue.AIR] if background == "gel" else Texture(0, 0, BLACK)
    return TEXTURES.get(tissue, PLAIN)


@dataclass(frozen=True)
class _Patterns:
    """Texture of every voxel, the same for all three colour channels."""

    threads: Field
    """Share of the second colour, 0..1."""
    brightness: Field

    @staticmethod
    def of(phantom: Phantom) -> _Patterns:
        axes = phantom.lattice.axes_mm()
        textures = [_texture(t, "gel") for t in Tissue]

        def noise(name: str, period: float | tuple[float, float, float], *, band: bool) -> Field:
            return smooth_noise(stream_key(phantom.seed, name), axes, period, band=band)

        along = noise("photo/fibres", (14.0, 2.4, 2.4), band=True)
        fibres = np.minimum(np.maximum(along - 0.75, 0), 1)
        wall = np.abs(noise("photo/septa", 5.0, band=True))
        septa = np.maximum(1 - wall * 5, 0)
        threads = fibres * per_tissue(phantom, [t.fibres for t in textures])
        threads = threads + septa * per_tissue(phantom, [t.septa for t in textures])
        bright = noise("photo/mottle", 9.0, band=False) * per_tissue(
            phantom, [t.mottle for t in textures]
        )
        bright = bright + noise("photo/speckle", 2.6, band=False) * per_tissue(
            phantom, [t.speckle for t in textures]
        )
        return _Patterns(threads, 1 + bright)


def _lighting(phantom: Phantom) -> list[Field]:
    """Brightness of every voxel in each channel: lamps that fall off, and the person's own tint."""
    person = phantom.person
    axes = phantom.lattice.axes_mm()
    uneven = smooth_noise(stream_key(phantom.seed, "photo/lamps"), axes, 240.0)
    slope_x, slope_y = person.vary("photo/x", -2e-4, 2e-4), person.vary("photo/y", -3e-4, 3e-4)
    _, y, x = (axis.astype(np.float32) for axis in axes)
    light = 1 + 0.03 * uneven
    light = light + x * slope_x + y[:, None] * slope_y
    light = light * person.vary("photo/exposure", 0.92, 1.1)
    reach = {"red": 0.025, "green": 0.02, "blue": 0.04}
    tints = [person.vary(f"photo/tint/{name}", 1 - r, 1 + r) for name, r in reach.items()]
    return [light * tint for tint in tints]
