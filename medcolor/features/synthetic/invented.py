"""Invented bodies as label maps: outlines, limbs, rims, organs, ribs, spine, vessels, fields.

A body is one, two or three wobbly ellipses (head or trunk, arms, legs) with rims under the
surface. Inside, the arg-max of smooth random fields of many sizes is cut by thin curves and
painted over with organs, a rib cage, a spine and vessels that wander along the body. Bodies
drawn from one plan differ in size, outline, thickness and details, as people do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from medcolor.features.synthetic.noise import Draw, uniform
from medcolor.features.synthetic.tissues import BONES, CURVES, INNER, ORGANS, RIMS, VESSELS

_PLACE = tuple[Tensor, Tensor]


def random_invented(
    draw: Draw, scale: tuple[float, float], *, whole: bool
) -> Int[Tensor, "slice row col"]:
    """Draw bodies that exist nowhere and cut each at its levels.

    Args:
        draw: Source of randomness and levels.
        scale: Size of a body against the image; above 1 the image shows a part of it.
        whole: Whether outlines change along the body and may close at its ends, as they do
            between shoulders, neck and crown.
    """
    symmetric = draw.chance(0.5)
    girth = _girth(draw) if whole else None
    depth, across, along = _outline(draw, scale, girth)
    inside = depth > 0
    labels = torch.where(inside, _mosaic(draw, symmetric), 0)
    labels = _curves(draw, labels, inside, symmetric)
    labels = _organs(draw, labels, (across, along), depth, symmetric)
    labels = _rims(draw, labels, depth)
    labels = _skeleton(draw, labels, (across, along), depth)
    return _vessels(draw, labels, (across, along), depth)


@dataclass(frozen=True)
class _Girth:
    """How the outline changes along the body: factors of its sizes, 1 on average."""

    width: Tensor
    height: Tensor
    limb: Tensor
    closing: Tensor
    """1 along most of the body; toward a closed end the surface draws near from above, too."""


def _girth(draw: Draw) -> _Girth:
    closing = torch.ones_like(draw.level())
    for level in (draw.level(), 1 - draw.level()):
        length = draw.per_plan(0.08, 0.35)
        into = ((level - 1 + length) / length).clamp(0, 0.99) * draw.chance(0.5)
        closing = closing * torch.sqrt(1 - into**2)
    width, height, limb = (torch.exp(s * draw.curve()) for s in (0.25, 0.15, 0.25))
    return _Girth(width * closing, height * closing, limb * closing, closing)


def _outline(
    draw: Draw, scale: tuple[float, float], girth: _Girth | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return depth under the surface and place (across, along) in half sizes of the body."""
    axis = torch.linspace(-1, 1, draw.size_px)
    rows, cols = torch.meshgrid(axis, axis, indexing="ij")
    size = draw.per_person(*scale)
    # The outline narrows toward one end, as a head or a limb does.
    taper = 1 - draw.per_plan(0.0, 0.6) * (draw.level() - 0.3).clamp(min=0)
    width = size * draw.per_plan(0.7, 1.0) * draw.own(0.06) * taper
    height = size * draw.per_plan(0.6, 1.0) * draw.own(0.06) * taper
    kind = draw.per_plan(0.0, 1.0)
    arms, legs = (kind < 0.2).float(), ((kind >= 0.2) & (kind < 0.35)).float()
    width = width * (1 - 0.35 * arms - 0.5 * legs)
    if girth is not None:
        width, height = width * girth.width, height * girth.height
    row = rows - draw.per_person(-0.12, 0.12)
    col = cols - draw.per_person(-0.12, 0.12) - legs * 0.52 * size
    across, along = col / width, row / height
    depth = 1 - torch.sqrt(across**2 + along**2)
    limb = width * draw.per_plan(0.25, 0.4) * draw.own(0.06) * (1 - legs) + width * legs
    if girth is not None:
        limb = limb * girth.limb
    limb_height = limb * draw.per_plan(0.8, 1.3) * (1 - legs) + height * legs
    away = width + limb * (1.05 * draw.own(0.1))
    for side in (-1, 1):
        centre = side * away * (1 - legs) - 1.04 * size * legs
        far = torch.sqrt(
            ((col - centre) / limb) ** 2 + ((row - 0.2 * height * (1 - legs)) / limb_height) ** 2
        )
        other = (1 - far) * limb / width
        depth = torch.where(arms + legs > 0, torch.maximum(depth, other), depth)
    wobble = draw.field(1, draw.size_px / 3.5)[:, 0]
    ripple = draw.field(1, draw.size_px / 10)[:, 0]
    depth = depth + draw.per_plan(0.02, 0.12) * wobble + draw.per_plan(0.0, 0.03) * ripple
    return depth if girth is None else depth * girth.closing, across, along


def _mosaic(draw: Draw, symmetric: Tensor) -> Int[Tensor, "slice row col"]:
    """Fill everything with the arg-max of smooth fields of four sizes."""
    low, high = math.log(2.5), math.log(26.0)
    cells = draw.size_px / torch.exp(uniform(draw.generator, (4,), low, high)).sort().values
    share = len(INNER) // len(cells)
    fields = []
    for cell_px in cells.tolist():
        amplitude = uniform(draw.generator, (1, share, 1, 1), 0.5, 1.2)
        fields.append(draw.field(share, cell_px, symmetric=symmetric) * amplitude)
    inner = torch.cat(fields, 1)
    # Silence some fields: a body has few tissues or many.
    plans, persons, count = draw.levels.shape
    alive = torch.rand(plans, len(INNER), generator=draw.generator)
    alive = alive < uniform(draw.generator, (plans, 1), 0.15, 1.0)
    alive[:, 0] = True
    alive = alive.repeat_interleave(persons * count, 0)
    return inner.masked_fill(~alive[:, :, None, None], -1e3).argmax(1) + INNER.start


