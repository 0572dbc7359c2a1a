"""The small volume that the page turns freely: a coarse level, with the opacity of several tissues.

The browser's ray caster takes straight alpha for the opacity of one voxel along a ray, and samples
between voxels. So alpha is the scene's opacity, and clear voxels beside visible ones keep colours.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.ndimage import binary_dilation

from medcolor.domain import GreyLevels
from medcolor.render.clip import Block
from medcolor.render.drawn import DrawnVolume, make_drawn, opacities_of
from medcolor.render.overview import read_overview
from medcolor.render.scene import SceneSettings
from medcolor.render.sections import find_body
from medcolor.render.tissue import bone_levels
from medcolor.storage import Place
from medcolor.volume.color_nifti import color_header
from medcolor.volume.levels import About, Level, three
from medcolor.volume.store import read_affine, read_slices

_MOST_VOXELS = 4_000_000
"""Of the box of the body: more would not fit, and a phone would not turn it."""

_STEPS = (1, 1), (2, 4), (4, 8), (8, 8), (8, 16)
"""Colours and opacities are rounded to multiples of the first with which a level fits: half of the
last is less than what the browser's jitter of rays adds."""

_SMOOTH_VOXELS = 1.0
"""Blur of opacity, at most: voxels are coarse, and the browser's shading blurs again."""

OWN = "scene"
"""Name of an opacity that is none of a tissue: a preset by grey level, points of its own."""

Alphas = Mapping[str, UInt8[np.ndarray, "z y x"]]
"""Opacity of each voxel, by name; first the scene's own."""


@dataclass(frozen=True)
class FreeVolume:
    """A volume to be turned freely."""

    nifti: bytes
    """NIfTI-1, RGBA32, packed by gzip: colours as they are drawn; alpha is the scene's opacity."""

    shown: str
    """Name of that opacity: a tissue, or `OWN`."""

    others: Mapping[str, bytes]
    """Opacity by other tissues: uint8 (z, y, x), packed by gzip."""

    shape: tuple[int, int, int]
    """Voxels along (z, y, x)."""

    spacing_mm: tuple[float, float, float]
    first_mm: tuple[float, float, float]
    """Centre of the first voxel along (z, y, x), counted as places of sections are."""

    @property
    def packed_bytes(self) -> int:
        """Size of all files."""
        return len(self.nifti) + sum(map(len, self.others.values()))


def make_free_volume(
    volume: Place, levels: tuple[Level, ...], about: About, scene: SceneSettings, most_bytes: int
) -> FreeVolume | None:
    """Return the finest level that fits on a page; None if not even the coarsest does.

    Args:
        volume: In colour.
        levels: Of it.
        about: What it states of itself.
        scene: Opacity, clipping, exposure.
        most_bytes: Of all that is packed.

    Raises:
        InputError: The opacity does not suit the volume.
    """
    body = find_body(volume, levels)
    for level in levels:
        sides = [side.stop - side.start for side in body.of(level)]
        if math.prod(sides) > _MOST_VOXELS:
            continue
        rgb, alphas = _drawn_level(volume, levels, level, about, scene)
        if _packed(volume, level, rgb, alphas, _STEPS[-1]).packed_bytes > most_bytes:
            continue  # The other steps need not be tried.
        every = (_packed(volume, level, rgb, alphas, steps) for steps in _STEPS)
        return next(made for made in every if made.packed_bytes <= most_bytes)
    return None


def _drawn_level(
    volume: Place,
    levels: tuple[Level, ...],
    level: Level,
    about: About,
    scene: SceneSettings,
) -> tuple[UInt8[np.ndarray, "z y x 3"], Alphas]:
    """Return colours and opacities, with a layer of clear voxels around the level."""
    overview = read_overview(volume, levels, level)
    own = replace(scene, smooth_voxels=min(scene.smooth_voxels, _SMOOTH_VOXELS))
    rgb, alphas = None, {}
    for name, one in _opacities(own, about.grey).items():
        drawn = make_drawn(
            lambda slices: read_slices(volume, level.index, slices),
            overview,
            one,
            about.grey,
            str(volume),
        )
        # Colours and exposure are those of the scene, whatever is shown.
        rgb = drawn.rgba[..., :3] if rgb is None else rgb
        alphas[name] = _voxel_opacity(drawn)
    assert rgb is not None
    return rgb, alphas


