"""How loops over cells become machine code."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import numba


def compile_cpu(function: Callable[..., Any]) -> Any:
    """Compile on first use; threads run side by side, the machine code is kept on disk."""
    return numba.njit(
        unwrap(function),  # without what tests check annotations with
        nogil=True,
        cache=True,
        error_model="numpy",
        # Sums may be reordered, but NaN and infinity keep their meaning.
        fastmath={"contract", "reassoc", "nsz", "arcp"},
    )
