"""Every probe of `medcolor doctor`, working and not."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medcolor import doctor, gpu_probe
from medcolor.cli import main
from medcolor.config import load_settings
from medcolor.errors import RunError
from medcolor.gpu_probe import Comparison, compare_with_cpu
from medcolor.run.plan import Capabilities
from medcolor.run.serial import SerialRunner
from medcolor.storage import place_of


def findings(place=None, settings=None, connect=None):
    return {one.probe: one for one in doctor.examine(settings or load_settings(), place, connect)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCOLOR_CACHE", str(tmp_path / "cache"))


def test_on_a_sound_machine_everything_works_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["medcolor", "doctor", str(tmp_path), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capsys.readouterr().out)
    assert [one["probe"] for one in told if not one["works"]] == []
    assert {one["probe"] for one in told} >= {"device", "weights", "drawing", "cache", "output"}
    assert ended.value.code == 0
    assert not list(tmp_path.iterdir())


def test_a_gpu_that_is_asked_for_and_absent(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = findings(settings=load_settings(None, ["compute.device=cuda"]))
    assert not found["device"].works
    assert "compute.device=cpu" in found["device"].what


def test_weights_that_are_not_there_or_damaged(monkeypatch):
    found = findings(settings=load_settings(None, ["features.network=vgg19"]))
    assert not found["weights"].works
    assert "medcolor weights pull vgg19" in found["weights"].what
    monkeypatch.setattr(doctor, "verify_weights", lambda: [("vgg19", False, "SHA-256 is other")])
    assert "vgg19: SHA-256 is other" in findings()["weights"].what


def test_no_opengl_and_a_driver_that_draws_nothing(monkeypatch):
    def no_opengl(*_):
        raise RunError("OpenGL", "no EGL", "Install libegl1")

    monkeypatch.setattr(doctor, "OffscreenRenderer", no_opengl)
    assert "Install libegl1" in findings()["drawing"].what
    black = SimpleNamespace(
        frame=lambda _: np.zeros((8, 8, 3), np.uint8), driver=lambda: "Null", close=lambda: None
    )
    monkeypatch.setattr(doctor, "OffscreenRenderer", lambda *_: black)
    found = findings()["drawing"]
    assert not found.works
    assert "Null draws black frames" in found.what


def test_a_full_disk_and_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    found = findings(tmp_path)
    assert "1.0 GB free. Make room" in found["output"].what
    assert not found["cache"].works
    monkeypatch.undo()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be written to" in findings(tmp_path / "new")["output"].what


def test_a_bucket_that_is_not_there(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setitem(doctor_retry(), "max_retries", 1)
    found = findings(place_of("s3://nowhere-at-all/results"))
    assert not found["output"].works
    assert "\n" not in found["output"].what


def doctor_retry():
    from medcolor.storage import object_path

    object_path._bucket.cache_clear()
    return object_path._RETRY


def test_ray_that_does_not_answer_or_whose_nodes_differ():
    def gone():
        raise RunError("--ray 10.0.0.1:1", "no Ray cluster answers there", "Give HOST:PORT")

    assert not findings(connect=gone)["ray"].works

    class Mixed(SerialRunner):
        def on_every_node(self, _probe, *_works):
            return {"a": "1.0", "b": "1.1"}

    with pytest.raises(doctor.NotWorkingError, match=r"a has 1\.0, b has 1\.1"):
        doctor.greet_every_node(Mixed())
    assert doctor.greet_every_node(SerialRunner(1)) == "1 nodes, 1 workers of 1 threads"


def test_kernels_are_run_on_a_gpu_and_compared_with_the_cpu(monkeypatch):
    """By a pair that is matched on both; here the GPU is another CPU, or no good."""
    here = torch.device("cpu")
    assert compare_with_cpu(here) == Comparison(0.0)
    assert "kernels" not in findings()
    gpu = Capabilities(True, ("cuda",), "H100")
    monkeypatch.setattr(doctor.Capabilities, "here", lambda: gpu)
    monkeypatch.setattr(doctor, "_device", lambda _: "H100")
    assert "kernels" not in findings(settings=load_settings(None, ["compute.device=cpu"]))
    monkeypatch.setattr(doctor, "compare_with_cpu", lambda _: compare_with_cpu(here))
    assert findings()["kernels"].works
    monkeypatch.setattr(doctor, "compare_with_cpu", lambda _: Comparison(0.4))
    found = findings()["kernels"]
    assert not found.works
    assert "40% of pixels" in found.what

    def no_compiler(_):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr(doctor, "compare_with_cpu", no_compiler)
    found = findings()["kernels"]
    assert not found.works
    assert "Install gcc" in found.what
    assert "\n" not in found.what


def test_a_gpu_that_matches_otherwise_does_not_agree(monkeypatch):
    """The probe sees a search that finds the wrong places."""
    real, calls = gpu_probe.gather_votes, []

    def gather(*given):
        calls.append(given)
        ((vote,),) = real(*given)
        return [[replace(vote, lab=vote.lab[::-1])]] if len(calls) == 2 else [[vote]]

    monkeypatch.setattr(gpu_probe, "gather_votes", gather)
    assert not compare_with_cpu(torch.device("cpu")).agrees