def _opacities(scene: SceneSettings, levels: GreyLevels | None) -> dict[str, SceneSettings]:
    """Return the scene, and the same of other tissues."""
    tissues = ["skin", "muscle", "organs"]
    # Without Hounsfield units what is brightest is no bone.
    is_ct = levels is not None and levels.unit == "HU" and levels.is_alpha
    if is_ct and bone_levels(levels)[0] < 1:
        tissues.append("bone")
    is_tissue = scene.opacity_points is None and scene.opacity in tissues
    scenes = {scene.opacity if is_tissue else OWN: scene}
    for name in tissues:
        scenes.setdefault(name, replace(scene, opacity=name, opacity_points=None))
    return scenes


def _voxel_opacity(drawn: DrawnVolume) -> UInt8[np.ndarray, "z y x"]:
    """Return the opacity of each voxel from that of a millimetre."""
    side_mm = math.prod(drawn.spacing_mm) ** (1 / 3)
    through = (1 - opacities_of(drawn.points)) ** side_mm
    table = np.rint(255 * (1 - through)).astype(np.uint8)
    return np.asarray(table[drawn.rgba[..., 3]])


def _rounded(values: UInt8[np.ndarray, "*grid"], step: int) -> UInt8[np.ndarray, "*grid"]:
    """Return multiples of `step`, and 255 above the last."""
    table = np.minimum(np.rint(np.arange(256) / step) * step, 255).astype(np.uint8)
    return np.asarray(table[values])


def _packed(
    volume: Place,
    level: Level,
    rgb: UInt8[np.ndarray, "z y x 3"],
    alphas: Alphas,
    steps: tuple[int, int],
) -> FreeVolume:
    """Return the box of what any opacity shows, with a layer of clear voxels around it.

    Args:
        volume: In colour.
        level: Of it.
        rgb: Of the level, drawn.
        alphas: Of the level.
        steps: To multiples of which colours and opacities are rounded.
    """
    rgb = _rounded(rgb, steps[0])
    alphas = {name: _rounded(alpha, steps[1]) for name, alpha in alphas.items()}
    visible = np.any([alpha > 0 for alpha in alphas.values()], axis=0)
    box = _box(visible)
    near = binary_dilation(visible[box], np.ones((3, 3, 3), bool))
    (shown, alpha), *others = ((name, alpha[box]) for name, alpha in alphas.items())
    rgba = np.concatenate([rgb[box] * near[..., None], alpha[..., None]], axis=-1)
    shape = three(alpha.shape)
    # The layer around the level shifts its first voxel.
    start = three(side.start - 1 for side in box)
    affine = np.array(read_affine(volume, level.index))
    affine[:3, 3] += affine[:3, :3] @ start[::-1]
    first_mm = np.array(level.translation_mm) + np.array(level.spacing_mm) * start
    return FreeVolume(
        nifti=_gzip(color_header(shape, affine, 4) + rgba.tobytes()),
        shown=shown,
        others={name: _gzip(other.tobytes()) for name, other in others},
        shape=shape,
        spacing_mm=level.spacing_mm,
        first_mm=three(map(float, first_mm)),
    )


def _box(visible: Bool[np.ndarray, "z y x"]) -> Block:
    """Return the box of the visible and one voxel more; all of it if nothing is."""

    def side(axis: int) -> slice:
        others = tuple(other for other in range(3) if other != axis)
        at = np.flatnonzero(visible.any(axis=others))
        return slice(int(at[0]) - 1, int(at[-1]) + 2) if len(at) else slice(0, visible.shape[axis])

    return side(0), side(1), side(2)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
