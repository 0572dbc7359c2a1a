"""A server on loopback that cuts, stalls, corrupts and forgets, as told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What is served, and what goes wrong with the first requests, one word each."""

    content: bytes
    faults: list[str] = field(default_factory=list)
    """cut, stall, corrupt, busy (503), no-range (ignores Range)."""

    ranges: list[str | None] = field(default_factory=list)
    """The Range header of every request."""


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Serve `content` at the yielded address; anything under /missing answers 404."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            pass

        def do_GET(self):
            wanted = self.headers.get("Range")
            behaviour.ranges.append(wanted)
            fault = behaviour.faults.pop(0) if behaviour.faults else ""
            content = behaviour.content
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if self.path.startswith("/missing"):
                self.answer(404, {}, b"")
            elif fault == "busy":
                self.answer(503, {}, b"")
            elif wanted and start >= len(content):
                self.answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            elif wanted and fault != "no-range":
                where = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.answer(206, {"Content-Range": where}, content[start:], fault)
            else:
                self.answer(200, {}, content, fault)

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
        yield f"http://127.0.0.1:{server.server_address[1]}/file.bin"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
