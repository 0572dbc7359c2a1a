import pytest
import torch

from medcolor.features.descriptor import DescriptorSettings
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.features.synthetic.deform import random_warp
from medcolor.features.training import (
    TrainingSettings,
    dense_loss,
    draw_batches,
    sample_points,
    set_derivatives,
    train,
)

# What a module makes once is made by one worker.
pytestmark = pytest.mark.xdist_group("training")

SPEC = NetworkSpec(
    name="t", width=0.0625, descriptor_size=16, descriptor_taps=("relu3_1", "relu4_1"),
    descriptor_grid=2, input_scale=1.0,
)  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_lowest_where_features_follow_the_warp():
    source = generator(4)
    fixed = torch.randn(2, 8, 24, 24, generator=source)
    fixed = torch.nn.functional.interpolate(fixed, size=(96, 96), mode="bilinear")
    warp = random_warp(source, 2, 96)
    moving = torch.nn.functional.grid_sample(fixed, warp, align_corners=False)
    points = sample_points(source, torch.ones(2, 96, 96) > 0, 64, cluster=1, radius=0.0)
    points = points.clamp(-0.6, 0.6)

    right, accuracy = dense_loss(fixed, moving, points, warp, temperature=0.07, patch=1)
    wrong, _ = dense_loss(fixed, moving.flip(-1), points, warp, temperature=0.07, patch=1)

    assert float(right) < 0.5 * float(wrong)
    assert accuracy > 0.8


def test_patches_are_compared_as_the_matcher_does():
    """Unwarped, a patch's similarity is the mean of the cosines of its nine cells."""
    source = generator(1)
    fixed = torch.randn(1, 6, 12, 12, generator=source)
    moving = torch.randn(1, 6, 12, 12, generator=source)
    axis = (2 * torch.arange(12) + 1) / 12 - 1
    rows, cols = torch.meshgrid(axis, axis, indexing="ij")
    warp = torch.stack([cols, rows], -1)[None]
    cells = torch.tensor([[3, 4], [7, 7], [9, 2]])
    points = torch.stack([axis[cells[:, 1]], axis[cells[:, 0]]], -1)[None]

    unit = [torch.nn.functional.normalize(f[0], dim=0) for f in (moving, fixed)]
    around = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    expected = torch.tensor(
        [
            [
                sum(
                    float(unit[0][:, a[0] + r, a[1] + c] @ unit[1][:, b[0] + r, b[1] + c])
                    for r, c in around
                )
                / 9
                for b in cells.tolist()
            ]
            for a in cells.tolist()
        ]
    )
    truth = torch.arange(3)
    logits = expected / 0.5
    wanted = 0.5 * (
        torch.nn.functional.cross_entropy(logits, truth)
        + torch.nn.functional.cross_entropy(logits.T, truth)
    )
    found, _ = dense_loss(fixed, moving, points, warp, temperature=0.5, patch=3)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_processes_that_draw_ahead_change_nothing():
    settings = TrainingSettings(dense_steps=3, dense_sizes=((32, 1),), points=(16, 16, 16, 8))
    for here, there in zip(draw_batches(settings, 0), draw_batches(settings, 2), strict=True):
        torch.testing.assert_close(here.images, there.images, rtol=0, atol=0)
        torch.testing.assert_close(here.points, there.points, rtol=0, atol=0)


def test_the_loss_stays_where_the_features_are():
    """Meta tensors mix with no others and tell Python no value, as a GPU should not be asked to."""
    with torch.device("meta"):
        tap, points, warp = torch.rand(2, 4, 8, 8), torch.rand(2, 6, 2), torch.rand(2, 16, 16, 2)
    for figure in dense_loss(tap, tap, points, warp, temperature=0.07, patch=3):
        assert figure.device.type == "meta"


def test_points_are_drawn_from_the_mask():
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 5:10, 20:30] = True
    for radius in (0.0, 0.3):
        points = sample_points(generator(), mask, 200, cluster=4, radius=radius)
        col, row = ((points + 1) * 20 - 0.5).round().long().unbind(-1)
        # A point between two pixels may round to the one outside.
        near = torch.nn.functional.max_pool2d(mask[:, None].float(), 3, 1, 1)[:, 0] > 0
        assert near[0, row, col].all()


def test_clustered_points_lie_near_each_other():
    mask = torch.ones(1, 64, 64, dtype=torch.bool)
    points = sample_points(generator(), mask, 64, cluster=8, radius=0.1)[0].view(8, 8, 2)
    assert float((points - points[:, :1]).abs().max()) <= 0.2


def test_the_first_tap_compares_like_cross_correlation():
    """Tone hardly counts, contrast not at all, and a flat cell matches any other."""
    network = GrayVGG19(NetworkSpec(name="d", width=0.25, descriptor_size=4, input_scale=1.0))
    set_derivatives(network)
    network.requires_grad_(False)
    derivatives = network.conv1_1.weight.flatten(1)
    derivatives = derivatives - derivatives.mean(1, keepdim=True)
    gram = derivatives[:8] @ derivatives[:8].T
    assert float((gram - gram.diagonal().diag()).abs().max()) < 1e-6
    torch.testing.assert_close(derivatives[8:], -derivatives[:8])

    def cells(image):
        return torch.nn.functional.normalize(network(image)[0], dim=1)[..., 1:-1, 1:-1]

    image = torch.rand(1, 1, 24, 24, generator=generator())
    assert float((cells(0.4 * image + 0.3) * cells(image)).sum(1).min()) > 0.98
    flat = torch.full((1, 1, 8, 8), 0.2)
    assert float((cells(flat) * cells(flat + 0.6)).sum(1).min()) > 0.95


@pytest.fixture(scope="module")
def short_training():
    settings = TrainingSettings(
        dense_steps=40, dense_sizes=((64, 2),), points=(48, 48, 48, 32), report_every=1,
        descriptor=DescriptorSettings(batches=4, plans=2, levels=2),
    )  # fmt: skip
    figures = []
    return train(SPEC, settings, figures.append), figures, settings


def test_training_lowers_the_loss(short_training):
    _, figures, _ = short_training
    dense = [f["dense_loss"] for f in figures if "dense_loss" in f]
    assert sum(dense[-8:]) / 8 < 0.95 * sum(dense[:4]) / 4
    assert figures[-1]["fc6"] >= 0


def test_training_leaves_the_derivatives_alone(short_training):
    network, _, _ = short_training
    start = GrayVGG19(SPEC)
    set_derivatives(start)
    assert torch.equal(network.conv1_1.weight, start.conv1_1.weight)


@pytest.mark.slow
def test_training_repeats_from_its_seed(short_training):
    network, _, settings = short_training
    again = train(SPEC, settings, lambda _: None)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)
