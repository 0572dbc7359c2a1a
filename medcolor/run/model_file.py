"""The colour model of a volume, kept beside it: a lost shard is made again from it alone."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import torch

from medcolor.errors import RunError
from medcolor.storage import Place, write_atomic
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.model import ColorModel

MODEL = "model.npz"


def model_bytes(model: ColorModel) -> bytes:
    """Return a model as it is written, the same bytes for the same model."""
    content = io.BytesIO()
    error = np.array(model.lightness_error)
    np.savez_compressed(
        content, allow_pickle=False, curve=model.curve.numpy(), lightness_error=error
    )
    return content.getvalue()


def digest_of(content: bytes) -> str:
    """Return what names a draft."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def write_model(place: Place, content: bytes) -> None:
    """Write a model, whole or not at all."""
    write_atomic(place, content)


def find_model(place: Place, lattice: Lattice) -> ColorModel | None:
    """Read a model; None if there is none that is whole."""
    try:
        content = place.read_bytes()
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            curve = torch.from_numpy(stored["curve"])
            error = float(stored["lightness_error"])
    except Exception:  # whatever damaged bytes make zipfile raise
        return None
    depth, rows, cols, levels = lattice.shape
    if curve.shape != (depth, 3, levels, rows, cols):
        return None
    return ColorModel(lattice, curve, error)


def read_model(place: Place, lattice: Lattice) -> ColorModel:
    """Read a model that was written.

    Raises:
        RunError: It is damaged or gone.
    """
    model = find_model(place, lattice)
    if model is None:
        raise RunError(place, "no whole colour model", "Run the same command again")
    return model
