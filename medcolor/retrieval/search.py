"""The k most similar references of every query, exactly, without the matrix of all pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medcolor.errors import RunError

_STEPS = 1e5
"""Cosines are told apart to 1e-5, as `cosine_similarity` does: no choice may hang on the order in
which a product was summed, which differs with threads, blocks and devices."""

_LEVEL = 1 << 32
"""One step of the cosine in a key; the number of the reference takes the places below."""


class Nearest(NamedTuple):
    """References of every query, the most similar first."""

    indices: Int[np.ndarray, "query k"]
    cosines: Float[np.ndarray, "query k"]
    """Rounded to 1e-5."""


def top_k(
    queries: Float[np.ndarray, "query descriptor"],
    references: Float[np.ndarray, "reference descriptor"],
    k: int,
    *,
    block: int = 8192,
    device: str = "cpu",
) -> Nearest:
    """Return the k references with the highest cosine; of equal ones the first come first.

    Args:
        queries: Unit vectors, float32.
        references: Unit vectors, float32; may be a read-only map of a file.
        k: How many, >= 1; with fewer references, all of them.
        block: References compared at a time; memory beside the arguments is 16 bytes for each
            pair of a block. The result does not depend on it.
        device: Where to multiply, as torch names it.

    Raises:
        RunError: If somebody let torch round products on the device to tf32.
    """
    placed = torch.from_numpy(np.array(queries)).to(device)
    best = torch.empty((len(queries), 0), dtype=torch.int64, device=device)
    for begin in range(0, len(references), block):
        cosines = _product(placed, references[begin : begin + block])
        numbers = torch.arange(begin, begin + cosines.shape[1], device=device)
        # Key and reference are one integer, so that no two are equal and ties have an order.
        keys = cosines.mul_(_STEPS).round_().to(torch.int64).mul_(_LEVEL).sub_(numbers)
        both = torch.cat([best, keys.topk(min(k, keys.shape[1]), dim=1).values], dim=1)
        best = both.topk(min(k, both.shape[1]), dim=1).values
    levels = torch.div(best + (_LEVEL - 1), _LEVEL, rounding_mode="floor")
    indices = (levels * _LEVEL - best).cpu().numpy()
    return Nearest(indices, (levels.cpu().numpy() / _STEPS).astype(np.float32))


def _product(
    queries: Float[Tensor, "query descriptor"], references: Float[np.ndarray, "block descriptor"]
) -> Float[Tensor, "query block"]:
    if queries.device.type == "cpu":
        # By numpy: torch takes no read-only array without a copy.
        return torch.from_numpy(queries.numpy() @ references.T)
    if torch.backends.cuda.matmul.allow_tf32:
        raise RunError(
            "top_k",
            "torch rounds float32 products to tf32",
            "Leave torch.backends.cuda.matmul.allow_tf32 off",
        )
    return queries @ torch.tensor(references, device=queries.device).T
