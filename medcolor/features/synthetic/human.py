"""Stylised human bodies as label maps: head, trunk and limbs of people of many builds.

Proportions are round figures of general anatomy, in statures from the crown, and vary widely:
a plan is a body that could be, its persons are fat and thin versions of it. Organs are
ellipsoids in coordinates of the frame (the body without its fat), so they fit any build.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medcolor.features.synthetic.noise import Draw
from medcolor.features.synthetic.tissues import AIRY, BONES, CURVES, INNER, ORGANS, RIMS, VESSELS

_SKIN, _FAT, _MUSCLE, _SKULL = RIMS
_RIB, _BONE = BONES
_GREY, _WHITE, _FLUID, _INNARDS, _BOWEL, _CONTENT, _BLADDER, _MARROW, _DISC, _HINDBRAIN = INNER[:10]
_EYE, _LIVER, _SPLEEN, _KIDNEY, _HEART, _STOMACH = ORGANS
_AIR, _LUNG = AIRY

_REGIONS = (
    (0.0, 0.05),
    (0.0, 0.16),
    (0.0, 0.33),
    (0.15, 0.6),
    (0.3, 0.62),
    (0.15, 0.75),
    (0.0, 1.0),
)
"""Parts of the body that scans show, in statures from the crown."""

_FRAME = (  # level, half width and half depth of head, neck and trunk without fat
    (0.000, 0.006, 0.008), (0.010, 0.024, 0.028), (0.025, 0.036, 0.046), (0.050, 0.043, 0.054),
    (0.080, 0.041, 0.054), (0.100, 0.037, 0.050), (0.125, 0.031, 0.043), (0.140, 0.029, 0.032),
    (0.165, 0.031, 0.030), (0.180, 0.062, 0.036), (0.200, 0.098, 0.048), (0.235, 0.094, 0.058),
    (0.300, 0.086, 0.064), (0.360, 0.080, 0.061), (0.410, 0.075, 0.056), (0.460, 0.084, 0.058),
    (0.500, 0.092, 0.063), (0.530, 0.088, 0.060), (0.550, 0.040, 0.045), (0.560, 0.001, 0.001),
)  # fmt: skip
_ARM = (  # level, half width, half depth
    (0.185, 0.001, 0.001), (0.205, 0.022, 0.026), (0.300, 0.020, 0.023), (0.380, 0.019, 0.019),
    (0.420, 0.019, 0.018), (0.500, 0.012, 0.010), (0.540, 0.009, 0.021), (0.610, 0.004, 0.010),
    (0.620, 0.0005, 0.0005),
)  # fmt: skip
_LEG = (
    (0.480, 0.001, 0.001), (0.520, 0.044, 0.050), (0.600, 0.041, 0.046), (0.700, 0.031, 0.034),
    (0.735, 0.029, 0.032), (0.800, 0.027, 0.030), (0.880, 0.019, 0.021), (0.940, 0.015, 0.018),
    (0.970, 0.019, 0.045), (1.000, 0.017, 0.060),
)  # fmt: skip
_FATNESS = (
    (0.0, 0.15), (0.1, 0.25), (0.15, 0.4), (0.25, 0.6), (0.42, 1.2), (0.5, 1.2), (0.6, 0.9),
    (0.8, 0.5), (1.0, 0.3),
)  # fmt: skip


class _Organ(NamedTuple):
    """An ellipsoid: place and radii in half widths and depths of the frame, and in statures."""

    label: int
    across: float
    back: float
    level: float
    width: float
    depth: float
    length: float
    paired: bool = False
    chance: float = 0.9


# Painted in this order; +across is the person's left, +back posterior.
_ORGANS = (
    _Organ(_SKULL, 0, 0.02, 0.050, 0.88, 0.90, 0.046, chance=1.0),
    _Organ(_FLUID, 0, 0.02, 0.050, 0.80, 0.83, 0.0425, chance=1.0),
    _Organ(_GREY, 0, 0.03, 0.050, 0.77, 0.81, 0.041, chance=1.0),
    _Organ(_BONE, 0, -0.50, 0.094, 0.62, 0.46, 0.024),
    _Organ(_HINDBRAIN, 0.0, 0.45, 0.088, 0.55, 0.36, 0.016),
    _Organ(_WHITE, 0, 0.12, 0.090, 0.15, 0.16, 0.020),
    _Organ(_FLUID, 0.13, 0.0, 0.045, 0.10, 0.36, 0.012, paired=True),
    _Organ(_FAT, 0.42, -0.55, 0.066, 0.26, 0.30, 0.011, paired=True),
    _Organ(_EYE, 0.42, -0.68, 0.066, 0.19, 0.18, 0.009, paired=True),
    _Organ(_AIR, 0, -0.58, 0.086, 0.12, 0.34, 0.015),
    _Organ(_AIR, 0.38, -0.50, 0.090, 0.19, 0.22, 0.010, paired=True, chance=0.8),
    _Organ(_AIR, 0, -0.82, 0.056, 0.28, 0.07, 0.008, chance=0.6),
    _Organ(_BONE, 0.66, 0.15, 0.090, 0.22, 0.22, 0.010, paired=True),
    _Organ(_BONE, 0.58, -0.28, 0.116, 0.14, 0.50, 0.015, paired=True),
    _Organ(_BONE, 0, -0.78, 0.121, 0.42, 0.12, 0.010),
    _Organ(_STOMACH, 0, -0.38, 0.113, 0.34, 0.36, 0.014),  # tongue
    _Organ(_AIR, 0, 0.02, 0.118, 0.14, 0.10, 0.022),
    _Organ(_AIR, 0, -0.35, 0.165, 0.20, 0.20, 0.028),
    _Organ(_SPLEEN, 0.32, -0.38, 0.165, 0.16, 0.26, 0.012, paired=True),  # thyroid
    _Organ(VESSELS[0], 0.55, -0.1, 0.15, 0.13, 0.13, 0.025, paired=True),
    _Organ(_BONE, 0.45, -0.35, 0.188, 0.50, 0.11, 0.009, paired=True),
    _Organ(_BONE, 0.86, 0.02, 0.200, 0.13, 0.24, 0.016, paired=True),
    _Organ(_BONE, 0.62, 0.62, 0.235, 0.30, 0.08, 0.035, paired=True),
    _Organ(_INNARDS, 0, 0.0, 0.280, 0.36, 0.78, 0.090, chance=1.0),
    _Organ(_LUNG, 0.45, 0.05, 0.275, 0.42, 0.74, 0.085, paired=True, chance=1.0),
    _Organ(_AIR, 0, 0.05, 0.225, 0.09, 0.13, 0.030),
    _Organ(_HEART, 0.16, -0.25, 0.298, 0.36, 0.44, 0.034),
    _Organ(VESSELS[1], 0.20, -0.22, 0.298, 0.20, 0.26, 0.022),
    _Organ(VESSELS[1], 0.05, -0.15, 0.255, 0.16, 0.25, 0.014),
    _Organ(_BONE, 0, -0.90, 0.255, 0.15, 0.08, 0.050),
    _Organ(_INNARDS, 0, -0.12, 0.430, 0.80, 0.72, 0.100, chance=1.0),
    _Organ(_BOWEL, 0.66, 0.0, 0.430, 0.15, 0.22, 0.055, paired=True),
    _Organ(_LIVER, -0.36, -0.10, 0.360, 0.52, 0.70, 0.044),
    _Organ(_LIVER, 0.05, -0.40, 0.355, 0.45, 0.36, 0.024),
    _Organ(_STOMACH, 0.40, -0.30, 0.368, 0.30, 0.40, 0.030),
    _Organ(_AIR, 0.42, -0.45, 0.365, 0.16, 0.18, 0.018, chance=0.6),
    _Organ(_SPLEEN, 0.64, 0.30, 0.362, 0.19, 0.32, 0.024),
    _Organ(_FLUID, -0.28, -0.42, 0.392, 0.12, 0.20, 0.014, chance=0.7),
    _Organ(_KIDNEY, 0.44, 0.42, 0.408, 0.18, 0.22, 0.027, paired=True),
    _Organ(_INNARDS, 0.36, 0.38, 0.408, 0.08, 0.10, 0.013, paired=True),
    _Organ(_MUSCLE, 0.27, 0.34, 0.445, 0.13, 0.18, 0.055, paired=True),
    _Organ(_BONE, 0.58, 0.22, 0.480, 0.36, 0.52, 0.030, paired=True, chance=1.0),
    _Organ(_MUSCLE, 0.50, 0.10, 0.474, 0.34, 0.46, 0.030, paired=True, chance=1.0),
    _Organ(_BONE, 0.60, 0.05, 0.512, 0.20, 0.32, 0.014, paired=True),
    _Organ(_BONE, 0.28, -0.25, 0.525, 0.20, 0.22, 0.012, paired=True),
    _Organ(_BLADDER, 0, -0.32, 0.510, 0.28, 0.34, 0.016),
    _Organ(_BOWEL, 0, 0.36, 0.510, 0.16, 0.18, 0.024),
)  # fmt: skip


def random_human(draw: Draw, scale: tuple[float, float]) -> Int[Tensor, "slice row col"]:
    """Draw human bodies and cut each at its levels; see `random_invented`.

    Levels run along a part of the body that each plan draws, toward the head or the feet.
    """
    body = _body(draw, scale)
    labels = _layers(draw, body)
    labels = _organs(draw, body, labels)
    labels = _bowel(draw, body, labels)
    labels = _folds(draw, labels)
    labels = _ribs(draw, body, labels)
    labels = _spine(draw, body, labels)
    return _limb_bones(draw, body, labels)


@dataclass(frozen=True)
class _Body:
    """Where every pixel lies."""

    level: Tensor
    """In statures from the crown."""

    across: Tensor
    """Of head and trunk, in half widths of the frame."""

    back: Tensor
    """In half depths of the frame."""

    depth: Tensor
    """Under the surface, in statures, roughly; <= 0 outside."""

    fat: Tensor
    """Thickness of the fat under the skin, in statures."""

    limb: Float[Tensor, "slice row col"]
    """1 where an arm, 2 where a leg is the nearest part."""

    limb_across: Tensor
    """In a limb, from its axis to the side, in half widths."""

    limb_back: Tensor


def _body(draw: Draw, scale: tuple[float, float]) -> _Body:
    first, last = _region(draw)
    level = first + (last - first) * draw.level()
    fat = torch.exp(draw.per_plan(math.log(0.003), math.log(0.02))) * draw.own(0.7)
    fat = fat * _along(level, _FATNESS, 1)
    width = _along(level, _FRAME, 1) * _size(draw, 0.12, 0.08)
    depth = _along(level, _FRAME, 2) * _size(draw, 0.12, 0.08)
    arm_size, leg_size = _size(draw, 0.15, 0.1), _size(draw, 0.15, 0.1)
    arm, arm2 = (_along(level, _ARM, column) * arm_size for column in (1, 2))
    leg, leg2 = (_along(level, _LEG, column) * leg_size for column in (1, 2))
    # Arms hang beside the body, lie on it, or are not shown.
    arm = arm * draw.chance(0.7)
    present = (arm > 0.002).float()
    arm_fat, leg_fat = 0.6 * fat, fat
    gap = draw.per_plan(-0.004, 0.02) + 0.008 * (draw.own(0.5) - 1)
    arm_centre = width + fat + arm + arm_fat + gap * (1 - torch.exp(-40 * (level - 0.2).clamp(0)))
    leg_centre = leg + draw.per_plan(0.0, 0.02) * ((level - 0.5) / 0.3).clamp(0, 1) + 0.5 * leg_fat

    legs_shown = (leg > 0.004).float()
    reach = torch.maximum(width + fat, depth + fat)
    reach = torch.maximum(reach, present * (arm_centre + arm + arm_fat))
    reach = torch.maximum(reach, legs_shown * (leg_centre + leg + leg_fat))
    axis = torch.linspace(-1, 1, draw.size_px)
    rows, cols = torch.meshgrid(axis, axis, indexing="ij")
    zoom = reach / draw.per_person(*scale)
    row = (rows - draw.per_person(-0.08, 0.08)) * zoom
    col = (cols - draw.per_person(-0.08, 0.08)) * zoom
    wobble = draw.field(2, draw.size_px / 4)
    bend = draw.per_plan(0.01, 0.06) * zoom
    row, col = row + bend * wobble[:, 0], col + bend * wobble[:, 1]

    square = draw.per_plan(2.0, 2.8)
    trunk = _inside(col, row, width + fat, depth + fat, square)
    side = torch.sign(col)
    arm_col, arm_row = (col - side * arm_centre) * side, row - draw.per_plan(-0.02, 0.02)
    leg_col = (col - side * leg_centre) * side
    in_arm = _inside(arm_col, arm_row, arm + arm_fat, arm2 + arm_fat, 2.0)
    in_arm = torch.where(present > 0, in_arm, -1.0)
    in_leg = _inside(leg_col, row, leg + leg_fat, leg2 + leg_fat, 2.0)
    in_leg = torch.where(legs_shown > 0, in_leg, -1.0)
    limb = torch.where(in_arm > trunk, 1.0, 0.0)
    limb = torch.where((in_leg > trunk) & (level > 0.535), 2.0, limb)
    is_arm = limb == 1
    return _Body(
        level=level,
        across=col / width,
        back=row / depth,
        depth=torch.stack([trunk, in_arm, in_leg]).amax(0),
        fat=torch.where(is_arm, arm_fat, torch.where(limb == 2, leg_fat, fat)),
        limb=limb,
        limb_across=torch.where(is_arm, arm_col / arm.clamp(1e-4), leg_col / leg.clamp(1e-4)),
        limb_back=torch.where(is_arm, arm_row / arm2.clamp(1e-4), row / leg2.clamp(1e-4)),
    )


def _region(draw: Draw) -> tuple[Tensor, Tensor]:
    """Draw the part of the body between a plan's lowest and highest level."""
    number = draw.per_plan(0.0, float(len(_REGIONS))).long()
    bounds = torch.tensor(_REGIONS)[number]
    upside = draw.chance(0.5)  # a stack may run toward the head or the feet
    first, last = bounds[..., 0], bounds[..., 1]
    return first + upside * (last - first), last - upside * (last - first)


