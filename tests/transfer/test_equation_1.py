import cv2
import numpy as np
import pytest

from medcolor.body import resize
from medcolor.color import lab_to_srgb, lightness, srgb_to_lab
from medcolor.config import load_settings
from medcolor.domain import Box, SliceVotes
from medcolor.filters.settings import PAPER_FIGURE_6
from medcolor.transfer.equation_1 import equation_1
from medcolor.transfer.settings import TransferSettings
from medcolor.transfer.vote_mean import mean_vote


def votes_for(lab, trust=1.0):
    """One photograph's votes."""
    rows, cols = lab.shape[:2]
    return SliceVotes(
        0,
        Box(0, rows, 0, cols),
        np.ones((rows, cols), bool),
        np.zeros((rows, cols), np.float16),
        np.moveaxis(lab, -1, 0)[None].astype(np.float16),
        np.full((1, rows, cols), trust, np.float16),
        (1.0,),
    )


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    scan = cv2.GaussianBlur(random.random((60, 48)).astype(np.float32), (0, 0), 2)
    scan = (scan - scan.min()) / np.ptp(scan)
    colors = cv2.GaussianBlur(random.random((30, 24, 3)).astype(np.float32), (0, 0), 2)
    return scan, srgb_to_lab(colors)


def test_equation_1_is_as_printed(images):
    """fgs(T') - fgs(T) + T between gamma 1/2 and 2, by OpenCV's own filter."""
    scan, voted = images
    everywhere, smoothing = np.ones(scan.shape, bool), PAPER_FIGURE_6["fgs"]
    votes = votes_for(voted)
    voted = mean_vote(votes)[0]  # half precision

    found = equation_1(scan, everywhere, votes, 0.5, smoothing)

    target = scan**0.5
    made = resize(srgb_to_lab(lab_to_srgb(voted) ** 0.5), scan.shape)
    lab = np.zeros_like(made)
    lab[..., 0] = lightness(target)
    guide = np.rint(255 * target).astype(np.uint8)
    scale = 4  # the scan's pixels are half as large: lambda counts on the working grid

    def fgs(image):
        return cv2.ximgproc.fastGlobalSmootherFilter(guide, image, 32 * scale, 200)

    expected = lab_to_srgb(fgs(made) - fgs(lab) + lab) ** 2
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "most"), [("fgs", 1e-3), ("guided", 5e-3), ("domain-nc", 1e-3), ("wls", 1e-3)]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_filters_reach_as_far_in_mm_along_long_pixels(images, name, most, axis):
    """Every third row or column of a smooth scan is coloured as in the whole of it, and not 0.01
    to 0.03 beside it as where pixels are taken for square."""
    scan, voted = images
    large = cv2.resize(scan, (144, 180), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    votes, smoothing = votes_for(voted), PAPER_FIGURE_6[name]
    everywhere = np.ones(large.shape, bool)
    expected = equation_1(large, everywhere, votes, 0.5, smoothing)
    chosen = np.arange(1, large.shape[axis], 3)
    thick, pixel = large.take(chosen, axis), (3.0, 1.0) if axis == 0 else (1.0, 3.0)
    found = equation_1(thick, thick >= 0, votes, 0.5, smoothing, pixel=pixel)
    assert np.abs(found - expected.take(chosen, axis)).mean() < most


def test_a_mean_vote_hears_the_near_and_trusted_most(images):
    voted = images[1].astype(np.float16)
    lab = np.moveaxis(np.stack([voted, 0 * voted]), -1, 1)
    trust = np.stack([np.full(voted.shape[:2], 0.25), np.ones(voted.shape[:2])]).astype(np.float16)
    one = votes_for(voted)
    both = SliceVotes(0, one.box, one.body, one.contrast, lab, trust, (1.0, 0.5))
    mean, found = mean_vote(both)
    # Weights 1 sqrt(1/4) and 1/2 sqrt(1) are equal.
    np.testing.assert_allclose(mean, voted.astype(np.float32) / 2, atol=1e-3)
    np.testing.assert_allclose(found, 0.625, atol=1e-3)


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_a_scan_that_was_reconstructed_perfectly_stays_as_it_is(gamma):
    luminance = np.random.default_rng(0).random((40, 30)).astype(np.float32)
    own = srgb_to_lab(np.repeat(luminance[..., None], 3, axis=-1))
    everywhere = np.ones((40, 30), bool)
    found = equation_1(luminance, everywhere, votes_for(own), gamma, PAPER_FIGURE_6["fgs"])
    np.testing.assert_allclose(found, np.repeat(luminance[..., None], 3, axis=-1), atol=4e-3)


def test_structure_that_the_reconstruction_lost_is_kept():
    luminance = np.full((40, 40), 0.5, np.float32)
    luminance[20, 20] = 0.9
    flat = np.zeros((20, 20, 3), np.float32) + np.array([60, 20, 30], np.float32)
    everywhere = np.ones((40, 40), bool)
    found = equation_1(luminance, everywhere, votes_for(flat), 1.0, PAPER_FIGURE_6["fgs"])
    assert found[20, 20, 1] - found[5, 5, 1] > 0.2
    assert (found[..., 0] > found[..., 2] + 0.1).all()


def test_a_slice_nobody_votes_for_stays_grey():
    luminance = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    nothing = votes_for(np.zeros((16, 16, 3)), trust=0.0)
    everywhere = np.ones((16, 16), bool)
    found = equation_1(luminance, everywhere, nothing, 0.5, PAPER_FIGURE_6["fgs"])
    np.testing.assert_allclose(found, np.repeat(luminance[..., None], 3, -1), atol=2e-3)


def test_the_papers_settings_are_those_of_its_equations():
    paper = load_settings_of("paper.yaml")
    assert paper.transfer == TransferSettings(look="paper", gamma=0.5, least_confidence=1.0)
    assert paper.smoothing == PAPER_FIGURE_6["fgs"]
    assert (paper.retrieval.references, paper.retrieval.along_stack) == (1, False)
    assert paper.matching == load_settings_of("matching/paper.yaml").matching


def load_settings_of(name):
    from pathlib import Path

    return load_settings(Path(__file__).parents[2] / "configs" / name)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"gamma": 0.0}, "gamma"),
        ({"structure_radius_px": 0.0}, "structure_radius_px"),
        ({"detail_gain": -1.0}, "detail_gain"),
        ({"least_confidence": 0.0}, "least_confidence"),
        ({"vote_patch_px": 4}, "vote_patch_px"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        TransferSettings(**wrong)
