"""What runs on a GPU, followed on the meta device, whose tensors have shape and place alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medcolor.features.extract import FeaturePyramid
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.vote import vote
from medcolor.transfer.settings import TransferSettings

SPEC = NetworkSpec(
    name="d", width=0.0625, descriptor_size=8, descriptor_taps=("relu3_1", "relu4_1")
)


def pyramid(device, shape):
    with torch.device(device):
        image, taps = torch.rand(shape), GrayVGG19(SPEC)(torch.rand(1, 1, *shape))
        extent = torch.tensor([shape])
    levels = tuple(torch.nn.functional.normalize(tap, dim=1).detach() for tap in taps)
    masks = tuple(level[:, 0] > 0 for level in levels)
    lengths = tuple(tap.norm(dim=1) for tap in taps)
    return FeaturePyramid(levels, lengths, masks, extent, image[None], image[None] > 0)


def test_nothing_leaves_the_device_between_network_and_votes():
    """Meta tensors mix with no others, and tell Python no value (a wait, on a GPU)."""
    with torch.device("meta"):
        network = GrayVGG19(SPEC).to(torch.bfloat16)
        assert network.device.type == "meta"
        assert network.describe(torch.rand(2, 1, 224, 224)).device.type == "meta"
    target, reference = pyramid("meta", (64, 48)), pyramid("meta", (80, 64))
    paper = MatchingSettings(deconvolution_evaluations=3)
    match_coarse_to_fine(target, reference, paper, network.float())
    found = match_coarse_to_fine(target, reference, MatchingSettings())
    for tensor in (found.target_to_reference.position, found.confidence):
        assert tensor.device.type == "meta"
        assert tensor.shape[-2:] == (64, 48)
    lab, trust = vote(
        found.target_to_reference.position,
        found.confidence,
        torch.rand(1, 3, 80, 64, device="meta"),
        reference.tissue,
        patch_px=TransferSettings().vote_patch_px,
    )
    assert lab.device.type == trust.device.type == "meta"


def test_the_numeric_core_runs_where_there_is_little_else():
    """As on a bare GPU machine; `None` in sys.modules forbids an import."""
    code = (
        "import sys, pytest; absent = 'numba triton zarr dask nibabel pyvista typer pyarrow ray';"
        "sys.modules |= dict.fromkeys([*absent.split(), 'pydantic', 'scipy', 'yaml']);"
        "from medcolor.matching.coarse_to_fine import match_coarse_to_fine;"
        "from medcolor.matching.settings import MatchingSettings; from test_device import pyramid;"
        "import medcolor.colorize; p = pyramid('meta', (32, 32));"
        "match_coarse_to_fine(p, p, MatchingSettings())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True)


@pytest.mark.parametrize(("one", "other"), [("meta", "cpu"), ("cpu", "meta")])
def test_a_mixture_of_devices_is_seen(one, other):
    with pytest.raises(RuntimeError, match="device"):
        match_coarse_to_fine(pyramid(one, (32, 32)), pyramid(other, (32, 32)), MatchingSettings())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_finds_what_the_cpu_finds():
    torch.manual_seed(0)
    network, image = GrayVGG19(SPEC).requires_grad_(False), torch.rand(1, 1, 96, 96)
    expected = network(image)
    found = network.to("cuda")(image.to("cuda"))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other.cpu(), one, atol=1e-2, rtol=1e-2)
