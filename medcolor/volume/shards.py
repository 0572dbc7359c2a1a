"""Reading the shards of a volume: one that is lost or damaged is an error, never empty space."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.codecs import Crc32cCodec

from medcolor.errors import InputError, MedcolorError
from medcolor.storage import Place
from medcolor.storage.object_path import is_of_client
from medcolor.storage.place import speaking_of_place
from medcolor.storage.zarr_stores import AbsentShardError, reading_store

_KEY = re.compile(r"(\d+)/c/0/(\d+)/0/0")
AGAIN = "Run the medcolor colorize command that made it again: it makes good what is lost"
_VERIFY = "Run medcolor verify on it, then the medcolor colorize command that made it"


class LostShardError(InputError):
    """A shard that is absent, empty or damaged."""


@dataclass(frozen=True)
class Shard:
    """One file of a volume: a slab of slices of one level."""

    level: int
    number: int
    slices: range

    @property
    def key(self) -> str:
        """Where it lies below the volume."""
        return shard_key(self.level, self.number)

    def __str__(self) -> str:
        """Name it by what it shows."""
        return _named(self.level, self.slices)


def shard_key(level: int, number: int) -> str:
    """Return where a shard lies below its volume, whose levels are divided along z alone."""
    return f"{level}/c/0/{number}/0/0"


def checksum_of(rgba: UInt8[np.ndarray, "z y x 4"]) -> str:
    """Return a digest of the voxels of a shard."""
    return hashlib.blake2b(rgba.tobytes(), digest_size=16).hexdigest()


class StoredLevel:
    """A level (c, z, y, x) of a volume, opened for reading."""

    def __init__(self, path: Place, level: int) -> None:
        """Open it.

        Raises:
            InputError: No such level, or its metadata are damaged.
        """
        self._path, self._level = path, level
        with speaking_of_place(path):
            try:
                self._array = zarr.open_array(reading_store(path), path=str(level), mode="r")
            except (FileNotFoundError, KeyError, ValueError, TypeError, AttributeError) as error:
                problem = f"level {level}: its metadata are gone or damaged"
                raise InputError(path, problem, AGAIN) from error

    @property
    def slab_slices(self) -> int:
        """Slices of a shard."""
        return int((self._array.shards or self._array.chunks)[1])

    @property
    def has_checksums(self) -> bool:
        """Whether each chunk carries one: of volumes by versions that wrote none, bits may flip."""
        return any(isinstance(codec, Crc32cCodec) for codec in self._array.compressors)

    def shards(self) -> list[Shard]:
        """Return all that there are to be."""
        depth, step = self._array.shape[1], self.slab_slices
        starts = range(0, depth, step)
        return [
            Shard(self._level, number, range(start, min(start + step, depth)))
            for number, start in enumerate(starts)
        ]

    def __getitem__(self, where: tuple[Any, ...]) -> UInt8[np.ndarray, ...]:
        """Read a part.

        Raises:
            LostShardError: Of a shard that it needs.
        """
        with speaking_of_place(self._path), self._naming_what_is_lost(where[1]):
            return np.asarray(self._array[where])

    @contextmanager
    def _naming_what_is_lost(self, along_z: int | slice) -> Iterator[None]:
        try:
            yield
        except AbsentShardError as error:
            found = _KEY.fullmatch(error.key)
            step = self.slab_slices
            start = int(found[2]) * step if found else 0
            slices = range(start, min(start + step, self._array.shape[1]))
            problem = f"{_named(self._level, slices)} are lost: {error.key} is gone or empty"
            raise LostShardError(self._path, problem, AGAIN) from None
        except (MedcolorError, OSError):
            raise
        except Exception as error:  # codecs raise what they like
            if is_of_client(error):
                raise
            asked = slice(along_z, along_z + 1) if isinstance(along_z, int) else along_z
            slices = range(*asked.indices(self._array.shape[1]))
            problem = f"{_named(self._level, slices)}: a shard is damaged"
            raise LostShardError(self._path, problem, _VERIFY) from error


def _named(level: int, slices: range) -> str:
    return f"level {level}, slices {slices.start} to {slices.stop}"
