"""What lies between the passes of a run: votes of each slice, their sums of each slab, drafts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import Any, TypeVar

import numpy as np
import torch

from medcolor.domain import Box, SliceVotes
from medcolor.errors import RunError
from medcolor.storage import Place, write_atomic
from medcolor.storage.durable import BEING_WRITTEN
from medcolor.transfer.ballot import Ballot

BETWEEN_PASSES = re.compile(rf"({BEING_WRITTEN})?(\d+|sums-[0-9a-f]*-\d+|draft-[0-9a-f]+)\.npz")
"""Names of the files, whole or being written."""

_AT_ONCE = 8
_NO_BODY = b"no body"
T = TypeVar("T")


class LostVotesError(RunError):
    """A slice was matched, and what came of it is not there, or damaged: it has to be again."""


def votes_name(z: int) -> str:
    """Return the file name of a slice's votes."""
    return f"{z:05d}.npz"


def sums_name(draft: str, number: int) -> str:
    """Return the file name of the sums of a slab, weighted by a draft that a digest names."""
    return f"sums-{draft}-{number:05d}.npz"


def write_votes(folder: Place, z: int, votes: SliceVotes | None) -> int:
    """Write a slice, whole or not at all, a word for one that shows no body; return its bytes."""
    content = _NO_BODY
    if votes is not None:
        arrays = {name: getattr(votes, name) for name in ("contrast", "lab", "trust", "body")}
        content = _encoded(
            box=np.array(astuple(votes.box)), nearness=np.array(votes.nearness), **arrays
        )
    write_atomic(folder / votes_name(z), content)
    return len(content)


def read_votes(folder: Place, slices: range) -> dict[int, SliceVotes | None]:
    """Read slices, several at once: from a bucket each takes its time.

    Raises:
        LostVotesError: A file is damaged or gone: another run on the same output may have ended.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(
            lambda z: _read(folder / votes_name(z), lambda one: _votes(z, one)), slices
        )
        return dict(zip(slices, found, strict=True))


def _votes(z: int, stored: Any) -> SliceVotes:
    box = Box(*(int(side) for side in stored["box"]))
    body, contrast, lab, trust = (stored[name] for name in ("body", "contrast", "lab", "trust"))
    nearness = tuple(float(one) for one in stored["nearness"])
    return SliceVotes(z, box, body, contrast, lab, trust, nearness)


def write_sums(folder: Place, name: str, ballot: Ballot) -> int:
    """Write the sums of a slab, whole or not at all; return their bytes."""
    content = io.BytesIO()
    sums = ballot.sums.numpy()
    np.savez_compressed(content, allow_pickle=False, first=ballot.first_layer, sums=sums)
    write_atomic(folder / name, content.getvalue())
    return content.tell()


def read_sums(folder: Place, name: str) -> Ballot:
    """Read the sums of a slab.

    Raises:
        LostVotesError: The file is damaged or gone.
    """

    def ballot(stored: Any) -> Ballot:
        return Ballot(int(stored["first"]), torch.from_numpy(stored["sums"]))

    found = _read(folder / name, ballot)
    assert found is not None
    return found


def _encoded(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def _read(path: Place, made: Callable[[Any], T]) -> T | None:
    """Return what a file holds; None for a slice that showed no body."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise LostVotesError(
            path, "gone: has another run on this output ended?", "Run the same command again"
        ) from None
    if content == _NO_BODY:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return made(stored)
    except Exception as error:  # whatever damaged bytes make zipfile raise
        raise LostVotesError(path, "damaged", "Run the same command again") from error
