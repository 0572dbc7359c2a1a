"""An S3 server on loopback (moto), in a process of its own, and a proxy that can refuse."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SECRET = "wJalrXUtnSECRET"


@contextmanager
def s3_server() -> Iterator[str]:
    """Start moto's server at a port of its own choice; yield its address."""
    command = [sys.executable, str(Path(__file__).with_name("atomic_moto.py"))]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield _address_in(log, server)
        finally:
            server.terminate()
            server.wait()


def _address_in(log: IO[bytes], server: subprocess.Popen[bytes]) -> str:
    """Wait until the server says where it listens; it does by then."""
    deadline = time.monotonic() + 120
    while True:
        told = os.pread(log.fileno(), 1 << 16, 0).decode()
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", told):
            return found[1]
        assert server.poll() is None, told
        assert time.monotonic() < deadline, told
        time.sleep(0.1)


def make_bucket(address: str, name: str) -> str:
    """Create a bucket and return its address."""
    urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT"))
    return f"s3://{name}"


def environment(address: str) -> dict[str, str]:
    """Return what a client needs to know."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "AKIAMEDCOLOR",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": os.environ.get("NO_PROXY", "127.0.0.1"),
    }


class Gate:
    """An address before a server that can refuse and cut connections for a while."""

    def __init__(self, server: str) -> None:
        """Begin shut."""
        self._beyond = int(server.rpartition(":")[2])
        # Bound as long as the gate stands, so that nobody else gets the port while it is shut.
        self._holder = _bound(0)
        self._port = self._holder.getsockname()[1]
        self._listener = _bound(self._port)  # nobody listens: refused
        self._pairs: list[socket.socket] = []
        self.address = f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        """Pass connections on from now."""
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut all connections and refuse new ones."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._pairs:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._pairs.clear()
        self._listener = _bound(self._port)

    def close(self) -> None:
        """Shut for good."""
        self.shut()
        self._listener.close()
        self._holder.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            beyond = socket.create_connection(("127.0.0.1", self._beyond))
            self._pairs += [client, beyond]
            for pair in ((client, beyond), (beyond, client)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()


def _bound(port: int) -> socket.socket:
    """Return a socket bound to a port, beside others that are bound so and do not listen."""
    made = socket.socket()
    # Inherited by accepted connections, which hold the port for a minute after their end.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def refusing_for(seconds: float, server: str) -> Iterator[str]:
    """Yield an address where connections are refused for a while, then passed on to `server`."""
    gate = Gate(server)
    timer = threading.Timer(seconds, gate.open)
    timer.start()
    try:
        yield gate.address
    finally:
        timer.cancel()
        timer.join()
        gate.close()
