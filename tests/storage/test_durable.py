"""Local files that last, exclusive ones, and temporary ones that get in nobody's way."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from disk import Disk

from medcolor.storage import create_exclusive, list_sizes, write_atomic
from medcolor.storage.durable import replacing


@pytest.mark.parametrize("write", [write_atomic, create_exclusive])
def test_what_was_written_outlasts_a_power_cut_with_its_folders(tmp_path, monkeypatch, write):
    disk, path = Disk(monkeypatch), tmp_path / "new" / "newer" / "file"
    write(path, b"content")
    assert disk.keeps(path, tmp_path)


def test_a_folder_outlasts_a_power_cut_with_all_in_it(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    with replacing(tmp_path / "folder") as part:
        (part / "below").mkdir(parents=True)
        (part / "below" / "file").write_bytes(b"content")
    assert disk.keeps(tmp_path / "folder" / "below" / "file", tmp_path)


def test_the_disk_of_these_tests_forgets_what_is_not_flushed(tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    write_atomic(tmp_path / "file", b"content")
    (tmp_path / "other").write_bytes(b"new")
    (tmp_path / "other").replace(tmp_path / "file")
    assert not disk.keeps(tmp_path / "file", tmp_path)


def test_of_many_that_create_one_file_a_single_one_wins(tmp_path):
    path, contents = tmp_path / "marker", [bytes([number]) * 100 for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda content: create_exclusive(path, content), contents))
    assert won.count(True) == 1
    assert path.read_bytes() == contents[won.index(True)]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_is_exclusive_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert create_exclusive(tmp_path / "marker", b"first")
    monkeypatch.setattr(Path, "exists", lambda _: False)  # another writes it in this moment
    assert not create_exclusive(tmp_path / "marker", b"second")
    assert (tmp_path / "marker").read_bytes() == b"first"


def test_a_link_that_the_network_asked_for_twice_is_ours(tmp_path, monkeypatch):
    real = os.link

    def twice(source, target):
        real(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", twice)
    assert create_exclusive(tmp_path / "marker", b"content")


def test_a_disk_that_is_full_when_it_is_flushed_keeps_what_was_there(tmp_path, monkeypatch):
    write_atomic(tmp_path / "file", b"before")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", b"after")
    assert (tmp_path / "file").read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_folders_that_cannot_be_flushed_are_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def files_alone(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", files_alone)
    write_atomic(tmp_path / "folder" / "file", b"content")
    assert (tmp_path / "folder" / "file").read_bytes() == b"content"


def test_processes_of_one_number_write_beside_each_other(tmp_path, monkeypatch):
    """Two pods that share a folder have process 1 each."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with replacing(tmp_path / "file") as one, replacing(tmp_path / "file") as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
        assert list_sizes(tmp_path) == {}
    assert (tmp_path / "file").read_bytes() == b"one"
    assert list_sizes(tmp_path) == {"file": 3}
