"""A site on loopback with many files, some of which go wrong at first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """Files by path, and what goes wrong with the first requests for them."""

    files: dict[str, bytes]
    faults: dict[str, list[str]] = field(default_factory=dict)
    """cut, corrupt, busy (503), short (fewer bytes than there are, honestly announced)."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""


@contextmanager
def serving_site(site: Site) -> Iterator[str]:
    """Serve the files at the yielded address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            pass

        def do_GET(self):
            path = self.path.lstrip("/")
            wanted = self.headers.get("Range")
            site.asked.append((path, wanted))
            waiting = site.faults.get(path, [])
            fault = waiting.pop(0) if waiting else ""
            content = site.files.get(path)
            if content is None:
                self.answer(404, b"")
            elif fault == "busy":
                self.answer(503, b"")
            elif wanted:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                where = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.answer(206, content[start:], fault, where)
            else:
                self.answer(200, content[:-3] if fault == "short" else content, fault)

        def answer(self, status, body, fault="", where=None):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if where:
                self.send_header("Content-Range", where)
            self.end_headers()
            if fault == "corrupt":
                body = bytes(255 - byte for byte in body)
            if fault == "cut":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
