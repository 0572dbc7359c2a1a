"""What lies between the passes of a run: votes of each slice, their sums of each slab, drafts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from typing import TypeVar

import numpy as np
import torch

from medcolor.domain import Box, SliceVotes
from medcolor.errors import RunError
from medcolor.run.npz_file import npz_bytes, read_npz
from medcolor.storage import Place, write_atomic
from medcolor.transfer.ballot import Ballot

_AT_ONCE = 8
_NO_BODY = b"no body"
Arrays = Mapping[str, np.ndarray]
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
    content = _NO_BODY if votes is None else _encoded(votes)
    write_atomic(folder / votes_name(z), content)
    return len(content)


def bytes_of_votes(votes: SliceVotes) -> int:
    """Return what a slice takes on disk."""
    return len(_encoded(votes))


def _encoded(votes: SliceVotes) -> bytes:
    arrays = {name: getattr(votes, name) for name in ("contrast", "lab", "trust", "body")}
    arrays |= {"box": np.array(astuple(votes.box)), "nearness": np.array(votes.nearness)}
    return npz_bytes(is_compressed=False, **arrays)


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


def _votes(z: int, stored: Arrays) -> SliceVotes:
    box = Box(*(int(side) for side in stored["box"]))
    body, contrast, lab, trust = (stored[name] for name in ("body", "contrast", "lab", "trust"))
    nearness = tuple(float(one) for one in stored["nearness"])
    return SliceVotes(z, box, body, contrast, lab, trust, nearness)


def write_sums(folder: Place, name: str, ballot: Ballot) -> int:
    """Write the sums of a slab, whole or not at all; return their bytes."""
    first = np.array(ballot.first_layer)
    content = npz_bytes(is_compressed=True, first=first, sums=ballot.sums.numpy())
    write_atomic(folder / name, content)
    return len(content)


def read_sums(folder: Place, name: str) -> Ballot:
    """Read the sums of a slab.

    Raises:
        LostVotesError: The file is damaged or gone.
    """

    def ballot(stored: Arrays) -> Ballot:
        return Ballot(int(stored["first"]), torch.from_numpy(stored["sums"]))

    found = _read(folder / name, ballot)
    assert found is not None
    return found


def _read(path: Place, made: Callable[[Arrays], T]) -> T | None:
    """Return what a file holds; None for a slice that showed no body."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise LostVotesError(
            path, "gone: has another run on this output ended?", "Run the same command again"
        ) from None
    if content == _NO_BODY:
        return None
    stored = read_npz(content)
    if stored is None:
        raise LostVotesError(path, "damaged", "Run the same command again")
    return made(stored)
