"""The colour model of a volume, kept beside it: a lost shard is made again from it alone."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from medcolor.run.npz_file import npz_bytes, read_npz
from medcolor.storage import Place, create_exclusive, write_atomic
from medcolor.transfer.lattice import Lattice
from medcolor.transfer.model import ColorModel


def model_bytes(model: ColorModel, identity: str) -> bytes:
    """Return a model as it is written, the same bytes for the same model.

    Args:
        model: Of a volume.
        identity: Of the run: another one's colours are not this one's.
    """
    return npz_bytes(
        is_compressed=True,
        identity=np.array(identity),
        curve=model.curve.numpy(),
        lightness_error=np.array(model.lightness_error),
    )


def digest_of(content: bytes) -> str:
    """Return what names a draft."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def settle_model(place: Place, content: bytes, lattice: Lattice, identity: str) -> None:
    """Write a model, unless another driver was quicker: a volume has the colours of one."""
    if not create_exclusive(place, content) and find_model(place, lattice, identity) is None:
        write_atomic(place, content)  # of an identity that was forced away, or damaged


def find_model(place: Place, lattice: Lattice, identity: str) -> ColorModel | None:
    """Read a model; None if there is none that is whole and of this identity."""
    stored = _read(place, identity)
    if stored is None:
        return None
    curve = stored["curve"]
    depth, rows, cols, levels = lattice.shape
    if curve.shape != (depth, 3, levels, rows, cols):
        return None
    return ColorModel(lattice, torch.from_numpy(curve), float(stored["lightness_error"]))


def is_whole_model(place: Place, identity: str) -> bool:
    """Tell whether a model is there, whole and of this identity."""
    return _read(place, identity) is not None


def _read(place: Place, identity: str) -> dict[str, np.ndarray] | None:
    try:
        stored = read_npz(place.read_bytes())
    except FileNotFoundError:
        return None
    is_ours = stored is not None and str(stored.get("identity")) == identity
    return stored if is_ours else None
