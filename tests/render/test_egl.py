import os

import pytest

from medcolor.render import egl

VARIABLE = "VTK_DEFAULT_EGL_DEVICE_INDEX"


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_gpu_of_the_process_is_found_among_those_of_egl(monkeypatch):
    # EGL counts otherwise than CUDA, and has Mesa's software driver among its devices.
    monkeypatch.setattr(egl, "cuda_ordinals", lambda: [2, None, 0, 1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    egl.choose_device()
    assert os.environ[VARIABLE] == "3"
    monkeypatch.delenv(VARIABLE)


@pytest.mark.parametrize("given", ["", "-1", "GPU-3a7b", "7"])
def test_what_is_no_known_gpu_leaves_the_choice_to_vtk(monkeypatch, given):
    monkeypatch.setattr(egl, "cuda_ordinals", lambda: [0, 1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    egl.choose_device()
    assert VARIABLE not in os.environ


def test_a_device_that_the_user_named_stays(monkeypatch):
    monkeypatch.setattr(egl, "cuda_ordinals", lambda: [0, 1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv(VARIABLE, "0")
    egl.choose_device()
    assert os.environ[VARIABLE] == "0"


def test_a_driver_without_gpus_tells_none():
    assert all(one is None or one >= 0 for one in egl.cuda_ordinals())
