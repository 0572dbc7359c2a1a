from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import draw_slice

from medcolor.features.extract import extract_pyramid
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import upsample
from medcolor.matching.reconstruct import invert, own_weight, reconstruct, response
from medcolor.matching.settings import MatchingSettings

PAPER = MatchingSettings(
    position_prior=0.0, leave_cost=0.0, tone_weight=0.0, deconvolution_evaluations=15
)
SMALL = NetworkSpec(name="s", width=1 / 16, descriptor_size=8, descriptor_taps=("relu3_1",))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(5)
    return GrayVGG19(SMALL).requires_grad_(False)


def pyramid(network, level, size=64):
    grey, labels = draw_slice(level, size)
    return extract_pyramid(network, grey.astype(np.float32), labels > 0)


def identity(rows, cols):
    return torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij"))[None]


@pytest.mark.parametrize("jump", [1, 2])
@pytest.mark.parametrize("index", [4, 2, 1])
def test_through_the_identity_an_image_is_reconstructed_as_itself(small, index, jump):
    """The start is then the solution, and R the image's own features."""
    image = pyramid(small, 0.3)
    field = identity(*image.levels[index].shape[2:])
    settings = replace(PAPER, deconvolution_jump=jump, patch_px=(1, 1, 1, 1, 1))

    made = reconstruct(field, image, index, small, settings)

    expected = image.levels[index - 1] * image.lengths[index - 1][:, None]
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("bottom", "top"), [(2, 4), (0, 2), (-1, 1)])
def test_inversion_lowers_its_objective_monotonically(small, bottom, top):
    one, other = pyramid(small, 0.2), pyramid(small, 0.9)
    raw = [level * length[:, None] for level, length in zip(one.levels, one.lengths, strict=True)]
    start = one.luminance[:, None] if bottom < 0 else raw[bottom]
    goal = other.levels[top] * other.lengths[top][:, None]

    _, course = invert(small, start, goal, bottom, top, PAPER)

    assert bool((course.diff(dim=0) <= 0).all())
    assert float(course[-1, 0]) < 0.7 * float(course[0, 0])


def test_inversion_agrees_with_a_dense_solve_in_double_precision():
    """Where no ReLU switches, one convolution is a matrix, and the minimum a linear solve."""
    torch.manual_seed(1)
    network = GrayVGG19(replace(SMALL, width=1 / 64)).double().requires_grad_(False)
    network.rectified = False
    goal = torch.randn(1, 1, 5, 4, dtype=torch.float64)
    start = torch.zeros(1, 1, 5, 4, dtype=torch.float64)

    settings = replace(PAPER, deconvolution_evaluations=200)
    found, course = invert(network, start, goal, -1, 0, settings)

    def apply(flat):
        return network.advance(flat.view(1, 1, 5, 4), -1, 0)[0].flatten()

    bias = apply(torch.zeros(20, dtype=torch.float64))
    matrix = torch.stack([apply(row) - bias for row in torch.eye(20, dtype=torch.float64)], 1)
    solved = torch.linalg.lstsq(matrix, goal.flatten() - bias).solution
    least = float((matrix @ solved + bias - goal.flatten()).square().sum())
    assert float(course[-1, 0]) == pytest.approx(least, abs=1e-3 * float(course[0, 0]))
    assert found.shape == start.shape


def test_the_response_runs_from_0_to_1_and_weights_follow_it():
    length = torch.tensor([[[0.0, 1.0], [2.0, 4.0]]])
    assert response(length).tolist() == [[[0.0, 1 / 16], [4 / 16, 1.0]]]
    assert not response(torch.full((1, 2, 2), 3.0)).any()
    step = own_weight(length, 3, replace(PAPER, response_threshold=0.1))
    torch.testing.assert_close(step, torch.tensor([[[0.0, 0.0], [0.8, 0.8]]]))
    smooth = own_weight(length, 0, replace(PAPER, response="sigmoid", response_threshold=1 / 16))
    expected = torch.tensor([[[0.0, 0.05], [0.1, 0.1]]])
    torch.testing.assert_close(smooth, expected, atol=1e-4, rtol=0)


def test_enlarged_fields_keep_the_place_inside_the_cell():
    fine = upsample(torch.tensor([[[[3, 0]], [[1, 2]]]]))[0]
    assert fine[0].tolist() == [[6, 6, 0, 0], [7, 7, 1, 1]]
    assert fine[1].tolist() == [[2, 3, 4, 5], [2, 3, 4, 5]]


@pytest.mark.parametrize("search", ["window", "patchmatch"])
def test_an_image_matches_itself_through_reconstruction(network, search):
    grey, labels = draw_slice(0.3, 64)
    texture = 0.2 * np.random.default_rng(0).random((64, 64))  # where nothing is flat
    shown = np.where(labels > 0, 0.8 * grey + texture, 0).astype(np.float32)
    image = extract_pyramid(network.module, shown, labels > 0)
    top = "global" if search == "window" else search
    settings = replace(PAPER, search=(top, *[search] * 4))

    match = match_coarse_to_fine(image, image, settings, network.module)

    body = image.masks[0]
    wrong = (match.target_to_reference.position != identity(64, 64)).any(1)
    assert float(wrong[body].float().mean()) < 0.02


def test_a_network_that_cannot_be_inverted_is_refused(network):
    image = pyramid(network.module, 0.3)
    with pytest.raises(ValueError, match="gray-VGG19"):
        match_coarse_to_fine(image, image, PAPER)
