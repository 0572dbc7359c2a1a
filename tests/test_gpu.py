"""What work on a GPU asks for, tried with stand-ins for CUDA."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
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


@pytest.fixture
def seconds(monkeypatch):
    """Events of a GPU on which every kernel takes as long as the test says; returns the clock."""
    clock = [0.0]

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.at = clock[0]

        def synchronize(self):
            assert self.at is not None

        def elapsed_time(self, other):
            return 1000 * (other.at - self.at)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    return clock


@pytest.mark.usefixtures("seconds")
def test_one_thread_does_all_work_of_a_gpu_and_each_its_own_of_a_cpu():
    """Its plans and handles are kept by thread: pools of threads come and go with every slab."""
    both, inside = threading.Barrier(2, timeout=30), []

    def work():
        inside.append(1)
        assert len(inside) == 1
        gpu.on_device(torch.device("cuda"), inside.pop)  # it may be called from within
        return threading.get_ident()

    def begin(device):
        both.wait()
        return gpu.on_device(device, work if device.type == "cuda" else threading.get_ident)

    found = {"cuda": set(), "cpu": set()}
    for _ in range(2):
        for name, threads in found.items():
            with ThreadPoolExecutor(2) as pool:
                callers = list(pool.map(begin, [torch.device(name)] * 2))
            threads |= {*callers}
            assert name == "cpu" or threading.get_ident() not in callers
    assert len(found["cuda"]) == 1
    assert len(found["cpu"]) >= 2


@pytest.mark.usefixtures("seconds")
def test_work_on_a_gpu_has_its_callers_gradients_and_its_error_is_the_callers():
    there = torch.device("cuda")
    with torch.no_grad():
        assert not gpu.on_device(there, torch.is_grad_enabled)
    assert gpu.on_device(there, torch.is_grad_enabled)
    assert gpu.on_device(there, torch.get_num_threads) == 1

    def fail():
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    held = []
    try:
        gpu.on_device(there, fail)
    except torch.OutOfMemoryError:
        assert held[0]() is not None, "until the exception is gone"
    gc.collect()
    assert held[0]() is None, "its memory is what the next, smaller batch needs"
    assert gpu.on_device(there, lambda: 7) == 7


def test_a_gpu_is_busy_while_it_works_whoever_calls_and_not_between(seconds):
    def kernels():
        seconds[0] += 2.0

    before = gpu.busy_seconds()
    for _ in range(gpu._UNREAD + 5):  # old ones are added up as new ones come
        gpu.on_device(torch.device("cuda"), kernels)
        seconds[0] += 1.0  # slices are read
        gpu.on_device(torch.device("cpu"), kernels)
    assert gpu.busy_seconds() - before == 2.0 * (gpu._UNREAD + 5)
    assert len(gpu._BUSY._marks) == 0


def test_what_is_here_already_is_not_copied():
    array = np.arange(6.0).reshape(2, 3)
    there = gpu.upload(array, torch.device("cpu"))
    assert there.data_ptr() == array.ctypes.data
    back = gpu.Download.of(there).wait()
    assert back.ctypes.data == array.ctypes.data
    assert gpu.upload(array, torch.device("meta")).shape == (2, 3)
