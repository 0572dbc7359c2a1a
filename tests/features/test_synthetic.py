import pytest
import torch

from medcolor.features.synthetic.anatomy import BONES, ORGANS, RIMS, TISSUE_COUNT, random_anatomy
from medcolor.features.synthetic.contrast import remap_tones, render_contrast, set_background
from medcolor.features.synthetic.deform import centre_on_body, random_warp, warp_image, warp_labels

LEVELS = torch.tensor([[[0.2, 0.25, 0.9]], [[0.1, 0.5, 0.8]]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def anatomy(seed=0):
    return random_anatomy(generator(seed), LEVELS, 96)


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


def test_bodies_differ_in_what_they_hold():
    labels = random_anatomy(generator(0), torch.rand(24, 1, 1, generator=generator(1)), 64)
    for kind in (RIMS, ORGANS, BONES):
        holds = torch.stack([torch.isin(one, torch.tensor([*kind])).any() for one in labels])
        assert float(holds.float().mean()) > 0.2
    assert not all(torch.isin(one, torch.tensor([*BONES])).any() for one in labels)


def test_near_levels_of_a_body_are_alike_and_far_ones_are_not():
    levels = LEVELS[:1].expand(8, 1, 3)
    labels = random_anatomy(generator(1), levels, 96).view(8, 3, 96, 96)
    near = (labels[:, 0] == labels[:, 1]).float().mean()
    far = (labels[:, 0] == labels[:, 2]).float().mean()
    assert near > far + 0.1


def test_persons_of_one_plan_are_more_alike_than_two_plans():
    levels = torch.full((8, 2, 1), 0.4)
    labels = random_anatomy(generator(2), levels, 96, scale=(0.9, 1.0)).view(8, 2, 96, 96)
    inside = (labels[:, 0] > 0) & (labels[:, 1] > 0)
    same_plan = (labels[:, 0] == labels[:, 1])[inside].float().mean()
    other = labels[:, 1].roll(1, 0)
    inside = (labels[:, 0] > 0) & (other > 0)
    other_plan = (labels[:, 0] == other)[inside].float().mean()
    assert same_plan > other_plan + 0.1
    assert same_plan < 0.95


def test_two_renderings_share_shapes_and_not_grey_levels():
    labels = anatomy()
    source = generator(5)
    first, second = render_contrast(source, labels), render_contrast(source, labels)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert float((first - second).abs().mean()) > 0.05


def test_most_backgrounds_are_black_and_some_tissue_is_taken_away():
    labels = random_anatomy(generator(3), torch.rand(40, 1, 1, generator=generator(4)), 48)
    image = torch.full((40, 1, 48, 48), 0.5)
    shown, inside = set_background(generator(6), image, labels > 0)
    outside = (labels == 0)[:, None]
    black = [float(s[o].max()) == 0 for s, o in zip(shown, outside, strict=True) if o.any()]
    assert 0.5 < sum(black) / len(black) < 1
    assert not (inside & (labels == 0)).any()
    holes = ((labels > 0) & ~inside).flatten(1).any(1)
    assert 0 < int(holes.sum()) < 40
    assert torch.equal(shown[:, 0][inside], image[:, 0][inside])


def test_remapped_tones_are_a_function_of_the_tone():
    """Without noise equal tones stay equal; the curve may rise and fall."""
    levels = torch.linspace(0, 1, 11)
    image = levels.repeat(40, 30)[:, None, None, :]
    remapped = remap_tones(generator(7), image)
    assert float(remapped.min()) >= 0
    assert float(remapped.max()) <= 1
    by_level = remapped.view(40, 30, 11)
    spread = by_level.std(1)
    assert float(spread.max()) < 0.05
    rising = (by_level.mean(1).diff(dim=1) > -0.03).all(1)
    assert 5 < int(rising.sum()) < 35


def test_warped_labels_are_those_the_warp_points_to():
    labels = anatomy()
    warp = random_warp(generator(2), 6, 96)
    moved = warp_labels(labels, warp)
    col, row = ((warp + 1) * 48 - 0.5).round().long().unbind(-1)
    inside = (col >= 0) & (col < 96) & (row >= 0) & (row < 96)
    batch = torch.arange(6)[:, None, None].expand_as(col)
    expected = torch.where(inside, labels[batch, row.clamp(0, 95), col.clamp(0, 95)], 0)
    assert float((moved == expected).float().mean()) > 0.999


def test_a_centred_body_has_its_deviation_at_a_set_place():
    labels = torch.zeros(2, 80, 80, dtype=torch.long)
    labels[0, 10:30, 5:65] = 3
    shown = warp_labels(labels, centre_on_body(labels, 2.5))
    rows, cols = shown[0].nonzero().float().T
    assert abs(float(rows.mean()) - 39.5) < 0.6
    assert abs(float(cols.mean()) - 39.5) < 0.6
    assert float(cols.std()) * 2.5 == pytest.approx(40, rel=0.02)
    assert float(rows.std()) / float(cols.std()) == pytest.approx(1 / 3, rel=0.05)
    assert not shown[1].any()


def test_whole_bodies_change_their_outline_and_close_at_some_ends():
    levels = torch.linspace(0, 1, 9).expand(8, 1, 9).contiguous()
    plain, whole = (
        (random_anatomy(generator(4), levels, 64, scale=(0.8, 0.9), whole=whole) > 0)
        .float()
        .mean((1, 2))
        .view(8, 9)
        for whole in (False, True)
    )
    assert float(whole.std(1).mean()) > 1.5 * float(plain.std(1).mean())
    ends = torch.cat([whole[:, 0], whole[:, -1]]) / whole.amax(1).repeat(2)
    assert 2 <= int((ends < 0.2).sum()) <= 14


def test_a_warped_image_shows_what_the_warp_points_to():
    axis = (2 * torch.arange(64) + 1) / 64 - 1
    image = axis.expand(2, 1, 64, 64)
    warp = random_warp(generator(2), 2, 64).clamp(-0.9, 0.9)
    torch.testing.assert_close(warp_image(image, warp)[:, 0], warp[..., 0], atol=1e-4, rtol=0)
