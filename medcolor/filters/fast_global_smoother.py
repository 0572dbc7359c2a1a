"""Fast global smoother, Min et al. 2014 (doi:10.1109/TIP.2014.2366600), for batches on any device.

OpenCV's schedule: exact solves along rows, then along columns, three times, with lambda,
lambda / 4 and lambda / 16. The tridiagonal systems of all lines are solved at once by parallel
cyclic reduction (Hockney 1965): as many steps as the line's length has binary digits, each a
few operations on whole images.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_ROUNDS = 3
_ATTENUATION = 0.25


@torch.no_grad()
def smooth_batch(
    image: Float[Tensor, "slice channel row col"],
    guide: Float[Tensor, "slice row col"],
    smoothness: float,
    sigma: float,
) -> Float[Tensor, "slice channel row col"]:
    """Smooth each slice except across edges of its guide.

    Args:
        image: Any unit; the result keeps it.
        guide: In the unit of sigma.
        smoothness: lambda >= 0.
        sigma: Step of the guide across which smoothing falls to 1/e.
    """
    across = torch.exp(-guide.diff(dim=2).abs() / sigma)
    down = torch.exp(-guide.diff(dim=1).abs() / sigma).transpose(1, 2)
    for number in range(_ROUNDS):
        pull = smoothness * _ATTENUATION**number
        image = _solve_lines(image, pull * across)
        image = _solve_lines(image.transpose(2, 3), pull * down).transpose(2, 3)
    return image


def _solve_lines(
    signal: Float[Tensor, "slice channel line place"], pull: Float[Tensor, "slice line gap"]
) -> Float[Tensor, "slice channel line place"]:
    """Minimise sum (u - signal)^2 + sum pull u'^2 along the last axis."""
    before, after = F.pad(-pull, (1, 0))[:, None], F.pad(-pull, (0, 1))[:, None]
    centre = 1 - before - after
    size, stride = signal.shape[3], 1
    while stride < size:
        to_before = -before / _shift(centre, stride, 1.0)
        to_after = -after / _shift(centre, -stride, 1.0)
        signal = signal + to_before * _shift(signal, stride) + to_after * _shift(signal, -stride)
        centre = centre + to_before * _shift(after, stride) + to_after * _shift(before, -stride)
        before = to_before * _shift(before, stride)
        after = to_after * _shift(after, -stride)
        stride *= 2
    return signal / centre


def _shift(line: Tensor, by: int, fill: float = 0.0) -> Tensor:
    """Move values along the last axis toward higher places, `fill` behind them."""
    if by > 0:
        return F.pad(line[..., :-by], (by, 0), value=fill)
    return F.pad(line[..., -by:], (0, -by), value=fill)
