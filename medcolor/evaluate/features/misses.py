"""How often the nearest neighbour among all cells is the wrong one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from medcolor.evaluate.features.pairs import Pair, View
from medcolor.features.network import LEVEL_NAMES, TapNetwork

QUERIES = 256
"""Cells of the target looked up in each pair and level."""


@dataclass
class MissRates:
    """Misses by level, counted over pairs."""

    missed: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def count(self, level: str, missed: int, asked: int) -> None:
        """Count one pair."""
        self.missed[level] += missed
        self.asked[level] += asked

    def add(self, other: MissRates) -> None:
        """Count what another has counted."""
        for level in other.asked:
            self.count(level, other.missed[level], other.asked[level])

    def rate(self, level: str) -> float:
        """Return misses against questions."""
        return self.missed[level] / self.asked[level] if self.asked[level] else float("nan")


@torch.inference_mode()
def count_misses(
    pair: Pair, extract: TapNetwork, patch_px: int, seed: int, rates: MissRates
) -> None:
    """Look up cells of the target at every level among all tissue cells of the reference.

    A hit lies within one cell of the truth. Scores are those of the product's search: the mean
    cosine over the patch offsets for which both partners lie inside.

    Args:
        pair: Images and truth.
        extract: Features.
        patch_px: Side of the patches in cells: the product's, or 1 where the features are
            patches already.
        seed: Decides which cells are asked; the same for all rivals.
        rates: Counts.
    """
    own_levels, other_levels = _levels(extract, pair.target), _levels(extract, pair.reference)
    for index, name in enumerate(LEVEL_NAMES):
        stride = 2**index
        queries, place = _questions(pair, stride, np.random.default_rng((seed, index)))
        allowed = torch.from_numpy(_cells(pair.reference.tissue, stride)).flatten()
        if len(queries) == 0 or not allowed.any():
            continue
        best = _nearest(own_levels[index], other_levels[index], queries, allowed, patch_px)
        width = other_levels[index].shape[2]
        found = np.stack([best // width, best % width], 1)
        distance = np.linalg.norm(found - place, axis=1)
        rates.count(name, int((distance > 1).sum()), len(queries))


def _levels(extract: TapNetwork, view: View) -> list[Float[Tensor, "channel row col"]]:
    taps = extract(torch.from_numpy(view.grey)[None, None])
    return [F.normalize(tap[0], dim=0, eps=1e-6) for tap in taps]


def _cells(mask: np.ndarray, stride: int) -> np.ndarray:
    """Return the cells that hold any of the mask."""
    rows, cols = mask.shape[0] // stride, mask.shape[1] // stride
    return np.asarray(mask.reshape(rows, stride, cols, stride).any(axis=(1, 3)))


def _questions(
    pair: Pair, stride: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (query, 2) cells of the target and their true places in cells of the reference.

    A cell is asked where most of its pixels are known and its place lies in the reference's
    tissue.
    """
    rows, cols = (side // stride for side in pair.known.shape)
    blocks = pair.known.reshape(rows, stride, cols, stride)
    share = blocks.mean(axis=(1, 3))
    weight = blocks.sum(axis=(1, 3)).clip(1)
    cut = pair.place.reshape(2, rows, stride, cols, stride)
    mean = (cut * blocks).sum(axis=(2, 4)) / weight
    place = (mean + 0.5) / stride - 0.5
    tissue = _cells(pair.reference.tissue, stride)
    nearest = np.rint(place).astype(int)
    inside = np.all((nearest >= 0) & (nearest < np.array(tissue.shape)[:, None, None]), axis=0)
    row, col = (nearest[axis].clip(0, tissue.shape[axis] - 1) for axis in range(2))
    asked = np.argwhere((share > 0.6) & inside & tissue[row, col])
    if len(asked) > QUERIES:
        asked = asked[random.choice(len(asked), QUERIES, replace=False)]
    return asked, place[:, asked[:, 0], asked[:, 1]].T


def _nearest(
    own: Float[Tensor, "channel row col"],
    other: Float[Tensor, "channel row2 col2"],
    queries: np.ndarray,
    allowed: Tensor,
    patch_px: int,
) -> np.ndarray:
    """Return the flat index of the best allowed cell of the reference for each query."""
    reach = patch_px // 2

    def patches(features: Tensor) -> Tensor:
        return F.unfold(features[None], patch_px, padding=reach)[0]

    at = torch.from_numpy(queries[:, 0] * own.shape[2] + queries[:, 1])
    ones, ones2 = torch.ones_like(own[:1]), torch.ones_like(other[:1])
    score = patches(own)[:, at].T @ patches(other)
    score /= (patches(ones)[:, at].T @ patches(ones2)).clamp(min=1)
    return score.masked_fill(~allowed, -torch.inf).argmax(1).numpy()
