import itertools

import numpy as np
import pytest
import torch
from torch import nn

from medcolor.features.network import GrayVGG19, NetworkSpec

SMALL = NetworkSpec(name="small", width=0.125, descriptor_size=32)
# VGG-19 configuration E, written down from the paper, M for max pooling.
E = "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M"


def test_full_width_has_the_shapes_of_configuration_e_with_fc6():
    with torch.device("meta"):
        network = GrayVGG19(NetworkSpec(name="full"))
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    channels = [1, *(int(c) for c in E.split() if c != "M")]
    expected = [(b, a, 3, 3) for a, b in itertools.pairwise(channels)]
    assert shapes == [*expected, (4096, 25088)]


def test_taps_and_descriptor_equal_a_plain_sequential():
    torch.manual_seed(0)
    network = GrayVGG19(SMALL).eval()
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    image = torch.rand(1, 1, 224, 224)

    signal, taps, used = image * 255, [], 0
    for layer in E.split():
        if layer == "M":
            signal = nn.functional.max_pool2d(signal, 2, ceil_mode=True)
            continue
        signal = nn.functional.conv2d(
            signal, convs[used].weight, convs[used].bias, padding=1
        ).relu()
        if used in (0, 2, 4, 8, 12):
            taps.append(signal)
        used += 1
    fc6 = signal.flatten(1) @ network.fc6[0].weight.T + network.fc6[0].bias

    for found, expected in zip(network(image), taps, strict=True):
        torch.testing.assert_close(found, expected)
    descriptor = network.describe(image)
    torch.testing.assert_close(descriptor, fc6 / fc6.norm(), atol=1e-5, rtol=1e-4)


def test_fc6_may_read_cells_of_taps():
    spec = NetworkSpec(
        name="s", width=0.0625, descriptor_size=8, descriptor_taps=("relu3_1", "relu4_1"),
        descriptor_grid=7,
    )  # fmt: skip
    network = GrayVGG19(spec)
    assert "conv5_2.weight" not in network.state_dict()
    image = torch.rand(2, 1, 224, 224)
    parts = []
    for matrix, tap, side in zip(network.fc6, network(image)[2:4], (8, 4), strict=True):
        cells = tap / tap.norm(dim=1, keepdim=True)
        grid = cells.view(2, -1, 7, side, 7, side).mean((3, 5))
        grid = (grid / grid.norm(dim=1, keepdim=True)).sqrt().flatten(1)
        part = grid @ matrix.weight.T + matrix.bias
        parts.append(part / part.norm(dim=1, keepdim=True))
    expected = torch.cat(parts, 1) / 2**0.5
    torch.testing.assert_close(network.describe(image), expected, atol=1e-5, rtol=1e-4)


def test_a_black_image_has_a_finite_descriptor():
    spec = NetworkSpec(
        name="b", width=0.0625, descriptor_size=4, descriptor_taps=("relu3_1", "relu4_1")
    )
    descriptor = GrayVGG19(spec).describe(torch.zeros(1, 1, 224, 224))
    assert descriptor.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"descriptor_taps": ("relu9_1",)}, "relu9_1"),
        ({"descriptor_taps": ("relu3_1", "relu4_1"), "descriptor_size": 7}, "multiple"),
    ],
)
def test_what_cannot_be_built_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        NetworkSpec(**{"name": "x", "descriptor_size": 8, **change})


def test_odd_sizes_round_up():
    taps = GrayVGG19(SMALL)(torch.zeros(1, 1, 33, 47))
    assert [tuple(tap.shape[2:]) for tap in taps] == [(33, 47), (17, 24), (9, 12), (5, 6), (3, 3)]


def test_with_replicate_padding_a_flat_image_tells_no_position():
    spec = NetworkSpec(name="r", width=0.125, descriptor_size=8, padding_mode="replicate")
    for tap in GrayVGG19(spec)(torch.full((1, 1, 64, 64), 0.3)):
        flat = tap.flatten(2)
        torch.testing.assert_close(flat, flat[..., :1].expand_as(flat))


def test_a_dead_descriptor_stays_zero():
    network = GrayVGG19(SMALL)
    with torch.no_grad():
        network.fc6[0].weight.zero_()
        network.fc6[0].bias.zero_()
    assert not network.describe(torch.rand(1, 1, 224, 224)).any()


def test_the_embedded_network_is_small_and_described_by_its_card(network):
    import json

    from medcolor.features.store import EMBEDDED_PATH

    assert EMBEDDED_PATH.stat().st_size <= 8 * 2**20
    card = json.loads(EMBEDDED_PATH.with_suffix(".json").read_text())
    assert card["sha256"] == network.digest
    assert card["spec"]["descriptor_size"] == network.spec.descriptor_size


def test_descriptors_are_of_unit_length_and_repeat(network):
    image = torch.from_numpy(np.random.default_rng(0).random((1, 1, 224, 224), np.float32))
    first, second = network.module.describe(image), network.module.describe(image)
    assert float(first.norm()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(first, second)
