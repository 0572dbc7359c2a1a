"""What runs on a GPU, followed on the meta device, whose tensors have shape and place alone."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("triton")  # for Linux alone

from medcolor import gpu
from medcolor.features.extract import extract_pyramids
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.finish_triton import vote_at_once
from medcolor.matching.searches import Searches
from medcolor.matching.settings import MatchingSettings
from medcolor.transfer.measure import measure_scan
from medcolor.transfer.scan import describe_scan
from medcolor.transfer.settings import TransferSettings
from medcolor.transfer.structure import on_structure

SPEC = NetworkSpec(
    name="d", width=0.25, descriptor_size=8, descriptor_taps=("relu3_1",), input_scale=1.0,
    padding_mode="replicate",
)  # fmt: skip
SHAPES = [(64, 48)] * 5 + [(64, 60)] * 3
"""Of the slices of a batch; three photographs each."""

FEW = SHAPES[4:6]
"""As many as differ: where nothing is counted, more of each shape show nothing more."""

FAST = MatchingSettings()
PAPER = MatchingSettings(deconvolution_evaluations=3, tone_weight=0.0)
GLOBAL = MatchingSettings(search=("global", "global", "window", "window", "window"))


def run(code, **variables):
    """Run a program beside this file and return what it prints."""
    here = Path(__file__).parent
    paths = {"PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | paths | variables,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def network_on_meta():
    with torch.device("meta"):
        return GrayVGG19(SPEC).to(torch.bfloat16).requires_grad_(False)


def gather_on_meta(network, settings, shapes=FEW):
    """Do on the meta device what a GPU does for slices with three photographs each."""
    slices = [(np.ones(shape, np.float32), np.ones(shape, bool)) for shape in shapes]
    photographs = [(np.ones((48, 64), np.float32), np.ones((48, 64), bool))] * 3
    references = extract_pyramids(network, photographs, settings.finest_features)
    targets = extract_pyramids(network, slices, settings.finest_features)
    pairs = [(target, reference) for target in targets for reference in references]
    found = match_coarse_to_fine(*zip(*pairs, strict=True), settings, network)
    labs = [torch.zeros(1, 3, 48, 64, device="meta")] * len(pairs)
    searches, patch_px = Searches.of(pairs), TransferSettings().vote_patch_px
    said = vote_at_once(searches, found, labs, patch_px=patch_px, least_confidence=0.05)
    return found, said


def test_nothing_leaves_the_device_between_network_and_votes():
    """Meta tensors mix with no others, and tell Python no value (a wait, on a GPU)."""
    network = network_on_meta()
    for settings in (FAST, GLOBAL, PAPER):
        found, said = gather_on_meta(network, settings)
        for tensor in (found.target_to_reference.position, found.confidence, said):
            assert tensor.device.type == "meta"
            assert tensor.shape[-2:] == (64, 64)
    with torch.device("meta"):
        assert network.describe(torch.rand(2, 1, 224, 224)).device.type == "meta"


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (8.0, 1.0), (1.0, 30.0)])
def test_colours_are_put_on_the_scan_where_they_are_whatever_its_pixels(spacing_mm):
    """The third pass; of pixels that are not square each axis has its own windows."""
    values = np.random.default_rng(0).normal(40, 20, (24, 90)).astype(np.float32)
    body = np.ones(values.shape, bool)
    statistics = measure_scan(
        [(values, body)], spacing_mm, 64, window=(-350.0, 650.0), is_hounsfield=True, air_below=0.0
    )
    scan, inside = (torch.from_numpy(one).to("meta") for one in (values, body))
    contrast = describe_scan(scan, statistics)
    colors = torch.zeros(3, *values.shape, device="meta")
    shown = on_structure(colors, contrast, inside, statistics, TransferSettings())
    assert (shown.device.type, shown.shape) == ("meta", (3, *values.shape))


class Counting(TorchDispatchMode):
    """Counts what Python hands to the device."""

    def __init__(self):
        super().__init__()
        self.operators = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operators[str(function)] += 1
        return function(*args, **(kwargs or {}))


def test_a_slice_with_three_photographs_takes_few_operators(monkeypatch):
    """What is launched one by one under Python's lock bounds a GPU: 4300 before they were fused."""
    kernels, network = Counter(), network_on_meta()
    monkeypatch.setattr(gpu, "launch", lambda kernel, *_, **__: kernels.update([kernel]))

    def count(shapes):
        kernels.clear()
        with Counting() as counting:
            gather_on_meta(network, FAST, shapes)
        return counting.operators.total() + kernels.total()

    assert count(SHAPES) <= 80 * len(SHAPES)
    # Frames of convolutions, a normalisation a level, means; three shapes; then matching.
    assert kernels.total() == 3 * (13 + 4 + 1) + 11
    assert count(SHAPES[:1]) <= 400  # even alone


def test_every_kernel_compiles_for_an_h100():
    """Products run on its tensor cores, features are read 16 bytes at a time, and images of
    other sizes need no other kernels."""
    printed = run("from compile_kernels import main; main()", TRITON_INTERPRET="0")
    lines = [line.split() for line in printed.splitlines()]
    assert {name for name, *_ in lines} == {
        "_frame", "_unframe", "_normalize", "_means", "_multiply", "_choose", "_learn", "_search",
        "_enlarge", "_confide", "_vote", "_aim", "_move", "_products",
    }  # fmt: skip
    for name, multiplies, reads_wide, is_compiled in lines:
        assert is_compiled == "True"
        assert (multiplies == reads_wide == "True") == (name in {"_multiply", "_search"})


def test_the_numeric_core_runs_where_there_is_little_else():
    """As on a bare GPU machine; `None` in sys.modules forbids an import."""
    run(
        "import sys; absent = 'numba zarr dask nibabel pyvista typer pyarrow ray';"
        "sys.modules |= dict.fromkeys([*absent.split(), 'pydantic', 'scipy', 'yaml']);"
        "import medcolor.colorize; from test_device import *;"
        "gather_on_meta(network_on_meta(), FAST)"
    )


def test_a_cpu_needs_no_triton():
    run(
        "import sys; sys.modules['triton'] = None; import numpy as np;"
        "from medcolor.features.store import load_network;"
        "from medcolor.features.extract import extract_pyramid;"
        "from medcolor.matching.coarse_to_fine import match_coarse_to_fine;"
        "from medcolor.matching.settings import MatchingSettings; import medcolor.colorize;"
        "one = np.ones((20, 20), np.float32);"
        "p = extract_pyramid(load_network().module, one, one > 0);"
        "match_coarse_to_fine([p], [p], MatchingSettings())"
    )


def test_a_mixture_of_devices_is_seen(network):
    with torch.device("meta"):
        nowhere = GrayVGG19(SPEC).requires_grad_(False)
    one = np.ones((20, 20), np.float32)
    here, there = (
        extract_pyramids(each, [(one, one > 0)])[0] for each in (network.module, nowhere)
    )
    for pair in ((here, there), (there, here)):
        with pytest.raises(ValueError, match="several devices"):
            match_coarse_to_fine([pair[0]], [pair[1]], MatchingSettings())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_what_the_cpu_finds():
    torch.manual_seed(0)
    network, image = GrayVGG19(SPEC).requires_grad_(False), torch.rand(1, 1, 96, 96)
    expected = network(image)
    found = network.to("cuda")(image.to("cuda"))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other.cpu(), one, atol=1e-2, rtol=1e-2)
