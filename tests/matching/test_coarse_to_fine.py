import numpy as np
import pytest
import torch
from conftest import draw_slice

from medcolor.features.extract import extract_pyramid, extract_pyramids
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import forward_backward_confidence
from medcolor.matching.settings import MatchingSettings
from medcolor.matching.vote import vote


def pyramid(network, level, size=64):
    grey, labels = draw_slice(level, size)
    return extract_pyramid(network.module, grey.astype(np.float32), labels > 0)


def test_an_image_matches_itself_at_every_body_pixel(network):
    image = pyramid(network, 0.3)

    match = match_coarse_to_fine(image, image, MatchingSettings())

    body = image.masks[0][0]
    rows, cols = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    identity = torch.stack([rows, cols])
    assert torch.equal(match.target_to_reference.position[0][:, body], identity[:, body])
    assert torch.equal(match.confidence[0][body], torch.ones(int(body.sum())))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"search": ("patchmatch",) * 5},
        {"search": ("global", "global", "window", "window", "window"), "propagation": 1},
        {"deconvolution_evaluations": 4},
    ],
)
def test_slices_matched_together_find_what_each_finds_alone(network, change):
    settings = MatchingSettings(**change)
    slices = [draw_slice(level, 64) for level in (0.2, 0.5, 0.8)]
    pictures = [(grey[:, cut:].astype(np.float32), labels[:, cut:] > 0)
                for (grey, labels), cut in zip(slices, (0, 3, 9), strict=True)]  # fmt: skip
    reference = pyramid(network, 0.6, size=80)

    together = match_coarse_to_fine(
        extract_pyramids(network.module, pictures), reference, settings, network.module
    )

    for index, picture in enumerate(pictures):
        alone = match_coarse_to_fine(
            extract_pyramid(network.module, *picture), reference, settings, network.module
        )
        for one, other in (
            (alone.target_to_reference, together.target_to_reference),
            (alone.reference_to_target, together.reference_to_target),
        ):
            same = (one.position[0] == other.position[index]).all(0)
            assert float(same.float().mean()) > 0.999  # sums may round differently
            torch.testing.assert_close(
                one.similarity[0][same], other.similarity[index][same], atol=1e-3, rtol=0
            )


def test_slices_of_several_padded_shapes_are_not_matched_together(network):
    small, large = (np.ones((size, 40), np.float32) for size in (40, 60))
    with pytest.raises(ValueError, match="shape"):
        extract_pyramids(network.module, [(small, small > 0), (large, large > 0)])
    with pytest.raises(ValueError, match="one image"):
        extract_pyramids(network.module, [(small, small > 0)] * 2).repeat(2)


def test_background_is_never_a_match(network):
    target, reference = pyramid(network, 0.1), pyramid(network, 0.9, size=80)

    match = match_coarse_to_fine(target, reference, MatchingSettings())

    row, col = match.target_to_reference.position[0][:, target.masks[0][0]]
    assert bool(reference.masks[0][0][row, col].all())


def test_images_of_different_size_match_within_bounds(network):
    target, reference = pyramid(network, 0.2, size=48), pyramid(network, 0.8, size=96)

    match = match_coarse_to_fine(target, reference, MatchingSettings())

    for field, shape in (
        (match.target_to_reference, (96, 96)),
        (match.reference_to_target, (48, 48)),
    ):
        for axis in (0, 1):
            assert int(field.position[:, axis].min()) >= 0
            assert int(field.position[:, axis].max()) < shape[axis]
        assert torch.isfinite(field.similarity).all()


def test_an_image_of_a_single_cell_is_matched(network):
    tiny = extract_pyramid(network.module, np.full((3, 5), 0.5, np.float32), np.ones((3, 5), bool))

    match = match_coarse_to_fine(tiny, pyramid(network, 0.5), MatchingSettings())

    assert match.confidence.shape == (1, 16, 16)
    assert torch.isfinite(match.confidence).all()


