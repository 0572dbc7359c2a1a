import numpy as np
import pytest
import torch
from conftest import draw_slice

from medcolor.features.extract import extract_pyramid
from medcolor.matching import MatchingSettings, match_coarse_to_fine, vote
from medcolor.matching.field import forward_backward_confidence


def pyramid(network, level, size=64):
    grey, labels = draw_slice(level, size)
    return extract_pyramid(network.module, grey.astype(np.float32), labels > 0)


def test_an_image_matches_itself_at_every_body_pixel(network):
    image = pyramid(network, 0.3)

    match = match_coarse_to_fine(image, image, MatchingSettings())

    body = image.masks[0]
    rows, cols = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    identity = torch.stack([rows, cols])
    assert torch.equal(match.target_to_reference.position[:, body], identity[:, body])
    assert torch.equal(match.confidence[body], torch.ones(int(body.sum())))


def test_background_is_never_a_match(network):
    target, reference = pyramid(network, 0.1), pyramid(network, 0.9, size=80)

    match = match_coarse_to_fine(target, reference, MatchingSettings())

    row, col = match.target_to_reference.position[:, target.masks[0]]
    assert bool(reference.masks[0][row, col].all())


def test_images_of_different_size_match_within_bounds(network):
    target, reference = pyramid(network, 0.2, size=48), pyramid(network, 0.8, size=96)

    match = match_coarse_to_fine(target, reference, MatchingSettings())

    for field, shape in (
        (match.target_to_reference, (96, 96)),
        (match.reference_to_target, (48, 48)),
    ):
        for axis in (0, 1):
            assert int(field.position[axis].min()) >= 0
            assert int(field.position[axis].max()) < shape[axis]
        assert torch.isfinite(field.similarity).all()


def test_an_image_of_a_single_cell_is_matched(network):
    tiny = extract_pyramid(network.module, np.full((3, 5), 0.5, np.float32), np.ones((3, 5), bool))

    match = match_coarse_to_fine(tiny, pyramid(network, 0.5), MatchingSettings())

    assert match.confidence.shape == (16, 16)
    assert torch.isfinite(match.confidence).all()


def test_confidence_falls_with_the_distance_of_the_way_there_and_back():
    forward = torch.zeros(2, 1, 3, dtype=torch.long)
    forward[1, 0] = torch.tensor([0, 1, 2])
    backward = torch.zeros(2, 1, 3, dtype=torch.long)
    backward[1, 0] = torch.tensor([0, 0, 0])

    confidence = forward_backward_confidence(forward, backward, scale_px=1.0)

    assert confidence[0].tolist() == pytest.approx([1, np.exp(-0.5), np.exp(-2)], abs=1e-6)


def test_votes_are_weighted_means_of_what_overlapping_patches_say():
    generator = torch.Generator().manual_seed(1)
    rows, cols = 5, 6
    position = torch.stack(
        [
            torch.randint(0, 4, (rows, cols), generator=generator),
            torch.randint(0, 7, (rows, cols), generator=generator),
        ]
    )
    weight = torch.rand(rows, cols, generator=generator)
    values = torch.rand(2, 4, 7, generator=generator)
    valid = torch.rand(4, 7, generator=generator) < 0.7

    result, mass = vote(position, weight, values, valid, patch_px=3)

    for row in range(rows):
        for col in range(cols):
            total, norm = torch.zeros(2), 0.0
            for drow in (-1, 0, 1):
                for dcol in (-1, 0, 1):
                    at = row + drow, col + dcol
                    if not (0 <= at[0] < rows and 0 <= at[1] < cols):
                        continue
                    source = int(position[0][at]) - drow, int(position[1][at]) - dcol
                    inside = 0 <= source[0] < 4 and 0 <= source[1] < 7
                    if inside and bool(valid[source]):
                        total += weight[at] * values[:, source[0], source[1]]
                        norm += float(weight[at])
            expected = total / norm if norm else total
            torch.testing.assert_close(result[:, row, col], expected)
            assert float(mass[row, col]) == pytest.approx(norm / 9, abs=1e-6)


@pytest.mark.parametrize("wrong", [{"patch_px": (3, 3)}, {"radius_px": (1, 1, 1, -1)}])
def test_settings_without_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match="px"):
        MatchingSettings(**wrong)
