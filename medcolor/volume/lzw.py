"""Files of Unix `compress` (`.Z`, LZW), inflated in memory up to a bound."""

from __future__ import annotations

import io
from pathlib import Path

import ncompress

from medcolor.errors import InputError
from medcolor.storage import Place

MAGIC = b"\x1f\x9d"


def read_inflated(path: Place, most_bytes: int) -> bytes:
    """Return the content of a file, inflated if it is compressed.

    Args:
        path: `.Z`, or a plain file.
        most_bytes: More is an error: what is read this way has a known size.

    Raises:
        InputError: Damaged, or larger.
    """
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        if str(path).endswith(".Z") and content:
            raise InputError(path, "named .Z but not compressed", "Fetch the file again")
        return _bounded(path, content, most_bytes)
    sink = _Sink(most_bytes)
    try:
        ncompress.decompress(io.BytesIO(content), sink)
    except (ValueError, RuntimeError, OverflowError) as error:
        raise InputError(path, "damaged .Z file", "Fetch the file again") from error
    if sink.is_full:
        raise _too_large(path, most_bytes)
    return bytes(sink.content)


class _Sink:
    """Takes what is inflated, and drops what is more than expected.

    It must not raise: an exception in the last write ends the process inside ncompress.
    """

    def __init__(self, most_bytes: int) -> None:
        self.content, self._most = bytearray(), most_bytes
        self.is_full = False

    def write(self, piece: bytes) -> int:
        if len(self.content) + len(piece) > self._most:
            self.is_full = True
        else:
            self.content += piece
        return len(piece)


def _bounded(path: Place, content: bytes, most_bytes: int) -> bytes:
    if len(content) > most_bytes:
        raise _too_large(path, most_bytes)
    return content


def _too_large(path: Place, most_bytes: int) -> InputError:
    return InputError(path, f"more than the {most_bytes} bytes it may have", "Fetch it again")


def inflated_name(path: Path) -> str:
    """Return the name without `.Z`."""
    return path.name.removesuffix(".Z")
