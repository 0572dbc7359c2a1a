"""The head of a NIfTI-1 file in colour: RGBA32 (type 2304) or RGB24 (type 128)."""

from __future__ import annotations

from typing import Literal

import nibabel as nib
import numpy as np
from jaxtyping import Float


def color_header(
    shape: tuple[int, int, int], affine: Float[np.ndarray, "4 4"], channels: Literal[3, 4]
) -> bytes:
    """Return all that comes before the voxels of a file (x fastest, a voxel's channels together).

    Args:
        shape: Voxels along (z, y, x).
        affine: Voxel index (x, y, z, 1) to mm in RAS.
        channels: RGB, or RGB and straight alpha.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(np.dtype([(name, "u1") for name in "RGBA"[:channels]]))
    header.set_data_shape(shape[::-1])
    header.set_sform(affine, "scanner")
    header.set_qform(affine, "scanner")
    header.set_xyzt_units("mm")
    header["vox_offset"] = 352
    return bytes(header.binaryblock) + bytes(4)
