"""Servers on loopback that cut, stall, corrupt and forget, as told: one file, or a site of many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol


class Served(Protocol):
    """What a server asks for at every request."""

    def content_of(self, path: str) -> bytes | None:
        """Return what lies there; None is 404."""

    def next_fault(self, path: str, wanted: str | None) -> str:
        """Note the request and its Range; return what goes wrong with it, or ''."""


@dataclass
class Behaviour:
    """One file under every name but /missing, and what goes wrong with the first requests."""

    content: bytes
    faults: list[str] = field(default_factory=list)
    """cut, stall, corrupt, busy (503), no-range (ignores Range), one word a request."""

    ranges: list[str | None] = field(default_factory=list)
    """The Range header of every request."""

    def content_of(self, path):
        return None if path.startswith("missing") else self.content

    def next_fault(self, _path, wanted):
        self.ranges.append(wanted)
        return self.faults.pop(0) if self.faults else ""


@dataclass
class Site:
    """Files by path, and what goes wrong with the first requests for each."""

    files: dict[str, bytes]
    faults: dict[str, list[str]] = field(default_factory=dict)
    """As of `Behaviour`, and short (fewer bytes than there are, honestly announced)."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""

    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every file."""

    moved: dict[str, str] = field(default_factory=dict)
    """Where requests for some paths are sent on to."""

    def content_of(self, path):
        return self.files.get(path.partition("?")[0])

    def next_fault(self, path, wanted):
        self.asked.append((path, wanted))
        waiting = self.faults.get(path)
        return waiting.pop(0) if waiting else ""


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Serve `content`; yield the address of a file."""
    with serving_site(behaviour) as address:
        yield f"{address}file.bin"


@contextmanager
def serving_site(served: Served) -> Iterator[str]:
    """Serve; yield the address with a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            pass

        def do_GET(self):
            path = self.path.lstrip("/")
            wanted = self.headers.get("Range")
            fault = served.next_fault(path, wanted)
            content = served.content_of(path)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            more = getattr(served, "headers", {})
            if path in (moved := getattr(served, "moved", {})):
                self.answer(302, {"Location": moved[path]}, b"")
            elif content is None:
                self.answer(404, {}, b"")
            elif fault == "busy":
                self.answer(503, {}, b"")
            elif wanted and start >= len(content):
                self.answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            elif wanted and fault != "no-range":
                where = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.answer(206, {"Content-Range": where}, content[start:], fault)
            else:
                self.answer(200, more, content[:-3] if fault == "short" else content, fault)

        def answer(self, status, headers, body, fault=""):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if fault == "corrupt":
                body = bytes(255 - byte for byte in body)
            if fault in ("cut", "stall"):
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                if fault == "stall":
                    stopped.wait(20)
                self.close_connection = True
                return
            self.wfile.write(body)

    stopped = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
