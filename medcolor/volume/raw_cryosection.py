"""Visible Human cryosections as the National Library of Medicine stores them: `.raw`, `.raw.Z`.

2048 x 1216 pixels of 8 bit, the red plane first, then green, then blue, without a header. Columns
run to the patient's left, rows to anterior. Sections lost in cutting are empty or black files.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from medcolor.errors import EmptyFrameError, InputError
from medcolor.storage import Place
from medcolor.volume.lzw import read_inflated

ROWS, COLS = 1216, 2048
_BYTES = 3 * ROWS * COLS


def read_raw_cryosection(path: Place) -> UInt8[np.ndarray, "row col 3"]:
    """Read a frame.

    Raises:
        EmptyFrameError: A placeholder of a lost section.
        InputError: Damaged, or of another size.
    """
    content = read_inflated(path, _BYTES)
    if not any(content[:: COLS // 8]):
        raise EmptyFrameError(path, "an empty placeholder of a lost section", "Take it out")
    if len(content) != _BYTES:
        raise InputError(
            path,
            f"{len(content)} bytes, expected {_BYTES} (planar RGB, {COLS} x {ROWS})",
            "Fetch the file again",
        )
    return np.frombuffer(content, np.uint8).reshape(3, ROWS, COLS).transpose(1, 2, 0)