def _size(draw: Draw, plans: float, persons: float) -> Tensor:
    """Draw a factor of size: of plans, and of persons."""
    return torch.exp(draw.per_plan(-plans, plans)) * draw.own(persons)


def _along(level: Tensor, stations: tuple[tuple[float, ...], ...], column: int) -> Tensor:
    """Read a column of a table at levels, linear between its rows."""
    table = torch.tensor(stations)
    known, values = table[:, 0].contiguous(), table[:, column]
    after = torch.searchsorted(known, level.clamp(0, 1).contiguous()).clamp(1, len(known) - 1)
    part = (level.clamp(0, 1) - known[after - 1]) / (known[after] - known[after - 1])
    return values[after - 1] + part.clamp(0, 1) * (values[after] - values[after - 1])


def _inside(
    col: Tensor, row: Tensor, width: Tensor, height: Tensor, power: Tensor | float
) -> Tensor:
    """Return the depth under a (super)ellipse's surface, roughly, in its unit."""
    norm = (col / width).abs().clamp(1e-4) ** power + (row / height).abs().clamp(1e-4) ** power
    return (1 - norm ** (1 / power)) * torch.minimum(width, height)


def _layers(draw: Draw, body: _Body) -> Int[Tensor, "slice row col"]:
    """Paint skin, fat and muscle."""
    uneven = 1 + 0.3 * draw.field(1, draw.size_px / 6)[:, 0]
    skin = draw.per_plan(0.0008, 0.003)
    labels = torch.where(body.depth > 0, _SKIN, 0)
    labels = torch.where(body.depth > skin, _FAT, labels)
    muscle = torch.where(body.depth > skin + body.fat * uneven.clamp(0.3), _MUSCLE, labels)
    # Fat between muscles.
    seam = draw.field(1, draw.size_px / float(draw.per_plan(4.0, 9.0).mean()))[:, 0].abs()
    seam = seam < draw.per_plan(0.0, 0.12)
    return torch.where(seam & (muscle == _MUSCLE), CURVES[0], muscle)


