import itertools
import os

import pytest
from bucket import environment, make_bucket, s3_server

from medcolor.storage import object_path

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server():
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """An empty bucket; the cache is the test's own."""
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MEDCOLOR_CACHE", str(tmp_path / "cache"))
    object_path._bucket.cache_clear()
    yield make_bucket(server, f"bucket-{os.getpid()}-{next(_numbers)}")
    object_path._bucket.cache_clear()
