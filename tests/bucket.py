"""An S3 server on loopback (moto), in a process of its own, and a proxy that can refuse."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

SECRET = "wJalrXUtnSECRET"


@contextmanager
def s3_server() -> Iterator[str]:
    """Start moto's server; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


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
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))  # bound, but nobody listens: refused
        self._port = self._listener.getsockname()[1]
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
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self._port))

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
        gate.shut()
