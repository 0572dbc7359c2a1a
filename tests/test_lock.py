"""`make lock-check`: an answer that does not fit is a failure, no answer is none."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[1]


def check(registry, folder):
    """Check the pins against a registry, with nothing remembered of another."""
    environment = {"UV_DEFAULT_INDEX": registry, "UV_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, ROOT / "jobs" / "lock.py", "--check"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


class Server(ThreadingHTTPServer):
    """Takes the fifty connections that uv opens at once: one that is refused waits for seconds."""

    request_queue_size = 128


@pytest.fixture
def empty_registry(tmp_path):
    """A registry that answers, and has no package."""
    (tmp_path / "nothing").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "nothing")
    with Server(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_a_registry_that_does_not_answer_is_said_and_fails_nothing(tmp_path):
    done = check("http://127.0.0.1:9/simple", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "lock-check: skipped, no package registry answers (in time)\n"


def test_pins_that_a_registry_does_not_have_are_named_for_every_system(tmp_path, empty_registry):
    done = check(empty_registry, tmp_path)
    assert done.returncode == 1
    for file in ("constraints.txt", "requirements.lock"):
        for system in ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin"):
            for python in ("3.11.1", "3.12", "3.13"):
                assert f"{file}, {system}, Python {python}:" in done.stdout
    assert "was not found in the package registry" in done.stdout
