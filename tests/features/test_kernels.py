"""What a GPU makes of the network's taps, in Triton's interpreter, against the CPU's way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("triton")  # for Linux alone

from medcolor.features.extract import GPU_IMAGES, _extract_together, extract_pyramid
from medcolor.features.kernels import ReplicatePad, cell_means, normalize

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("channels", [12, 32])
def test_features_get_unit_length_and_dead_ones_stay_zero(layout, channels):
    source = torch.Generator().manual_seed(0)
    tap = torch.randn(3, channels, 6, 10, generator=source).to(memory_format=layout)
    tap[0, :, 2, 3] = 0

    unit, length = (part.cpu() for part in normalize(tap.to(DEVICE)))

    expected = tap.norm(dim=1)
    torch.testing.assert_close(length, expected)
    scaled = tap / expected.clamp(min=1e-6)[:, None]
    torch.testing.assert_close(unit[:, :channels].float(), scaled, atol=5e-4, rtol=0)
    assert not unit[:, channels:].any()
    assert not unit[0, :, 2, 3].any()
    assert unit.is_contiguous(memory_format=torch.channels_last)


def test_cells_hold_the_mean_of_their_tissue_alone():
    luminance = torch.tensor([[0.2, 0.4], [0.9, 0.9]])
    tissue = torch.tensor([[True, True], [False, False]])
    for there, mean in ((tissue, 0.3), (tissue & False, 0.0)):
        tones, masks = cell_means(luminance[None].to(DEVICE), there[None].to(DEVICE), 2)
        assert float(tones[1]) == pytest.approx(mean)
        assert bool(masks[1]) == bool(there.any())
        assert torch.equal(masks[0][0].cpu(), there)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 16, 1, 6), (1, 4, 7, 1)])
def test_a_frame_repeats_the_border_and_gives_its_gradient_back(shape):
    """As torch's own does, but with channels last, and in the same order every time."""
    source = torch.Generator().manual_seed(0)
    signal = torch.randn(shape, generator=source).to(DEVICE).requires_grad_(True)
    weight = torch.randn(*shape[:2], shape[2] + 2, shape[3] + 2, generator=source).to(DEVICE)

    framed = ReplicatePad.apply(signal)
    (gradient,) = torch.autograd.grad((framed * weight).sum(), signal)

    expected = torch.nn.functional.pad(signal, (1, 1, 1, 1), mode="replicate")
    assert torch.equal(framed, expected)
    assert framed.is_contiguous(memory_format=torch.channels_last)
    (wanted,) = torch.autograd.grad((expected * weight).sum(), signal)
    torch.testing.assert_close(gradient, wanted)


interpreted = pytest.mark.skipif(
    DEVICE.type == "cuda", reason="kernels are compiled here; jobs/check_gpu.py compares them"
)


@interpreted
def test_images_together_have_the_pyramids_of_each_on_a_cpu(network):
    """Also the masks and tones of every level; finer levels than asked for are left out."""
    random = np.random.default_rng(1)
    pictures = [
        (random.random((40, cols), np.float32), random.random((40, cols)) > 0.4)
        for cols in (30, 25)
    ]
    together = _extract_together(network.module, pictures, 1)
    for number, picture in enumerate(pictures):
        alone, found = extract_pyramid(network.module, *picture, 1), together[number]
        assert set(found.levels) == set(alone.levels) == {1, 2, 3, 4}
        assert found.extent_px == alone.extent_px == (picture[1].shape,)
        assert torch.equal(found.tissue, alone.tissue)
        assert torch.equal(found.luminance, alone.luminance)
        for index, level in alone.levels.items():
            torch.testing.assert_close(found.levels[index].float(), level, atol=1e-3, rtol=0)
            torch.testing.assert_close(
                found.lengths[index], alone.lengths[index], atol=1e-4, rtol=1e-4
            )
        for one, other in zip(found.tones + found.masks, alone.tones + alone.masks, strict=True):
            torch.testing.assert_close(one, other)
        assert found.nbytes < alone.nbytes
        apart = found.apart()
        assert apart.nbytes == found.nbytes
        assert apart.levels[1].is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(apart.levels[1], found.levels[1])
        held = apart.levels[1].untyped_storage()
        assert held.nbytes() == apart.levels[1].nbytes < found.levels[1].untyped_storage().nbytes()


@interpreted
def test_a_gpu_is_always_given_as_many_images(network, monkeypatch):
    """Its library chooses how to compute by how many there are: bits must not depend on that."""
    seen = []
    real = type(network.module).forward
    monkeypatch.setattr(
        type(network.module),
        "forward",
        lambda self, image: seen.append(len(image)) or real(self, image),
    )
    grey = np.ones((20, 20), np.float32)
    _extract_together(network.module, [(grey, grey > 0)], 1)
    assert seen == [GPU_IMAGES]
