"""Plainly right and slow: what fast code is held to."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor


def patch_score(own: Tensor, other: Tensor, at: tuple[int, int], to: tuple[int, int], patch: int):
    """Mean cosine over the patch offsets that lie inside both images."""
    reach, products = patch // 2, []
    for drow, dcol in itertools.product(range(-reach, reach + 1), repeat=2):
        row, col, row2, col2 = at[0] + drow, at[1] + dcol, to[0] + drow, to[1] + dcol
        inside = 0 <= row < own.shape[1] and 0 <= col < own.shape[2]
        inside2 = 0 <= row2 < other.shape[1] and 0 <= col2 < other.shape[2]
        if inside and inside2:
            products.append(float(own[:, row, col] @ other[:, row2, col2]))
    return sum(products) / len(products)


def best_match(own, other, at, candidates, patch, penalty):
    """Return the candidate with the highest score minus penalty, and its score."""
    scored = [(patch_score(own, other, at, to, patch) - penalty(to), to) for to in candidates]
    best, place = max(scored, key=lambda pair: pair[0])
    return place, best + penalty(place)


def dense_smoother(signal: np.ndarray, guide: np.ndarray, smoothness: float, sigma: float):
    """Minimise sum (u - f)^2 + lambda sum exp(-|dg| / sigma) (du)^2 on one line, densely."""
    size = len(signal)
    pull = smoothness * np.exp(-np.abs(np.diff(guide)) / sigma)
    laplacian = np.zeros((size, size))
    for x, weight in enumerate(pull):
        laplacian[x : x + 2, x : x + 2] += weight * np.array([[1, -1], [-1, 1]])
    return np.linalg.solve(np.eye(size) + laplacian, signal)


def best_path(similarity: np.ndarray, cost: np.ndarray) -> tuple[int, ...]:
    """Try every sequence of references."""
    slices, references = similarity.shape

    def total(path: tuple[int, ...]) -> float:
        gains = sum(similarity[z, r] for z, r in enumerate(path))
        return gains - sum(cost[a, b] for a, b in itertools.pairwise(path))

    return max(itertools.product(range(references), repeat=slices), key=total)


def unit_features(generator: torch.Generator, channels: int, rows: int, cols: int) -> Tensor:
    """Random features of unit length."""
    features = torch.randn(channels, rows, cols, generator=generator)
    return torch.nn.functional.normalize(features, dim=0)
