import cv2
import numpy as np
import pytest
import torch

from medcolor.features.synthetic.bodies import BodySettings, random_bodies
from medcolor.features.synthetic.contrast import remap_tones, render_contrast, set_background
from medcolor.features.synthetic.deform import centre_on_body, random_warp, warp_image, warp_labels
from medcolor.features.synthetic.tissues import BONES, ORGANS, RIMS, TISSUE_COUNT

KINDS = pytest.mark.parametrize("human_share", [0.0, 1.0], ids=["invented", "human"])
LEVELS = torch.tensor([[[0.2, 0.25, 0.9]], [[0.1, 0.5, 0.8]]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bodies(seed, levels, size_px, **settings):
    return random_bodies(generator(seed), levels, size_px, BodySettings(**settings))


def anatomy(seed=0, **settings):
    return bodies(seed, LEVELS, 96, **settings)


@KINDS
def test_anatomy_is_a_function_of_the_seed(human_share):
    first, again, other = (anatomy(seed, human_share=human_share) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@KINDS
def test_anatomy_has_a_background_and_several_tissues(human_share):
    labels = anatomy(human_share=human_share, scale=(0.7, 0.9))
    assert labels.shape == (6, 96, 96)
    assert int(labels.max()) < TISSUE_COUNT
    for one in labels:
        assert (one == 0).any()
        assert len(one.unique()) >= 3


def test_some_plans_are_human():
    levels = torch.full((12, 1, 1), 0.5)
    mixed = bodies(0, levels, 48)
    assert not torch.equal(mixed, bodies(0, levels, 48, human_share=0.0))
    assert not torch.equal(mixed, bodies(0, levels, 48, human_share=1.0))


@KINDS
def test_persons_of_one_build_share_their_frame(human_share):
    """Without individuality they are copies; with a little they differ a little."""
    levels = torch.rand(6, 1, 1, generator=generator(5)).expand(6, 2, 1)
    agreement = []
    for individuality in (0.0, 0.1):
        first, second = (
            bodies(7, levels, 96, human_share=human_share, individuality=individuality, build=0.0)
            .view(6, 2, 96, 96)
            .unbind(1)
        )
        agreement.append(float((first == second)[first > 0].float().mean()))
    assert agreement[0] == 1
    assert 0.7 < agreement[1] < 0.99


def test_a_human_body_has_one_head_and_two_legs():
    """Parts counted in the outline, from the crown to the soles or the other way."""
    levels = torch.linspace(0, 1, 21).expand(40, 1, 21)
    shown = bodies(9, levels, 64, human_share=1.0, scale=(0.8, 0.9)).view(40, 21, 64, 64) > 0
    ends = torch.stack([shown[:, 1], shown[:, -2]], 1)
    counts = {parts(end) for body in ends for end in body}
    assert {1, 2} <= counts


def parts(mask):
    return cv2.connectedComponents(mask.numpy().astype(np.uint8))[0] - 1


def test_bodies_differ_in_what_they_hold():
    levels = torch.rand(24, 1, 1, generator=generator(1))
    labels = bodies(0, levels, 64, human_share=0.0)
    for kind in (RIMS, ORGANS, BONES):
        holds = torch.stack([torch.isin(one, torch.tensor([*kind])).any() for one in labels])
        assert float(holds.float().mean()) > 0.2
    assert not all(torch.isin(one, torch.tensor([*BONES])).any() for one in labels)


@KINDS
def test_near_levels_of_a_body_are_alike_and_far_ones_are_not(human_share):
    levels = LEVELS[:1].expand(8, 1, 3)
    labels = bodies(1, levels, 96, human_share=human_share).view(8, 3, 96, 96)
    near = (labels[:, 0] == labels[:, 1]).float().mean()
    far = (labels[:, 0] == labels[:, 2]).float().mean()
    assert near > far + 0.1


@KINDS
def test_persons_of_one_plan_are_more_alike_than_two_plans(human_share):
    levels = torch.full((8, 2, 1), 0.4)
    labels = bodies(2, levels, 96, scale=(0.9, 1.0), human_share=human_share).view(8, 2, 96, 96)
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
    labels = bodies(3, torch.rand(40, 1, 1, generator=generator(4)), 48, human_share=0.0)
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
        (bodies(4, levels, 64, scale=(0.8, 0.9), whole=whole, human_share=0.0) > 0)
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