def _organs(draw: Draw, body: _Body, labels: Tensor) -> Tensor:
    """Paint the table of organs."""
    within = (body.depth > 0.3 * body.fat) & (body.limb == 0)
    wobble = draw.field(4, draw.size_px / 7)
    for number, organ in enumerate(_ORGANS):
        present = draw.chance(organ.chance)
        size = [_size(draw, 0.15, 0.1) for _ in range(3)]
        place = [
            at + draw.per_plan(-spread, spread) + spread * (draw.own(0.5) - 1)
            for at, spread in ((organ.across, 0.05), (organ.back, 0.05), (organ.level, 0.004))
        ]
        if not organ.paired and organ.across == 0:
            place[0] = place[0] * 0.4
        along = (body.level - place[2]) / (organ.length * size[2])
        shown = ((along.abs() < 1.1) & (present > 0)).flatten()
        if not shown.any():
            continue
        across = body.across[shown].abs() if organ.paired else body.across[shown]
        squared = (
            ((across - place[0][shown]) / (organ.width * size[0][shown])) ** 2
            + ((body.back[shown] - place[1][shown]) / (organ.depth * size[1][shown])) ** 2
            + along[shown] ** 2
        )
        inside = (squared + 0.18 * wobble[shown, number % 4] < 1) & within[shown]
        labels[shown] = torch.where(inside, organ.label, labels[shown])
    return labels


