"""A server of a few local files for viewers in the browser of this machine: ranges, CORS.

It listens at the loopback address alone, and all it serves lies below a path that nobody can guess:
a page of another site that is open in the same browser cannot find the scan. Python's own server
knows no ranges before 3.15, RangeHTTPServer 1.4 none from the end of a file, which viewers of
sharded Zarr ask for; so the few lines are here (RFC 9110, section 14).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from medcolor.errors import InputError
from medcolor.storage import path_below

LOOPBACK = "127.0.0.1"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE_BYTES = 1 << 20


class FileServer(ThreadingHTTPServer):
    """Serves files and folders under names of its own; folders are not listed."""

    daemon_threads = True

    def __init__(self, served: Mapping[str, Path], port: int = 0) -> None:
        """Listen; `serve_forever` serves.

        Args:
            served: Files and folders, by the names that addresses have for them.
            port: 0 takes one that is free.

        Raises:
            InputError: The port is taken, or not one's own.
        """
        self.served = dict(served)
        self.secret = secrets.token_urlsafe(16)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"--port {port}", "cannot be listened at", "Give another, or none"
            ) from error

    def address_of(self, name: str) -> str:
        """Return where one of the served things is found."""
        return f"http://{LOOPBACK}:{self.server_address[1]}/{self.secret}/{name}"

    def file_of(self, target: str) -> Path | None:
        """Return the file that a request asks for; None if there is none that is served."""
        secret, _, named = unquote(urlsplit(target).path).removeprefix("/").partition("/")
        name, _, key = named.partition("/")
        place = self.served.get(name)
        if place is None or not secrets.compare_digest(secret.encode(), self.secret.encode()):
            return None
        try:
            found = path_below(place, key) if key else place
        except InputError:
            return None
        return found if found.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many chunks

    def do_GET(self) -> None:
        """Answer with a file or a part of it."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with what GET would say of it."""
        self._answer(with_body=False)

    def do_OPTIONS(self) -> None:
        """Answer a browser that asks whether a page of another site may read with ranges."""
        self.send_response(HTTPStatus.NO_CONTENT)
        self._allow()
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Allow-Private-Network", "true")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: a viewer asks for thousands of chunks."""

    def _answer(self, *, with_body: bool) -> None:
        path = cast(FileServer, self.server).file_of(self.path)
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            part = _part_of(self.headers.get("Range", ""), size)
            if part is not None and not part:
                self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"bytes */{size}")
                return
            self.send_response(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT)
            if part is not None:
                self.send_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
            part = range(size) if part is None else part
            self._allow()
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", _kind_of(path))
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            if with_body:
                file.seek(part.start)
                _copy(file, self.wfile, len(part))

    def _refuse(self, status: HTTPStatus, content_range: str = "") -> None:
        self.send_response(status)
        self._allow()
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _allow(self) -> None:
        """Let the viewer's page read; nothing of the scan stays in the browser's cache."""
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length")
        self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.send_header("Cache-Control", "no-store")


def _part_of(header: str, size: int) -> range | None:
    """Return which bytes a header asks for, none of them if it asks for what is not there.

    Returns:
        None for all of the file: no header, one of several ranges, or one that is no range; such
        ones a server may pass over.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1) if last else size)


def _copy(source: BinaryIO, target: BufferedIOBase, count: int) -> None:
    while count and (piece := source.read(min(_PIECE_BYTES, count))):
        target.write(piece)
        count -= len(piece)


def _kind_of(path: Path) -> str:
    return "application/json" if path.suffix == ".json" else "application/octet-stream"
