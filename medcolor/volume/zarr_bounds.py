"""Zarr arrays of unknown origin: shapes are checked, and no chunk inflates to more than it may.

Zarr's own codecs allocate whatever a compressed chunk says; these are told how much it is.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import zarr
from zarr.abc.codec import BytesBytesCodec, Codec
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, TransposeCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer

from medcolor.errors import InputError
from medcolor.volume.bounds import MOST_CHUNK_BYTES, check_ratio, check_shape

_INFLATORS: dict[str, Callable[..., Any]] = {
    "blosc": imagecodecs.blosc_decode,
    "zstd": imagecodecs.zstd_decode,
    "gzip": imagecodecs.gzip_decode,
    "zlib": imagecodecs.zlib_decode,
    "bz2": imagecodecs.bz2_decode,
    "lzma": imagecodecs.lzma_decode,
    "lz4": partial(imagecodecs.lz4_decode, header=True),
}
"""By the names of both versions of Zarr. Each stops at the number of bytes it is told."""

_FILTERS = ("delta", "shuffle", "fixedscaleoffset", "bitround", "astype", "quantize", "packbits")
"""Of version 2: of numbers, eight times as large at worst."""

_LARGER = 8
_MOST_CHUNKS = 1 << 16
"""Of a slice."""

_MOST_CHUNKS_OF_A_SHARD = 1 << 22
_MOST_METADATA_BYTES = 1 << 22
_METADATA = ("zarr.json", ".zattrs", ".zarray", ".zgroup", ".zmetadata")


def check_metadata(folder: Path) -> None:
    """Refuse metadata that are too large to be read, or nested without end.

    Raises:
        InputError: They are.
    """
    for name in _METADATA:
        path = folder / name
        size = path.stat().st_size if path.is_file() else 0
        if size > _MOST_METADATA_BYTES:
            raise InputError(
                path, f"{size} bytes of metadata, expected at most {_MOST_METADATA_BYTES}",
                "Fetch the image again",
            )  # fmt: skip
        try:
            json.loads(path.read_bytes() if size else b"{}")
        except (ValueError, RecursionError) as error:
            raise InputError(path, "metadata that are no JSON", "Fetch the image again") from error


def bounded(folder: Path, stored: zarr.Array[Any], stored_bytes: int) -> zarr.Array[Any]:
    """Return an array that reads as another does, in bounded memory.

    Args:
        folder: What errors name.
        stored: The array; the last three axes are (z, y, x).
        stored_bytes: Of all files of the image.

    Raises:
        InputError: Shapes of volume, chunks or shards are out of all proportion, or a codec is not
            read here.
    """
    item = stored.dtype.itemsize
    check_shape(folder, stored.shape[-3:], item)
    check_ratio(folder, stored_bytes, math.prod(stored.shape[-3:]) * item)
    chunk = tuple(min(pair) for pair in zip(stored.chunks, stored.shape, strict=True))
    across = math.prod(-(-s // c) for s, c in zip(stored.shape[-2:], chunk[-2:], strict=True))
    in_shard = math.prod(s // c for s, c in zip(stored.shards or chunk, chunk, strict=True))
    if (
        math.prod(stored.chunks) * item > MOST_CHUNK_BYTES
        or across > _MOST_CHUNKS
        or in_shard > _MOST_CHUNKS_OF_A_SHARD
    ):
        raise InputError(
            folder,
            f"chunks of {' x '.join(map(str, stored.chunks))} voxels, {across} a slice; expected "
            f"at most {MOST_CHUNK_BYTES} bytes in one, and {_MOST_CHUNKS} a slice",
            "Fetch the image again, or write it in chunks of 64 x 64 x 64",
        )
    metadata: Any = stored.metadata
    if metadata.zarr_format == 2:
        most = math.prod(stored.chunks) * item
        filters = [_known(folder, one.codec_id, _FILTERS) for one in metadata.filters or ()]
        if metadata.compressor is not None:
            name = _known(folder, metadata.compressor.codec_id, _INFLATORS)
            inflator = _Compressor(name, most * (_LARGER if filters else 1))
            object.__setattr__(metadata, "compressor", inflator)
    else:
        codecs = _bounded_codecs(folder, metadata.codecs)
        object.__setattr__(metadata, "codecs", codecs)
    return zarr.Array(zarr.AsyncArray(metadata, stored.store_path))


def _bounded_codecs(folder: Path, codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Return codecs of version 3 that inflate no more than a chunk has."""
    found: list[Codec] = []
    for codec in codecs:
        if isinstance(codec, ShardingCodec):
            # What is around shards would inflate all of one at once.
            if len(codecs) > 1:
                raise InputError(folder, "shards within other codecs", "Write it without")
            object.__setattr__(codec, "codecs", _bounded_codecs(folder, codec.codecs))
            _known_index(folder, codec)
            found.append(codec)
        elif isinstance(codec, BytesCodec | TransposeCodec | Crc32cCodec):
            found.append(codec)
        else:
            name = str(codec.to_dict().get("name"))
            found.append(_Inflator(_known(folder, name, _INFLATORS)))
    return tuple(found)


def _known_index(folder: Path, codec: ShardingCodec) -> None:
    if not all(isinstance(one, BytesCodec | Crc32cCodec) for one in codec.index_codecs):
        raise InputError(folder, "shards whose index is compressed", "Write it without")


def _known(folder: Path, name: str, names: Any) -> str:
    if name not in names:
        raise InputError(
            folder,
            f"chunks of codec {name!r:.30}, expected one of {', '.join(names)}, or none",
            "Write it with zstd, blosc or gzip alone",
        )
    return name


def _inflate(name: str, content: Any, most: int) -> Any:
    """Inflate a chunk.

    Raises:
        ValueError: It has more bytes than `most`; a codec's own error: it is damaged.
    """
    found = _INFLATORS[name](content, out=most + 1)
    if len(found) > most:
        raise ValueError(f"more than {most} bytes")
    return found


@dataclass(frozen=True)
class _Inflator(BytesBytesCodec):
    """A codec of version 3 that inflates."""

    name: str
    is_fixed_size = False

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        item = chunk_spec.dtype.to_native_dtype().itemsize
        most = math.prod(chunk_spec.shape) * item + 4  # a checksum may lie within
        content = chunk_bytes.as_numpy_array()
        found = await asyncio.to_thread(_inflate, self.name, content, most)
        return chunk_spec.prototype.buffer.from_bytes(found)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Nobody knows before."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Compressor:
    """A compressor of version 2 that inflates."""

    codec_id: str
    most: int

    def decode(self, content: Any) -> Any:
        """Inflate a chunk."""
        return _inflate(self.codec_id, content, self.most)

    def encode(self, content: Any) -> Any:
        """Nothing is written through these arrays."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return what metadata would say."""
        return {"id": self.codec_id}
