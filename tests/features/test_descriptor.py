import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from medcolor.features.descriptor import (
    DescriptorSettings,
    descriptor_pair,
    discriminant,
    fit_descriptor,
)
from medcolor.features.network import DESCRIPTOR_INPUT_PX, GrayVGG19, NetworkSpec


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs_with_nuisance():
    """Things differ in the first four values, their two views in the last eight, far more."""
    source = generator(3)
    things = torch.cat([torch.randn(400, 4, generator=source), torch.zeros(400, 8)], 1)
    noise = torch.randn(2, 400, 12, generator=source)
    noise[..., :4] *= 0.05
    noise[..., 4:] *= 6
    mixing, _ = torch.linalg.qr(torch.randn(12, 12, generator=source))
    return (things + noise) @ mixing


def found(values):
    first, second = torch.nn.functional.normalize(values, dim=-1)
    return float(((first @ second.T).argmax(1) == torch.arange(len(first))).float().mean())


def test_partners_are_found_in_spite_of_the_nuisance():
    pairs = pairs_with_nuisance()
    weight, bias = discriminant(pairs[:, :300], 4, ridge=0.01)
    assert found(pairs[:, 300:]) < 0.2
    assert found(pairs[:, 300:] @ weight.T + bias) > 0.9


def test_directions_solve_the_generalised_eigenproblem():
    """Oracle: SciPy's generalised eigenvectors of total against nuisance scatter."""
    pairs, ridge = pairs_with_nuisance().double(), 0.1
    weight, bias = discriminant(pairs, 3, ridge)
    flat = (pairs.flatten(0, 1) - pairs.mean((0, 1))).numpy()
    half = ((pairs[0] - pairs[1]) / 2).numpy()
    nuisance = 2 * half.T @ half / len(half)
    nuisance += ridge * np.trace(nuisance) / 12 * np.eye(12)
    _, vectors = eigh(flat.T @ flat / len(flat), nuisance)
    for own, other in zip(weight.numpy(), vectors[:, -3:].T, strict=True):
        assert abs(own @ other) / np.linalg.norm(own) / np.linalg.norm(other) > 0.999
    assert np.abs((flat @ weight.numpy().T).mean(0)).max() < 1e-9
    torch.testing.assert_close(pairs.mean((0, 1)) @ weight.T + bias, torch.zeros(3).double())


def test_pairs_show_two_persons_at_the_same_levels():
    """Bodies of one plan have outlines more alike than bodies of two plans."""
    images = descriptor_pair(generator(2), DescriptorSettings(plans=8, levels=1))
    assert images.shape == (16, 1, DESCRIPTOR_INPUT_PX, DESCRIPTOR_INPUT_PX)
    first, second = (images > 0).float().flatten(1).chunk(2)
    overlap = first @ second.T / (first.sum(1)[:, None] + second.sum(1) - first @ second.T)
    assert float(overlap.diagonal().mean()) > float(overlap.mean())


@pytest.mark.parametrize("taps", [("relu3_1", "relu4_1"), ()])
def test_fitting_sets_fc6_and_nothing_else(taps):
    torch.manual_seed(0)
    spec = NetworkSpec(
        name="f", width=0.03125, descriptor_size=8, descriptor_taps=taps, descriptor_grid=4
    )
    network = GrayVGG19(spec)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    reports = []
    settings = DescriptorSettings(batches=3, plans=2, levels=2)
    fit_descriptor(network, settings, 0, reports.append)
    changed = {
        name for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {name for name in before if name.startswith("fc6")}
    assert 0 <= reports[0]["fc6"] <= 1
