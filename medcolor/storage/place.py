"""What is done alike to local paths and to keys in buckets."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from medcolor.errors import InputError
from medcolor.extras import require
from medcolor.storage.durable import (
    Content,
    create_file,
    is_unfinished,
    write_file,
)
from medcolor.storage.object_path import SCHEMES, ObjectPath, speaking_of

Place = Path | ObjectPath
"""Where something lies."""


def place_of(text: str | os.PathLike[str] | Place) -> Place:
    """Read a path, `file://`, `s3://`, `gs://` or `az://`.

    Raises:
        InputError: An address of another kind, or one that cannot be; of a bucket, where the extra
            `cloud` is not installed.
    """
    if isinstance(text, Path | ObjectPath):
        return text
    text = os.fspath(text)
    if "\0" in text:
        raise InputError(text, "holds a zero byte, as no path does", "Give a path or an address")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InputError(text, "holds what is no character", "Give a path or an address") from error
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    if scheme is None:
        return Path(text)
    kind = scheme[1].lower()
    if kind == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise InputError(text, f"a file on {parts.netloc}", "Give file:///PATH of this machine")
        return Path(unquote(parts.path, errors="surrogateescape"))
    if kind not in SCHEMES:
        # Addresses of the web may carry keys: only their kind is repeated.
        raise InputError(
            f"{kind}://..",
            "not a place that is read",
            "Give a path, file://, s3://, gs:// or az://",
        )
    found = ObjectPath.parse(kind + text[len(kind) :])
    require("cloud", found, "object storage")
    return found


def write_atomic(place: Place, content: Content) -> None:
    """Write a file that is whole or absent, and there to stay once this returns."""
    if isinstance(place, ObjectPath):
        place.write_bytes(content)
    else:
        write_file(place, content)


def create_exclusive(place: Place, content: Content) -> bool:
    """Write a file unless there is one; return whether this call wrote it.

    In a bucket by a conditional request, locally by a link: of several writers one wins.
    """
    if isinstance(place, ObjectPath):
        return place.create(content)
    return create_file(place, content)


def write_json(place: Place, content: Any) -> None:
    """Write indented JSON with sorted keys."""
    write_atomic(place, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """Return indented JSON with sorted keys."""
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def read_object(place: Place) -> dict[str, Any] | None:
    """Read a JSON object; None if it is absent, cut short, or something else."""
    try:
        content = json.loads(place.read_text())
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def size_of(place: Place) -> int | None:
    """Return the bytes of a file; None if there is none."""
    if isinstance(place, ObjectPath):
        return place.size()
    return place.stat().st_size if place.is_file() else None


def list_sizes(place: Place) -> dict[str, int]:
    """Return the bytes of every file below, by relative path; nothing if there is no such folder.

    One listing, also in a bucket. What writers have not finished is left out.
    """
    if isinstance(place, ObjectPath):
        return dict(place.walk())
    found = ((path, path.stat()) for path in place.rglob("*") if not is_unfinished(path))
    return {
        path.relative_to(place).as_posix(): about.st_size
        for path, about in found
        if stat.S_ISREG(about.st_mode)
    }


@contextmanager
def speaking_of_place(place: Place) -> Iterator[None]:
    """Of places in buckets, turn what the client raises into errors that name the place."""
    if isinstance(place, Path):
        yield
    else:
        with speaking_of(place):
            yield