def _curves(draw: Draw, labels: Tensor, inside: Tensor, symmetric: Tensor) -> Tensor:
    """Paint thin curves where a smooth field crosses zero: sulci, septa, fasciae."""
    for label in CURVES:
        cell_px = draw.size_px / float(uniform(draw.generator, (1,), 4.0, 16.0))
        crossing = draw.field(1, cell_px, symmetric=symmetric)[:, 0]
        width = draw.per_plan(0.02, 0.16) * draw.chance(0.6)
        labels = torch.where(inside & (crossing.abs() < width), label, labels)
    return labels


def _organs(draw: Draw, labels: Tensor, place: _PLACE, depth: Tensor, symmetric: Tensor) -> Tensor:
    """Paint wobbly ellipsoids, single or in pairs: lungs, kidneys, ventricles, eyes, liver."""
    across, along = place
    for label in ORGANS:
        paired = symmetric * draw.chance(0.6)
        x = torch.where(paired > 0, across.abs(), across)
        wobble = draw.field(1, draw.size_px / 6)[:, 0]
        radius = torch.exp(draw.per_plan(math.log(0.08), math.log(0.5)))
        squared = (
            ((x - draw.per_plan(-0.6, 0.6) - 0.3 * paired) / radius) ** 2
            + ((along - draw.per_plan(-0.6, 0.6)) / (radius * draw.per_plan(0.6, 1.6))) ** 2
            + ((draw.level() - draw.per_plan(0.0, 1.0)) / draw.per_plan(0.1, 0.5)) ** 2
        )
        organ = (squared + 0.25 * wobble < 1) & (depth > 0.04) & (draw.chance(0.6) > 0)
        labels = torch.where(organ, label, labels)
    return labels


def _rims(draw: Draw, labels: Tensor, depth: Tensor) -> Tensor:
    """Paint skin, fat, muscle and bone under the surface, each of uneven thickness."""
    outer = torch.zeros_like(depth)
    for label in RIMS:
        uneven = draw.field(1, draw.size_px / 5)[:, 0]
        thickness = draw.per_plan(0.02, 0.12) * draw.own(0.4) * draw.chance(0.6)
        thickness = thickness * (1 + 0.5 * uneven).clamp(0.1)
        shell = (depth > outer) & (depth <= outer + thickness)
        labels = torch.where(shell, label, labels)
        outer = outer + thickness
    return labels


def _skeleton(draw: Draw, labels: Tensor, place: _PLACE, depth: Tensor) -> Tensor:
    """Paint a cage of slanting ribs and a spine with its canal."""
    across, along = place
    angle = torch.atan2(along, across.abs())
    phase = draw.per_plan(0.0, 6.28) + draw.per_plan(10.0, 40.0) * draw.level()
    beat = torch.cos(draw.per_plan(6.0, 18.0) * angle + phase)
    start = draw.per_plan(0.06, 0.2)
    ribs = (beat > draw.per_plan(0.2, 0.8)) & (depth > start)
    ribs &= (depth < start + draw.per_plan(0.04, 0.08)) & (draw.chance(0.35) > 0)
    labels = torch.where(ribs, BONES[0], labels)
    size = draw.per_plan(0.12, 0.25)
    row = along - draw.per_plan(0.35, 0.65)
    distance = torch.sqrt(across**2 + row**2) / size
    present = (draw.chance(0.4) > 0) & (depth > 0.03)
    spread = across.abs() < 0.25 * size + 0.6 * (row - 1.4 * size).abs() * (beat > 0)
    process = (row > 0.9 * size) & (row < 2.4 * size) & spread
    labels = torch.where(present & ((distance < 1) | process), BONES[1], labels)
    canal = torch.sqrt(across**2 + (row - 1.3 * size) ** 2) < 0.45 * size
    disc = (distance < 0.9) & (torch.cos(draw.per_plan(30.0, 60.0) * draw.level()) > 0.4)
    labels = torch.where(present & canal, VESSELS[0], labels)
    return torch.where(present & disc, ORGANS[0], labels)


def _vessels(draw: Draw, labels: Tensor, place: _PLACE, depth: Tensor) -> Tensor:
    """Paint tubes that run along the body and wander."""
    across, along = place
    for number in range(6):
        x = draw.per_plan(-0.6, 0.6) + draw.per_plan(-0.5, 0.5) * (draw.level() - 0.5)
        y = draw.per_plan(-0.6, 0.6) + draw.per_plan(-0.5, 0.5) * (draw.level() - 0.5)
        radius = draw.per_plan(0.015, 0.06) * draw.own(0.3) * draw.chance(0.6)
        tube = (across - x) ** 2 + (along - y) ** 2 < radius**2
        labels = torch.where(tube & (depth > 0.03), VESSELS[number % len(VESSELS)], labels)
    return labels