def _bowel(draw: Draw, body: _Body, labels: Tensor) -> Tensor:
    """Fill the belly with loops, contents and fat between."""
    loops = draw.field(2, draw.size_px / 12)
    low = (body.level - draw.per_plan(0.37, 0.4)).clamp(0) * 40
    belly = (labels == _INNARDS) & (body.level > 0.37) & (body.back < 0.3 + 0.2 * loops[:, 1])
    wall = belly & (loops[:, 0] > draw.per_plan(-0.6, 0.4) - low.clamp(max=0.3))
    filled = wall & (loops[:, 0] > 0.6) & (loops[:, 1] > 0)
    labels = torch.where(wall, _BOWEL, labels)
    return torch.where(filled, torch.where(draw.chance(0.5) > 0, _CONTENT, _AIR), labels)


def _folds(draw: Draw, labels: Tensor) -> Tensor:
    """Fold grey matter over white."""
    symmetric = torch.ones_like(draw.level())
    fold = draw.field(2, draw.size_px / 10, symmetric=symmetric)
    grey = labels == _GREY
    # Depth under the brain's surface: distance to what is not brain, by repeated erosion.
    core = grey.float()[:, None]
    shrink = max(3, 2 * round(draw.size_px / 40) + 1)
    deep = -torch.nn.functional.max_pool2d(-core, shrink, 1, shrink // 2)
    deep = torch.nn.functional.avg_pool2d(deep, shrink, 1, shrink // 2)[:, 0]
    white = grey & (deep + 0.35 * fold[:, 0] > 0.45)
    labels = torch.where(white, _WHITE, labels)
    sulcus = grey & ~white & (fold[:, 1].abs() < draw.per_plan(0.05, 0.25))
    return torch.where(sulcus, _FLUID, labels)


def _ribs(draw: Draw, body: _Body, labels: Tensor) -> Tensor:
    """Paint a cage of ribs that fall toward the front."""
    angle = torch.atan2(body.back, body.across.abs())
    count = draw.per_plan(70.0, 110.0)
    beat = torch.cos(2 * math.pi * count * (body.level + draw.per_plan(0.01, 0.03) * angle))
    radius = torch.sqrt(body.across**2 + body.back**2)
    inner = draw.per_plan(0.78, 0.86)
    cage = (radius > inner) & (radius < inner + draw.per_plan(0.06, 0.12)) & (body.limb == 0)
    cage &= (body.level > 0.195) & (body.level < 0.385 - 0.04 * (body.back < -0.3))
    cage &= (angle > -1.2) & (body.depth > 0)
    return torch.where(cage & (beat > draw.per_plan(-0.2, 0.4)), _RIB, labels)


def _spine(draw: Draw, body: _Body, labels: Tensor) -> Tensor:
    """Paint vertebrae with discs, canal and processes."""
    level = body.level
    place = _along(level, ((0.1, 0.35), (0.17, 0.3), (0.25, 0.58), (0.4, 0.38), (0.5, 0.68)), 1)
    radius = _along(level, ((0.1, 0.32), (0.16, 0.3), (0.19, 0.15), (0.3, 0.16), (0.45, 0.22)), 1)
    place, radius = place + draw.per_plan(-0.05, 0.05), radius * _size(draw, 0.12, 0.08)
    row = body.back - place
    tall = 1.35  # the trunk is wider than deep: a round body is tall in units of its frame
    distance = torch.sqrt((body.across / radius) ** 2 + (row / (tall * radius)) ** 2)
    present = (level > 0.1) & (level < 0.53) & (body.limb == 0) & (body.depth > 0.002)
    beat = torch.cos(2 * math.pi * draw.per_plan(45.0, 60.0) * level)
    behind = row / (tall * radius)
    arch = torch.sqrt((body.across / radius) ** 2 + (behind - 1.35) ** 2)
    process = (body.across.abs() < 0.18 * radius) & (behind > 1.3) & (behind < 2.4)
    wings = (behind - 1.1).abs() < 0.25
    wings &= (body.across.abs() < 2.0 * radius) & (beat > 0.2)
    bone = (distance < 1) | (arch < 0.62) | process | wings
    labels = torch.where(present & bone, _BONE, labels)
    labels = torch.where(present & (distance < 0.85) & (distance > 0), _MARROW, labels)
    labels = torch.where(present & (distance < 0.95) & (beat < -0.7), _DISC, labels)
    canal = present & (arch < 0.4)
    labels = torch.where(canal, _FLUID, labels)
    labels = torch.where(canal & (arch < 0.22), _WHITE, labels)
    vessels = present & (level > 0.26) & (level < 0.46)
    for side, label in ((0.9, VESSELS[1]), (-0.9, VESSELS[2])):
        away = torch.sqrt((body.across / radius - side) ** 2 + (behind + 1.2) ** 2)
        labels = torch.where(vessels & (away < 0.55), label, labels)
    return labels


def _limb_bones(draw: Draw, body: _Body, labels: Tensor) -> Tensor:
    """Paint one bone in thigh and upper arm, two below, thick at the joints."""
    level = body.level
    for limb, joint, end in ((1, 0.385, 0.51), (2, 0.735, 0.95)):
        is_limb = (body.limb == limb) & (body.depth > 0)
        at_joint = torch.exp(-(((level - joint) / 0.014) ** 2)) + torch.exp(
            -(((level - end) / 0.014) ** 2)
        )
        thick = draw.per_plan(0.2, 0.3) * draw.own(0.15) * (1 + 1.6 * at_joint)
        apart = torch.where(level > joint, draw.per_plan(0.3, 0.5), 0.0)
        for side in (-1, 1):
            thickness = thick * (1.0 if side < 0 else 0.7)
            distance = torch.sqrt(
                (body.limb_across - side * apart) ** 2
                + (body.limb_back - draw.per_plan(-0.25, 0.15)) ** 2
            )
            bone = is_limb & (distance < thickness)
            labels = torch.where(bone, _BONE, labels)
            labels = torch.where(bone & (distance < 0.6 * thickness), _MARROW, labels)
    return labels