def test_confidence_falls_with_the_distance_of_the_way_there_and_back():
    forward = torch.zeros(2, 1, 3, dtype=torch.long)
    forward[1, 0] = torch.tensor([0, 1, 2])
    backward = torch.zeros(2, 1, 3, dtype=torch.long)
    backward[1, 0] = torch.tensor([0, 0, 0])

    confidence = forward_backward_confidence(forward[None], backward[None], scale_px=1.0)

    assert confidence[0, 0].tolist() == pytest.approx([1, np.exp(-0.5), np.exp(-2)], abs=1e-6)


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

    result, mass = (
        part[0]
        for part in vote(position[None], weight[None], values[None], valid[None], patch_px=3)
    )

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


@pytest.mark.parametrize(
    "change",
    [
        {"search": ("patchmatch",) * 5},
        {"search": ("patchmatch",) * 5, "random_start": True},
        {"search": ("global", "global", "global", "window", "patchmatch")},
        {"propagation": 2},
        {"finest_level": "relu1_1"},
        {"deconvolution_evaluations": 3, "response": "sigmoid", "deconvolution_jump": 1},
        {"deconvolution_evaluations": 3, "finest_level": "relu3_1", "tone_weight": 0.0},
    ],
)
def test_every_choice_gives_matches_inside_the_other_body(network, change):
    target, reference = pyramid(network, 0.1, size=48), pyramid(network, 0.9, size=80)

    match = match_coarse_to_fine(target, reference, MatchingSettings(**change), network.module)

    assert match.confidence.shape == (1, 48, 48)
    for field, own, other, size in (
        (match.target_to_reference, target, reference, 80),
        (match.reference_to_target, reference, target, 48),
    ):
        assert torch.isfinite(field.similarity).all()
        row, col = field.position[0][:, own.masks[0][0]]
        assert 0 <= int(min(row.min(), col.min())) <= int(max(row.max(), col.max())) < size
        assert float(other.masks[0][0][row, col].float().mean()) > 0.999


@pytest.mark.parametrize("search", ["window", "patchmatch"])
@pytest.mark.parametrize("evaluations", [0, 3])
def test_an_image_without_any_structure_gives_no_nan(network, search, evaluations):
    flat = extract_pyramid(network.module, np.zeros((40, 24), np.float32), np.ones((40, 24), bool))
    top = "global" if search == "window" else search
    settings = MatchingSettings(search=(top, *[search] * 4), deconvolution_evaluations=evaluations)

    match = match_coarse_to_fine(flat, pyramid(network, 0.5), settings, network.module)

    for field in (match.target_to_reference, match.reference_to_target):
        assert torch.isfinite(field.similarity).all()
    assert torch.isfinite(match.confidence).all()


@pytest.mark.parametrize("patch_px", [1, 3])
def test_a_shift_of_whole_cells_shifts_the_matches(network, patch_px):
    """Both images move by 32 pixels, two cells of relu5_1, into more background."""
    settings = MatchingSettings(position_prior=0.0, patch_px=(patch_px,) * 5)
    plain = [draw_slice(level, 64) for level in (0.2, 0.6)]
    moved = [
        tuple(np.pad(part, ((32, 32), (32, 32))) for part in one)  # the same distance to borders
        for one in plain
    ]

    def match(pair):
        both = [
            extract_pyramid(network.module, grey.astype(np.float32), labels > 0)
            for grey, labels in pair
        ]
        found = match_coarse_to_fine(*both, settings).target_to_reference
        return found.position[0], both[0].masks[0][0]

    before, body = match([tuple(np.pad(p, 16) for p in one) for one in plain])
    after, _ = match(moved)

    kept = before[:, body] + 16 == after[:, 16:112, 16:112][:, body]
    assert float(kept.all(0).float().mean()) > 0.99


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"patch_px": (3, 3)}, "patch_px"),
        ({"radius_px": (1, 1, 1, -1)}, "radius_px"),
        ({"search": ("window",) * 5}, "relu5_1"),
        ({"search": ("global",) * 5}, "relu3_1"),
        ({"own_share": (0.5, 0.5, 0.5, 1.5)}, "own_share"),
        ({"propagation": -1}, "propagation"),
        ({"tone_weight": 1.0}, "tone_weight"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        MatchingSettings(**wrong)
