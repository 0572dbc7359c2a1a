import hashlib
import socket

import numpy as np
import pytest
from web import Behaviour, serving

from medcolor.download import Patience, download
from medcolor.errors import InputError, RunError
from medcolor.progress import Silent

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(attempts=3, timeout_s=0.3, pause_s=0.01)


def fetch(url, path, sha256=DIGEST):
    return download(
        url, path, sha256=sha256, remedy="Do it by hand", progress=Silent(), patience=QUICK
    )


def test_a_file_arrives_whole_with_nothing_beside_it(tmp_path):
    with serving(Behaviour(CONTENT)) as url:
        assert fetch(url, tmp_path / "in" / "f.bin") == DIGEST
    assert (tmp_path / "in" / "f.bin").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["f.bin"]


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_broken_connection_is_continued_where_it_broke(tmp_path, fault):
    behaviour = Behaviour(CONTENT, [fault, fault])
    with serving(behaviour) as url:
        fetch(url, tmp_path / "f.bin")
    assert (tmp_path / "f.bin").read_bytes() == CONTENT
    assert behaviour.ranges == [None, "bytes=150000-", "bytes=225000-"]


def test_a_later_run_continues_an_earlier_one(tmp_path):
    (tmp_path / "f.bin.part").write_bytes(CONTENT[:1000])
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        fetch(url, tmp_path / "f.bin")
    assert (tmp_path / "f.bin").read_bytes() == CONTENT
    assert behaviour.ranges == ["bytes=1000-"]


def test_a_part_that_is_already_whole_is_kept(tmp_path):
    (tmp_path / "f.bin.part").write_bytes(CONTENT)
    with serving(Behaviour(CONTENT)) as url:
        fetch(url, tmp_path / "f.bin")
    assert (tmp_path / "f.bin").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path):
    (tmp_path / "f.bin.part").write_bytes(CONTENT + b"more")
    with serving(Behaviour(CONTENT)) as url:
        fetch(url, tmp_path / "f.bin")
    assert (tmp_path / "f.bin").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all_again(tmp_path):
    with serving(Behaviour(CONTENT, ["cut", "no-range"])) as url:
        fetch(url, tmp_path / "f.bin")
    assert (tmp_path / "f.bin").read_bytes() == CONTENT


def test_wrong_bytes_are_fetched_once_more_and_then_refused(tmp_path):
    with serving(Behaviour(CONTENT, ["corrupt"])) as url:
        fetch(url, tmp_path / "f.bin")
    assert (tmp_path / "f.bin").read_bytes() == CONTENT
    with (
        serving(Behaviour(CONTENT, ["corrupt", "corrupt"])) as url,
        pytest.raises(RunError, match=r"SHA-256 is .*, expected .*; nothing was kept"),
    ):
        fetch(url, tmp_path / "g.bin")
    assert [p.name for p in tmp_path.iterdir()] == ["f.bin"]


def test_a_busy_server_is_asked_again_and_a_dead_one_given_up(tmp_path):
    with serving(Behaviour(CONTENT, ["busy", "busy"])) as url:
        fetch(url, tmp_path / "f.bin")
    with (
        serving(Behaviour(CONTENT, ["busy"] * 3)) as url,
        pytest.raises(RunError, match=r"does not deliver .503.*0 bytes are kept"),
    ):
        fetch(url, tmp_path / "g.bin")


def test_a_missing_file_is_not_asked_for_again(tmp_path):
    behaviour = Behaviour(CONTENT)
    with (
        serving(behaviour) as url,
        pytest.raises(InputError, match=r"answers 404 .*Do it by hand"),
    ):
        fetch(url.replace("/file", "/missing/file"), tmp_path / "f.bin")
    assert len(behaviour.ranges) == 1


def test_without_a_network_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    def unknown(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RunError) as caught:
        fetch("https://weights.example/vgg.pth", tmp_path / "f.bin")
    assert str(caught.value) == (
        "https://weights.example/vgg.pth: weights.example is unknown: no network?. Do it by hand."
    )
