"""What work on a GPU asks for, tried with stand-ins for CUDA."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from medcolor import gpu


class Stream:
    def wait_stream(self, _other):
        pass

    def synchronize(self):
        pass


class Graph:
    """Records what is done between begin and end, and does it again."""

    replays = 0

    def capture_begin(self, capture_error_mode):
        assert capture_error_mode == "thread_local"

    def capture_end(self):
        pass

    def replay(self):
        Graph.replays += 1


@pytest.fixture
def cuda(monkeypatch):
    Graph.replays = 0
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    return torch.device("cuda")


@pytest.mark.parametrize(("times", "done", "replayed"), [(1, 1, 0), (2, 2, 0), (50, 3, 48)])
def test_what_is_repeated_is_recorded_once_it_is_warm(cuda, times, done, replayed):
    calls = []
    gpu.repeat(lambda: calls.append(1), times, cuda)
    assert (len(calls), Graph.replays) == (done, replayed)  # one of the calls is recorded


def test_what_cannot_be_recorded_is_done_plainly_and_said(cuda, monkeypatch, caplog):
    def refuse(_self):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Graph, "capture_end", refuse)
    calls = []
    with caplog.at_level(logging.WARNING):
        gpu.repeat(lambda: calls.append(1), 10, cuda)
    assert len(calls) == 10 + 1  # recording does nothing on a real GPU
    assert "no CUDA graph" in caplog.text


def test_a_cpu_repeats_plainly():
    calls = []
    gpu.repeat(lambda: calls.append(1), 7, torch.device("cpu"))
    assert len(calls) == 7


def test_one_thread_at_a_time_has_its_turn_on_a_gpu_and_all_on_a_cpu():
    inside, both = [], threading.Barrier(2, timeout=30)

    def work(device):
        with gpu.turn(device):
            inside.append(1)
            if device.type == "cpu":
                both.wait()  # comes only if the other is inside, too
            assert device.type == "cpu" or len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(2) as pool:
        for name in ("cpu", "cuda"):
            list(pool.map(work, [torch.device(name)] * 2))


def test_what_is_here_already_is_not_copied():
    array = np.arange(6.0).reshape(2, 3)
    there = gpu.upload(array, torch.device("cpu"))
    assert there.data_ptr() == array.ctypes.data
    back = gpu.Download.of(there).wait()
    assert back.ctypes.data == array.ctypes.data
    assert gpu.upload(array, torch.device("meta")).shape == (2, 3)
