"""Files from the web: resumed when cut, checked against their digest, whole or absent."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from urllib.parse import urlsplit

from medcolor.errors import InputError, RunError
from medcolor.progress import ProgressReport
from medcolor.storage.durable import move_into_place
from medcolor.storage.names import writing_no_link

_CHUNK_BYTES = 1 << 20
_ASK_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a bad connection is borne."""

    attempts: int = 6
    """Tries without a single new byte before giving up; progress starts the count again."""

    timeout_s: float = 30.0
    """Silence after which a connection counts as dead."""

    pause_s: float = 1.0
    """Before the second try; doubled each time."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    remedy: str,
    progress: ProgressReport,
    patience: Patience | None = None,
) -> str:
    """Fetch `url` into `path` and return its SHA-256; a run that was cut off is continued.

    The file grows as `<path>.part` and is moved into place when its digest is right. Wrong
    bytes are thrown away and fetched once more from the start.

    Args:
        url: http or https.
        path: Where to.
        sha256: What its digest must be or begin with; empty where nobody published one.
        remedy: What the user can do where the network cannot help.
        progress: Told the bytes, in MB.
        patience: Defaults suit the open internet.

    Raises:
        InputError: The server says that there is no such file.
        RunError: No connection, or the bytes are wrong twice.
    """
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for last in (False, True):
        fetch(url, part, remedy, progress, patience or Patience())
        found = file_digest(part)
        if found.startswith(sha256):
            move_into_place(part, path)
            return found
        part.unlink()
        if last:
            break
    raise RunError(
        url, f"SHA-256 is {found[:16]}.., expected {sha256[:16]}..; nothing was kept", remedy
    )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(url: str, part: Path, remedy: str, progress: ProgressReport, patience: Patience) -> None:
    """Append to `part` until it is as long as the server says; see `download`."""
    host = urlsplit(url).hostname or url
    failures, pause_s = 0, patience.pause_s
    while True:
        before = _size(part)
        try:
            if _append(url, part, progress, patience.timeout_s):
                return
            problem = "the connection closed early"
        except urllib.error.HTTPError as error:
            if error.code not in _ASK_LATER:
                raise InputError(
                    url, f"the server answers {error.code} {error.reason}", remedy
                ) from error
            problem = f"{error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, socket.gaierror):
                raise RunError(url, f"{host} is unknown: no network?", remedy) from error
            problem = str(reason) or type(reason).__name__
        if _size(part) > before:
            failures, pause_s = 0, patience.pause_s
        failures += 1
        if failures >= patience.attempts:
            kept = f"{_size(part)} bytes are kept for the next try"
            raise RunError(url, f"{host} does not deliver ({problem}); {kept}", remedy)
        time.sleep(pause_s)
        pause_s *= 2


def _append(url: str, part: Path, progress: ProgressReport, timeout_s: float) -> bool:
    """Fetch what is missing; return whether the file is whole now."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE:
            raise
        # Nothing is left to send: either all is here, or the file has changed.
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return True
        part.unlink()
        return False
    with response:
        resumed = response.status == 206 and _begins_at(response.headers, start)
        if not resumed:
            start = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        progress.begin("download MB", (total or 0) >> 20)
        progress.advance(start >> 20)
        done = start
        with writing_no_link(part, "ab" if resumed else "wb") as file:
            # read1 takes what is there: a stall loses nothing that has arrived.
            while chunk := response.read1(_CHUNK_BYTES):
                file.write(chunk)
                progress.advance(((done + len(chunk)) >> 20) - (done >> 20))
                done += len(chunk)
            file.flush()
            os.fsync(file.fileno())
    return total is None or done == total


def _begins_at(headers: HTTPMessage, start: int) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
