import pytest
import torch

from medcolor.features.network import NetworkSpec
from medcolor.features.synthetic import (
    TISSUE_COUNT,
    random_anatomy,
    random_warp,
    render_contrast,
    warp_labels,
)
from medcolor.features.training import TrainingSettings, dense_loss, sample_points, train

SPEC = NetworkSpec(name="t", width=0.0625, descriptor_size=16, input_scale=1.0)
LEVELS = torch.tensor([[0.2, 0.25, 0.9], [0.1, 0.5, 0.8]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def anatomy(seed=0):
    return random_anatomy(generator(seed), 2, LEVELS, 96)


def test_anatomy_is_a_function_of_the_seed():
    assert torch.equal(anatomy(3), anatomy(3))
    assert not torch.equal(anatomy(3), anatomy(4))


def test_anatomy_has_a_background_and_several_tissues():
    labels = anatomy()
    assert labels.shape == (6, 96, 96)
    assert int(labels.max()) < TISSUE_COUNT
    for one in labels:
        assert (one == 0).any()
        assert len(one.unique()) >= 3


def test_near_levels_of_a_body_are_alike_and_far_ones_are_not():
    labels = random_anatomy(generator(1), 8, LEVELS[:1].expand(8, 3), 96).view(8, 3, 96, 96)
    near = (labels[:, 0] == labels[:, 1]).float().mean()
    far = (labels[:, 0] == labels[:, 2]).float().mean()
    assert near > far + 0.1


def test_two_renderings_share_shapes_and_not_grey_levels():
    labels = anatomy()
    source = generator(5)
    first, second = render_contrast(source, labels), render_contrast(source, labels)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert not first[(labels == 0)[:, None]].any()
    assert float((first - second).abs().mean()) > 0.05


def test_warped_labels_are_those_the_warp_points_to():
    labels = anatomy()
    warp = random_warp(generator(2), 6, 96)
    moved = warp_labels(labels, warp)
    col, row = ((warp + 1) * 48 - 0.5).round().long().unbind(-1)
    inside = (col >= 0) & (col < 96) & (row >= 0) & (row < 96)
    batch = torch.arange(6)[:, None, None].expand_as(col)
    expected = torch.where(inside, labels[batch, row.clamp(0, 95), col.clamp(0, 95)], 0)
    assert float((moved == expected).float().mean()) > 0.999


def test_the_loss_is_lowest_where_features_follow_the_warp():
    source = generator(4)
    fixed = torch.randn(2, 8, 24, 24, generator=source)
    fixed = torch.nn.functional.interpolate(fixed, size=(96, 96), mode="bilinear")
    warp = random_warp(source, 2, 96)
    moving = torch.nn.functional.grid_sample(fixed, warp, align_corners=False)
    points = sample_points(source, torch.ones(2, 96, 96) > 0, 64)
    points = points.clamp(-0.6, 0.6)

    right, accuracy = dense_loss(fixed, moving, points, warp, temperature=0.07)
    wrong, _ = dense_loss(fixed, moving.flip(-1), points, warp, temperature=0.07)

    assert float(right) < 0.5 * float(wrong)
    assert accuracy > 0.8


def test_points_are_drawn_from_the_mask():
    mask = torch.zeros(1, 40, 40, dtype=torch.bool)
    mask[0, 5:10, 20:30] = True
    points = sample_points(generator(), mask, 200)
    col, row = ((points + 1) * 20 - 0.5).round().long().unbind(-1)
    assert mask[0, row, col].all()


@pytest.fixture(scope="module")
def short_training():
    settings = TrainingSettings(
        dense_steps=40, dense_bodies=2, dense_size_px=64, points=48, descriptor_steps=12,
        descriptor_bodies=2, descriptor_levels=2, report_every=1,
    )  # fmt: skip
    figures = []
    return train(SPEC, settings, figures.append), figures, settings


def test_training_lowers_both_losses(short_training):
    _, figures, _ = short_training
    dense = [f["dense_loss"] for f in figures if "dense_loss" in f]
    assert sum(dense[-8:]) / 8 < 0.93 * sum(dense[:4]) / 4
    assert any("descriptor_loss" in f for f in figures)


def test_training_repeats_from_its_seed(short_training):
    network, _, settings = short_training
    again = train(SPEC, settings, lambda _: None)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)
