"""Zarr's stores for shards that have one writer and are never empty.

Zarr takes an absent or empty shard for one of fill values, and reads what lies there before it
writes over it. Here an absent shard is lost, and what lies there does not count.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from zarr.abc.store import ByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, ObjectStore, WrapperStore

from medcolor.storage.durable import write_file
from medcolor.storage.place import Place

_SHARD = re.compile(r"(^|/)c/\d")


class AbsentShardError(LookupError):
    """Nothing lies at the key of a shard: not a byte."""

    def __init__(self, key: str) -> None:
        """Take the key, which counts from the volume."""
        super().__init__(key)
        self.key = key


def reading_store(place: Place) -> WrapperStore[Store]:
    """Return a store to read from, in which an absent shard raises AbsentShardError."""
    if isinstance(place, Path):
        return _Reading(LocalStore(place, read_only=True))
    return _Reading(ObjectStore(place.store_below(), read_only=True))


def writing_store(place: Place) -> WrapperStore[Store]:
    """Return a store to write whole shards to; what it has written stays."""
    if isinstance(place, Path):
        return _Writing(_Durable(place))
    return _Writing(ObjectStore(place.store_below()))


class _Reading(WrapperStore[Store]):
    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key."""
        if not _SHARD.search(key):
            return await self._store.get(key, prototype, byte_range)
        try:
            found = await self._store.get(key, prototype, byte_range)
        except Exception:  # a bucket refuses to give the end of an empty object
            is_end = isinstance(byte_range, SuffixByteRequest)
            if is_end and await self._store.getsize(key) == 0:
                raise AbsentShardError(key) from None
            raise
        if not found:
            raise AbsentShardError(key)
        return found


class _Writing(WrapperStore[Store]):
    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read metadata; of shards nothing."""
        if _SHARD.search(key):
            return None
        return await self._store.get(key, prototype, byte_range)


class _Durable(LocalStore):
    async def set(self, key: str, value: Buffer) -> None:
        """Write a key, and see to it that it stays."""
        await asyncio.to_thread(write_file, self.root / key, value.as_numpy_array().data)
