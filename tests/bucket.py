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


@contextmanager
def refusing_for(seconds: float, server: str) -> Iterator[str]:
    """Yield an address where connections are refused for a while, then passed on to `server`."""
    port = int(server.rpartition(":")[2])
    gate = socket.socket()
    gate.bind(("127.0.0.1", 0))  # bound, but nobody listens yet: connections are refused
    stopped = threading.Event()

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def listen() -> None:
        stopped.wait(seconds)
        gate.listen()
        while not stopped.is_set():
            try:
                client, _ = gate.accept()
            except OSError:
                return
            beyond = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, beyond), (beyond, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{gate.getsockname()[1]}"
    finally:
        stopped.set()
        gate.close()
